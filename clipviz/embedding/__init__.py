"""A store of embeddings: computed once, kept with all that is needed to trust them, shared by audits and evaluations.

>>> embeddings = clipviz.embed("photographs/", model=clipviz.load(), out="stores/photographs")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .embeddings import Embeddings
    from .texts import embed_texts
    from .verb import embed

__all__ = ["Embeddings", "embed", "embed_texts"]

# Loaded when first used: a process that only decodes pictures imports a module of this room, and needs no torch.
_HOMES = {"Embeddings": "embeddings", "embed": "verb", "embed_texts": "texts"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
