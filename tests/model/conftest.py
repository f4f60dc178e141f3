from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from clipviz.clip import CLIP, Config, ResNetConfig, TextConfig, ViTConfig
from clipviz.model import Model
from clipviz.weights import Weights

TEXT = TextConfig(context_length=16, width=64, heads=1, layers=2)
TOLD = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}


def small_clip(kind: str = "vit") -> CLIP:
    torch.manual_seed(0)
    vision = ResNetConfig(64, (1, 1, 1, 1), 8, 64) if kind == "resnet" else ViTConfig(32, 8, 64, 2, 64)
    return CLIP(Config(24, vision, TEXT)).eval().requires_grad_(False)


@pytest.fixture(scope="session", params=["vit", "resnet"])
def model(request: pytest.FixtureRequest) -> Model:
    return Model(request.param, Weights(small_clip(request.param), TOLD))


@pytest.fixture(scope="session")
def vit() -> Model:
    return Model("small", Weights(small_clip(), TOLD, frozenset(range(2500)), {"domain": "toys"}))


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (9, 14, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((140, 90), Image.Resampling.BICUBIC)
