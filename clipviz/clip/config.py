"""The shape of a CLIP, and nothing else: enough numbers to build the network with no weights at hand."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ViTConfig:
    """A vision transformer (Dosovitskiy et al. 2020) with CLIP's extra layer norm before the first block."""

    image_size: int = 224
    patch_size: int = 32
    width: int = 768
    layers: int = 12
    head_width: int = 64
    mlp_ratio: float = 4.0

    @property
    def heads(self) -> int:
        return self.width // self.head_width

    @property
    def grid(self) -> int:
        """Patches along one side of the picture."""
        return self.image_size // self.patch_size


@dataclass(frozen=True)
class ResNetConfig:
    """A modified ResNet (section 2.4 of the paper): ResNet-D stem, anti-aliased strides, attention pooling."""

    image_size: int = 224
    layers: tuple[int, int, int, int] = (3, 4, 6, 3)
    width: int = 64
    head_width: int = 64

    @property
    def features(self) -> int:
        """Channels of the last stage."""
        return self.width * 32

    @property
    def heads(self) -> int:
        return self.features // self.head_width

    @property
    def grid(self) -> int:
        """Cells along one side of the last stage."""
        return self.image_size // 32


@dataclass(frozen=True)
class TextConfig:
    """A causal text transformer (Radford et al. 2019) pooled at the end-of-text token."""

    context_length: int = 77
    vocab_size: int = 49408
    width: int = 512
    heads: int = 8
    layers: int = 12


@dataclass(frozen=True)
class CBOWConfig:
    """A bag of words: the mean of token embeddings. The paper gives it no dimensions; this width is its
    smallest text transformer's, so that a token means as many numbers to the one as to the other."""

    context_length: int = 77
    vocab_size: int = 49408
    width: int = 512


@dataclass(frozen=True)
class Config:
    """A whole CLIP: two towers, one embedding space.

    ``quick_gelu`` is the activation ``x * sigmoid(1.702 x)`` of the released weights. It cannot be
    seen in a state dict, and the wrong one gives plausible, wrong numbers: always say which.
    """

    embed_dim: int = 512
    vision: ViTConfig | ResNetConfig = field(default_factory=ViTConfig)
    text: TextConfig | CBOWConfig = field(default_factory=TextConfig)
    quick_gelu: bool = True


# The paper's nine (tables 19 and 20), as they were trained: with QuickGELU.
ARCHITECTURES: dict[str, Config] = {
    "RN50": Config(1024, ResNetConfig(224, (3, 4, 6, 3), 64), TextConfig(width=512, heads=8)),
    "RN101": Config(512, ResNetConfig(224, (3, 4, 23, 3), 64), TextConfig(width=512, heads=8)),
    "RN50x4": Config(640, ResNetConfig(288, (4, 6, 10, 6), 80), TextConfig(width=640, heads=10)),
    "RN50x16": Config(768, ResNetConfig(384, (6, 8, 18, 8), 96), TextConfig(width=768, heads=12)),
    "RN50x64": Config(1024, ResNetConfig(448, (3, 15, 36, 10), 128), TextConfig(width=1024, heads=16)),
    "ViT-B-32": Config(512, ViTConfig(224, 32, 768, 12), TextConfig(width=512, heads=8)),
    "ViT-B-16": Config(512, ViTConfig(224, 16, 768, 12), TextConfig(width=512, heads=8)),
    "ViT-L-14": Config(768, ViTConfig(224, 14, 1024, 24), TextConfig(width=768, heads=12)),
    "ViT-L-14-336": Config(768, ViTConfig(336, 14, 1024, 24), TextConfig(width=768, heads=12)),
}
