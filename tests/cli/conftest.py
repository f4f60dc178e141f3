"""What the commands' tests share: a picture in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import clipviz


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    clipviz.synth.scenes(1, seed=5)[0].picture.save(tmp_path / "pictures" / "scene.png")
    return tmp_path / "pictures" / "scene.png"
