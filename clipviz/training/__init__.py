"""Train a CLIP from a recipe: the first trainer, small and plain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .recipe import DataRecipe, ModelRecipe, OptimRecipe, Recipe, read_recipe

if TYPE_CHECKING:
    from .loop import train

__all__ = ["DataRecipe", "ModelRecipe", "OptimRecipe", "Recipe", "read_recipe", "train"]


def __getattr__(name: str) -> Any:
    # The loop imports torch; the processes that draw pictures import this package and have no use for it.
    if name == "train":
        from .loop import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
