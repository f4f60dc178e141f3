"""Train a CLIP from a recipe: exact at any batch, resumable at any moment."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .data_recipe import CaptionRecipe, DataRecipe, SourceRecipe
from .reading import read_recipe
from .recipe import KeepRecipe, LossRecipe, MemoryRecipe, ModelRecipe, OptimRecipe, Recipe

if TYPE_CHECKING:
    from .checked import Check
    from .export import model_at
    from .log import curves
    from .loop import train
    from .preview import check

__all__ = [
    "CaptionRecipe",
    "Check",
    "DataRecipe",
    "KeepRecipe",
    "LossRecipe",
    "MemoryRecipe",
    "ModelRecipe",
    "OptimRecipe",
    "Recipe",
    "SourceRecipe",
    "check",
    "curves",
    "model_at",
    "read_recipe",
    "train",
]


# What imports torch or draws: the processes that draw pictures import this package and have no use for it.
_LATER = {"Check": "checked", "check": "preview", "curves": "log", "model_at": "export", "train": "loop"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
