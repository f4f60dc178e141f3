"""What the panels' tests share: a network of random weights and a picture, neither of which means anything."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import clipviz

from .test_panel import save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return clipviz.load(save_model(tmp_path_factory.mktemp("models") / "small"))


@pytest.fixture(scope="module")
def picture():
    noise = np.random.default_rng(3).integers(0, 255, (5, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((80, 50), Image.Resampling.BICUBIC)
