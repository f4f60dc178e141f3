"""Small networks of every kind, and pictures, for the tests of the detector."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from clipviz.clip import Config, ResNetConfig, TextConfig, ViTConfig
from clipviz.model import Model
from clipviz.weights import Weights, build, config_to_open_clip

SIZE, TEXT = 32, TextConfig(context_length=16, width=32, heads=2, layers=1)
TOLD = {"mean": [0.5] * 3, "std": [0.3] * 3}


def small(kind: str, size: int = SIZE, layers: int = 3) -> Model:
    """Random weights: a ViT with 4 x 4 cells, a ResNet with an attention pooling, or what open_clip runs."""
    torch.manual_seed(0)
    vision = ResNetConfig(size, (1, 1, 1, 1), 8, 32) if kind == "resnet" else ViTConfig(size, 8, 48, layers, 16)
    config = Config(24, vision, TEXT)
    if kind != "other":
        return Model(f"small-{kind}", Weights(build(config, None, "a small model"), TOLD))
    import open_clip
    from open_clip.tokenizer import SimpleTokenizer

    described = config_to_open_clip(config)
    described["vision_cfg"]["pool_type"] = "avg"
    module = open_clip.CustomTextCLIP(**described).eval().requires_grad_(False)
    return Model.wrap(module, TOLD, SimpleTokenizer(context_length=16), name="small-other")


@pytest.fixture(scope="session")
def vit() -> Model:
    return small("vit")


@pytest.fixture(scope="session")
def resnet() -> Model:
    """Its attention pooling has 7 x 7 cells."""
    return small("resnet", 224)


@pytest.fixture(scope="session")
def other() -> Model:
    return small("other")


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((60, 44), Image.Resampling.BICUBIC)
