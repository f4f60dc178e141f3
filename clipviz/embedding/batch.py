"""`Batch`: some rows of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .queries import Floats

if TYPE_CHECKING:
    import pandas as pd


class Batch(NamedTuple):
    """``ids``, ``vectors`` [b, E] float32 of unit length, and ``metadata``, a row a picture, indexed by id."""

    ids: tuple[str, ...]
    vectors: Floats
    metadata: pd.DataFrame
