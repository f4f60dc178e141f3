from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from clipviz.clip import Config, ResNetConfig, TextConfig, ViTConfig
from clipviz.model import Model
from clipviz.weights import Weights, build

TEXT = TextConfig(context_length=16, width=32, heads=2, layers=2)


def small_model(kind: str, size: int = 64) -> Model:
    """Random weights, large enough to have every part, small enough to run in milliseconds."""
    torch.manual_seed(0)
    vit = ViTConfig(size, 16, 48, 3, 16)
    resnet = ResNetConfig(size, (1, 1, 1, 2), 8, 32)
    config = Config(24, resnet if kind == "resnet" else vit, TEXT)
    return Model(f"small-{kind}", Weights(build(config, None, "a small model")))


@pytest.fixture(scope="session", params=["vit", "resnet"])
def model(request: pytest.FixtureRequest) -> Model:
    return small_model(request.param)


@pytest.fixture(scope="session")
def vit() -> Model:
    return small_model("vit")


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """Wider than high, so that the views differ."""
    noise = np.random.default_rng(0).integers(0, 255, (9, 14, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((140, 90), Image.Resampling.BICUBIC)
