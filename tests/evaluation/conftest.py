from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import clipviz
from clipviz.clip import Config, TextConfig, ViTConfig
from clipviz.weights import Weights, build

COLOURS = {"red circle": (220, 30, 30), "blue square": (30, 40, 220), "green star": (30, 190, 40)}


@pytest.fixture(scope="session")
def model() -> clipviz.Model:
    """Random weights, small enough to run in milliseconds; what it answers is arbitrary and always the same."""
    torch.manual_seed(0)
    config = Config(24, ViTConfig(32, 8, 48, 2, 16), TextConfig(context_length=16, width=32, heads=2, layers=2))
    return clipviz.Model("small", Weights(build(config, None, "a small model")))


def draw(colour: tuple[int, int, int], seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(-25, 25, (40, 48, 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight, six and four pictures of three labels, one of them damaged."""
    root = tmp_path / "pictures"
    for (name, colour), count in zip(COLOURS.items(), (8, 6, 4), strict=True):
        (root / name).mkdir(parents=True)
        for i in range(count):
            draw(colour, i).save(root / name / f"{i}.png")
    (root / "red circle" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    return root
