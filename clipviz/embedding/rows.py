"""`Rows`: what lies in stores as it is asked for: ids, metadata, vectors, as arrays and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import DataError, InputError, nearest
from ..sources import half_of
from .batch import Batch
from .joining import with_columns
from .manifest import Manifest
from .queries import Floats, Places
from .stored import Stored

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


BATCH = 8192


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of stores, all or some: their ids, metadata and vectors, read block by block when they are asked for."""

    stored: Stored
    rows: Places | None = None  # places in ``stored``, ascending; None for all
    joined: pa.Table | None = None  # columns beside the stored ones, in the order of the rows
    part: str = "all"

    def __len__(self) -> int:
        return len(self.stored) if self.rows is None else len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, numbers a vector)."""
        return len(self), self.stored.width

    @property
    def manifest(self) -> Manifest:
        """What made the store; of several, the first's: model and settings are those of all."""
        return self.stored.manifest

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The id of each row, in order."""
        return tuple(self.stored.table(self.rows, ["id"])["id"].to_pylist())

    @cached_property
    def types(self) -> dict[str, pa.DataType]:
        """The Arrow type of each metadata column."""
        own = {name: kind for name, kind in self.stored.types.items() if name != "id"}
        more = {} if self.joined is None else dict(zip(self.joined.schema.names, self.joined.schema.types, strict=True))
        return own | more

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the metadata."""
        return tuple(self.types)

    @property
    def metadata(self) -> pd.DataFrame:
        """The metadata, one row a picture, indexed by ``id``; read anew each time."""
        return self.table().to_pandas().set_index("id")

    @property
    def failed(self) -> list[tuple[str, str]]:
        """(id, reason) of what could not be embedded, of the whole store or of the half."""
        return [pair for pair in self.stored.failed() if self.part in ("all", half_of(pair[0]))]

    @property
    def provenance(self) -> dict[str, Any]:
        """Plain values for JSON: the model, how and of what the vectors were made, and which half these are."""
        data = [dict(one.data) for one in self.stored.manifests]
        return {
            "model": {name: value for name, value in self.manifest.model.items() if name != "seen_token_ids"},
            "settings": dict(self.manifest.settings),
            "data": data[0] if len(data) == 1 else data,
            "rows": len(self),
            "half": self.part,
            "versions": dict(self.manifest.versions),
        }

    # ---- as arrays and tables

    def to_numpy(self) -> Floats:
        """All vectors [n, E], float32, in memory."""
        found = np.empty(self.shape, np.float32)
        for first, block in self.stored.blocks(self.rows):
            found[first : first + len(block)] = block
        return found

    def to_pandas(self, *, vectors: bool = False) -> pd.DataFrame:
        """A row a picture: ``id``, the metadata and, where asked for, ``vector`` (an array a row)."""
        table = self.table().to_pandas()
        return table.assign(vector=list(self.to_numpy())) if vectors else table

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """``id`` and metadata, or the ``columns`` named, as an Arrow table."""
        return with_columns(self.stored.table(self.rows, columns), self.joined, columns)

    def iter_batches(self, size: int = BATCH) -> Iterator[Batch]:
        """Batches of ``size`` rows, the last one smaller: ids, vectors [b, E] float32, metadata."""
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"size={size!r} is no number of rows; type a whole number from 1 on.")
        for table, block in self.tables(size):
            metadata = table.to_pandas().set_index("id")
            yield Batch(tuple(metadata.index), block.copy(), metadata)

    def tables(self, size: int) -> Iterator[tuple[pa.Table, Floats]]:
        """(``id`` and metadata, vectors [b, E] float32) of ``size`` rows at a time; the next overwrites the vectors."""
        for first, block in self.stored.blocks(self.rows, size):
            yield self._cut(first, len(block)).table(), block

    # ---- what the others are made of

    def place(self, key: int | str) -> int:
        """The place of a row, by its id or (from either end) its number."""
        if isinstance(key, str):
            if key not in self._index:
                raise DataError(f"There is no row {key!r} in {self.stored.where}. {nearest(key, self.ids)}")
            return self._index[key]
        if isinstance(key, bool) or not isinstance(key, int | np.integer) or not -len(self) <= key < len(self):
            raise DataError(f"A row is an id or a place from 0 to {len(self) - 1}, got {key!r}.")
        return int(key) % len(self)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.ids)}

    @property
    def _places(self) -> Places:
        return np.arange(len(self.stored)) if self.rows is None else self.rows

    def _rows_at(self, places: Places) -> Self:
        """The rows at ascending places."""
        import pyarrow as pa

        joined = None if self.joined is None else self.joined.take(pa.array(places))
        return replace(self, rows=self._places[places], joined=joined)

    def _cut(self, first: int, count: int) -> Self:
        rows = np.arange(first, first + count) if self.rows is None else self.rows[first : first + count]
        return replace(self, rows=rows, joined=None if self.joined is None else self.joined.slice(first, count))
