"""Train a CLIP from a recipe: exact at any batch, resumable at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .data_recipe import CaptionRecipe, DataRecipe, SourceRecipe
from .reading import read_recipe
from .recipe import KeepRecipe, LossRecipe, MemoryRecipe, ModelRecipe, OptimRecipe, Recipe

if TYPE_CHECKING:
    from .export import model_at
    from .loop import train

__all__ = [
    "CaptionRecipe",
    "DataRecipe",
    "KeepRecipe",
    "LossRecipe",
    "MemoryRecipe",
    "ModelRecipe",
    "OptimRecipe",
    "Recipe",
    "SourceRecipe",
    "model_at",
    "read_recipe",
    "train",
]


def __getattr__(name: str) -> Any:
    # The loop imports torch; the processes that draw pictures import this package and have no use for it.
    if name == "train":
        from .loop import train

        return train
    if name == "model_at":
        from .export import model_at

        return model_at
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
