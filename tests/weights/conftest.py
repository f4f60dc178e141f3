from __future__ import annotations

import pytest
import torch

from clipviz.clip import CLIP, Config, ResNetConfig, TextConfig, ViTConfig
from clipviz.weights import config_to_open_clip

TEXT = TextConfig(context_length=16, width=64, heads=1, layers=2)


def small_config(kind: str, quick_gelu: bool = True, text: TextConfig = TEXT) -> Config:
    vision = ResNetConfig(64, (1, 1, 1, 2), 8, 64) if kind == "resnet" else ViTConfig(32, 8, 64, 2, 64)
    return Config(24, vision, text, quick_gelu)


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """Random batch-norm statistics and scales too, which would otherwise hide a mistake in their names."""
    torch.manual_seed(1)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name or "weight" in name else tensor + 0.1)
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="session", params=["vit", "resnet"])
def clip(request: pytest.FixtureRequest) -> CLIP:
    torch.manual_seed(0)
    return shaken(CLIP(small_config(request.param)))


@pytest.fixture(scope="session")
def vit() -> CLIP:
    torch.manual_seed(0)
    return shaken(CLIP(small_config("vit")))


@pytest.fixture
def theirs():
    """``theirs(clip, **options)``: the same weights in open_clip's own module."""
    import open_clip

    from clipviz.weights import to_open_clip

    def make(clip: CLIP, custom_text: bool = False) -> torch.nn.Module:
        kind = open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
        module = kind(**config_to_open_clip(clip.config))
        state = clip.state_dict()
        module.load_state_dict(state if custom_text else to_open_clip(state), strict=False)
        return module.eval().requires_grad_(False)

    return make


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return set(a) == set(b) and all(torch.equal(a[k], b[k]) for k in a if not k.endswith("num_batches_tracked"))
