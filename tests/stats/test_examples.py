"""The examples in the docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

from clipviz import stats


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(stats.__path__)])
def test_examples_of(name: str) -> None:
    module = importlib.import_module(f"{stats.__name__}.{name}")
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0
