"""What a CLIP costs: floating-point operations of one picture and one text, from the shape alone."""

from __future__ import annotations

from typing import NamedTuple

from .config import CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig


class Flops(NamedTuple):
    """Operations of one picture and of one text, two for every multiply-add."""

    image: int
    text: int


def flops(config: Config) -> Flops:
    """The operations of convolutions and matrix products, as the paper's network is written.

    Counted as published tables do: texts of full length, every token in every block, every cell asking in a
    ResNet's attention pooling. What `CLIP` spares (tokens that nobody reads) is not taken off, and norms,
    activations and sums, some hundredths, are not added.

    >>> round(flops(Config()).image / 1e9, 1)
    8.8
    """
    vision, text, embed_dim = config.vision, config.text, config.embed_dim
    image = _resnet(vision, embed_dim) if isinstance(vision, ResNetConfig) else _vit(vision, embed_dim)
    words = text.width * embed_dim if isinstance(text, CBOWConfig) else _text(text, embed_dim)
    return Flops(2 * image, 2 * words)


def _transformer(length: int, width: int, layers: int, mlp_width: int) -> int:
    attention = 4 * length * width**2 + 2 * length**2 * width  # q, k, v and out; q @ k and probs @ v
    return layers * (attention + 2 * length * width * mlp_width)


def _vit(config: ViTConfig, embed_dim: int) -> int:
    patches = config.grid**2
    embed = patches * 3 * config.patch_size**2 * config.width
    blocks = _transformer(1 + patches, config.width, config.layers, int(config.width * config.mlp_ratio))
    return embed + blocks + config.width * embed_dim


def _text(config: TextConfig, embed_dim: int) -> int:
    blocks = _transformer(config.context_length, config.width, config.layers, 4 * config.width)
    return blocks + config.width * embed_dim


def _resnet(config: ResNetConfig, embed_dim: int) -> int:
    width, cells = config.width, (config.image_size // 2) ** 2
    total = cells * 9 * (3 * width // 2 + (width // 2) ** 2 + width // 2 * width)  # the stem, before its pool
    inside, cells = width, cells // 4
    for stage, blocks in enumerate(config.layers):
        planes = width * 2**stage
        for block in range(blocks):
            total += cells * (inside * planes + 9 * planes**2)  # a stride comes after these two
            if block == 0:
                cells //= 4 if stage else 1
                total += cells * inside * 4 * planes  # the shortcut
            total += cells * planes * 4 * planes
            inside = 4 * planes
    length, features = 1 + cells, config.features
    return total + length * (3 * features**2 + features * embed_dim) + 2 * length**2 * features
