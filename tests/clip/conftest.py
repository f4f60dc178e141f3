"""Small CLIPs of every kind, and the same weights inside open_clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from clipviz.clip import CLIP, Config, ResNetConfig, TextConfig, ViTConfig

# Every dimension differs from every other where it can, so that a mix-up of two of them does not pass.
TEXT = TextConfig(context_length=16, vocab_size=64, width=32, heads=4, layers=3)
SMALL = {
    "vit": Config(24, ViTConfig(image_size=40, patch_size=8, width=48, layers=3, head_width=8), TEXT),
    "resnet": Config(24, ResNetConfig(image_size=96, layers=(1, 2, 1, 2), width=8, head_width=16), TEXT),
}


def randomise(clip: CLIP, seed: int = 0) -> CLIP:
    """Values that hide nothing: no bias or running mean is 0, no gain or running variance is 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*clip.named_parameters(), *clip.named_buffers()]:
            if name.endswith(("bias", "running_mean")):
                tensor.normal_(0, 0.1, generator=generator)
            elif name.endswith("running_var"):
                tensor.uniform_(0.1, 0.5, generator=generator)
            elif tensor.ndim == 1 and name.endswith("weight"):
                tensor.uniform_(0.5, 1.5, generator=generator)
    return clip.eval().requires_grad_(False)


def pictures(n: int, size: int, seed: int = 0) -> Tensor:
    """Blotches of different coarseness, as different from each other as photographs are: [n, 3, size, size]."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for i in range(n):
        coarse = torch.randn(1, 3, 2 + 2 * (i % 4), 2 + 2 * (i % 4), generator=generator)
        found.append(F.interpolate(coarse, size=(size, size), mode="bilinear"))
    return torch.cat(found) + 0.2 * torch.randn(n, 3, size, size, generator=generator)


def captions(n: int, config: TextConfig, seed: int = 0) -> Tensor:
    """Token ids [n, context]: start, words, end, padding of 0. The longest fills the context."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.zeros(n, config.context_length, dtype=torch.long)
    for i in range(n):
        words = config.context_length - 2 if i == 0 else 1 + (5 * i) % (config.context_length - 2)
        tokens[i, 0] = config.vocab_size - 2
        tokens[i, 1 : 1 + words] = torch.randint(0, config.vocab_size - 2, (words,), generator=generator)
        tokens[i, 1 + words] = config.vocab_size - 1
    return tokens


def in_open_clip(clip: CLIP, model_cfg: dict[str, Any]) -> torch.nn.Module:
    """open_clip's network of ``model_cfg`` on the very tensors of ``clip``."""
    from open_clip.model import CLIP as Peer

    with torch.device("meta"):  # its initialisation would cost a minute for the largest
        peer = Peer(**{k: v for k, v in model_cfg.items() if k != "custom_text"})
    state = {name.removeprefix("text."): tensor for name, tensor in clip.state_dict().items()}
    peer.load_state_dict(state, assign=True)
    length = clip.config.text.context_length
    peer.attn_mask = torch.full((length, length), float("-inf")).triu(1)  # a buffer that no state dict holds
    return peer.eval()


@pytest.fixture(scope="session")
def small() -> Callable[..., CLIP]:
    """``small("vit")`` or ``small("resnet")``: a network of every part in miniature, one and the same for all."""
    made: dict[tuple[str, torch.dtype], CLIP] = {}

    def make(kind: str, dtype: torch.dtype = torch.float32) -> CLIP:
        if (kind, dtype) not in made:
            torch.manual_seed(1)
            made[kind, dtype] = randomise(CLIP(SMALL[kind])).to(dtype)
        return made[kind, dtype]

    return make


@pytest.fixture(scope="session")
def make_random() -> Callable[..., CLIP]:
    return randomise


@pytest.fixture(scope="session")
def make_pictures() -> Callable[..., Tensor]:
    return pictures


@pytest.fixture(scope="session")
def make_captions() -> Callable[..., Tensor]:
    return captions


@pytest.fixture(scope="session")
def make_peer() -> Callable[..., torch.nn.Module]:
    return in_open_clip
