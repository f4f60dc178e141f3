"""What every test may ask for: the shared data, and a way to say what a test cannot do without."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _require(condition: object, reason: str) -> None:
    """Skip where ``condition`` fails, or fail under CLIPVIZ_REQUIRE_ALL=1, where nothing may be missing."""
    if condition:
        return
    if os.environ.get("CLIPVIZ_REQUIRE_ALL") == "1":
        pytest.fail(f"CLIPVIZ_REQUIRE_ALL=1, and this is missing: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require() -> Callable[[object, str], None]:
    """``require(condition, reason)`` skips the test, or fails it under CLIPVIZ_REQUIRE_ALL=1."""
    return _require


@pytest.fixture(scope="session")
def shared(require: Callable[[object, str], None]) -> Path:
    """The folder with ``data/`` and ``models/`` that is not part of the project."""
    path = Path(os.environ.get("CLIPVIZ_TEST_DATA") or ROOT.parent / "shared").resolve()
    require((path / "data").is_dir(), f"no shared data at {path} (CLIPVIZ_TEST_DATA names another place)")
    return path
