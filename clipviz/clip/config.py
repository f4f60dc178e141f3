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
class Config:
    """A whole CLIP: two towers, one embedding space.

    ``quick_gelu`` is the activation ``x * sigmoid(1.702 x)`` of the released weights. It cannot be
    seen in a state dict, and the wrong one gives plausible, wrong numbers: always say which.
    """

    embed_dim: int = 512
    vision: ViTConfig | ResNetConfig = field(default_factory=ViTConfig)
    text: TextConfig = field(default_factory=TextConfig)
    quick_gelu: bool = True
