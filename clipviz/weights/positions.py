"""Another input size: the position embeddings of the picture's cells, interpolated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import Tensor

from ..clip import Config, ResNetConfig, resize_positions
from ..errors import ModelError


def resize_config(config: Config, image_size: int) -> Config:
    """``config`` for pictures of ``image_size`` pixels; ModelError where that is no whole number of cells."""
    cell = 32 if isinstance(config.vision, ResNetConfig) else config.vision.patch_size
    if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < cell or image_size % cell:
        near = max(cell, round(image_size / cell) * cell) if isinstance(image_size, (int, float)) else 7 * cell
        raise ModelError(f"image_size={image_size!r} is no multiple of the model's {cell} px cells: take {near}.")
    return dataclasses.replace(config, vision=dataclasses.replace(config.vision, image_size=image_size))


def fit_positions(state: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """``state`` with the vision tower's position embeddings interpolated to the grid of ``config``.

    As open_clip does when it loads, and for the ResNet's attention pooling too. Unchanged where the grid is the same.
    """
    attnpool = isinstance(config.vision, ResNetConfig)
    name = "visual.attnpool.positional_embedding" if attnpool else "visual.positional_embedding"
    if name not in state:
        return dict(state)  # `build` says what is missing
    return {**state, name: resize_positions(state[name], config.vision.grid)}
