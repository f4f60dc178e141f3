"""`Stored`: the rows and vectors of one or several stores on disk, in one order, read where they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .cache import Use, using
from .layout import FAILED, count_rows, damaged, open_vectors, read_rows, rows_file, vectors_file, whole_parts
from .manifest import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from ..model import Model
    from .queries import Block, Places

# A block of float32 that stays in a core's own cache between its conversion and its product: on two cores 1 MB to 4 MB
# were equal, and 32 MB took a third longer.
_BLOCK_BYTES = 2 * 2**20


@dataclass(frozen=True)
class Piece:
    """A part of a store: its folder, its number in it, how many rows it has."""

    folder: Path
    number: int
    rows: int


@dataclass(frozen=True, eq=False)
class Stored:
    """Parts of stores of one model, one behind the other; ``manifests`` has one for each of ``folders``.

    A row's place counts over all pieces. No file stays open between two calls, and no vector stays in memory.
    """

    folders: tuple[Path, ...]
    manifests: tuple[Manifest, ...]
    pieces: tuple[Piece, ...]
    uses: tuple[Use, ...] = ()  # of the cache, which keeps what is in use

    @classmethod
    def at(cls, folder: str | os.PathLike[str]) -> Stored:
        """The store in ``folder``, every part looked at: DataError where a file is gone, cut off or not of the rest."""
        path, manifest = Path(folder), Manifest.read(folder)
        uses, numbers = using(path), whole_parts(path)
        _sound(path, manifest, numbers)
        return cls((path,), (manifest,), tuple(_piece(path, manifest, number) for number in numbers), uses)

    @classmethod
    def of(cls, several: Sequence[Stored]) -> Stored:
        """Stores one behind the other; the caller has seen that they are of one model."""
        return cls(*(tuple(x for one in several for x in getattr(one, name)) for name in cls.__dataclass_fields__))

    @property
    def manifest(self) -> Manifest:
        """The first store's; of several, the model and the settings of all."""
        return self.manifests[0]

    @property
    def width(self) -> int:
        return int(self.manifest.model["embed_dim"])

    @property
    def half_precision(self) -> bool:
        """Whether every vector is stored as float16."""
        return all(one.settings["dtype"] == "float16" for one in self.manifests)

    @property
    def where(self) -> str:
        """The folders in words."""
        said = " and ".join(repr(str(folder)) for folder in self.folders[:2])
        return said + (f" and {len(self.folders) - 2} more" if len(self.folders) > 2 else "")

    @cached_property
    def starts(self) -> Places:
        """The place of each piece's first row, and the number of all rows."""
        return np.cumsum([0, *(piece.rows for piece in self.pieces)], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def model(self) -> Model:
        """The model that made the vectors, loaded again; ModelError where the manifest alone cannot say how."""
        from .reopening import load_model

        return load_model(self.manifest, self.where)

    def blocks(self, rows: Places | None = None, size: int | None = None) -> Iterator[Block]:
        """(how many came before, vectors [b, E] float32) of ``rows``, ascending places, or of all.

        A block is overwritten by the next one. ``size`` is of all but the last; by default what suits a product.
        """
        import torch  # converts float16 ten times as fast as numpy

        size = size or max(64, _BLOCK_BYTES // (4 * self.width))
        total = len(self) if rows is None else len(rows)
        room = torch.empty((min(size, total), self.width))
        block = room.numpy()
        opened: tuple[int, NDArray[Any]] | None = None
        for first in range(0, total, size):
            stop, filled = min(first + size, total), 0
            for place, local in self._by_piece(first, stop, rows):
                if opened is None or opened[0] != place:
                    opened = place, self._open(place)
                taken = torch.from_numpy(opened[1][local])
                room[filled : filled + len(taken)].copy_(taken)
                filled += len(taken)
            yield first, block[: stop - first]

    def table(self, rows: Places | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """``id`` and metadata (or the ``columns`` named) of ``rows``, ascending places, or of all.

        A column that one of several stores lacks is empty there.
        """
        import pyarrow as pa

        found = []
        for place, local in self._by_piece(0, len(self) if rows is None else len(rows), rows):
            piece = self.pieces[place]
            known = ("id", *self._manifest_of(piece).columns)
            wanted = known if columns is None else [name for name in columns if name in known]
            part = read_rows(piece.folder, piece.number, list(wanted))
            if len(part) != piece.rows:
                raise damaged(rows_file(piece.folder, piece.number), f"{len(part)} rows, not {piece.rows}")
            found.append(part[local] if isinstance(local, slice) else part.take(pa.array(local)))
        nothing = pa.schema([(name, kind) for name, kind in self.types.items() if columns is None or name in columns])
        whole = pa.concat_tables([nothing.empty_table(), *found], promote_options="default")
        return whole if columns is None else whole.select([name for name in columns if name in whole.column_names])

    @cached_property
    def types(self) -> dict[str, pa.DataType]:
        """The Arrow type of ``id`` and of each metadata column, of all stores."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        found: dict[str, pa.DataType] = {"id": pa.string()}
        for folder in self.folders:
            piece = next((piece for piece in self.pieces if piece.folder == folder), None)
            if piece is not None:
                schema = pq.read_schema(rows_file(folder, piece.number))
                for name, kind in zip(schema.names, schema.types, strict=True):
                    found.setdefault(name, kind)
        return found

    def failed(self) -> list[tuple[str, str]]:
        """(id, reason) of what the stores could not embed."""
        import csv

        found: list[tuple[str, str]] = []
        for folder in dict.fromkeys(self.folders):
            if (path := folder / FAILED).is_file():
                with path.open(encoding="utf-8", newline="") as file:
                    found += [(row["id"], row["reason"]) for row in csv.DictReader(file)]
        return found

    def _manifest_of(self, piece: Piece) -> Manifest:
        return self.manifests[self.folders.index(piece.folder)]

    def _open(self, place: int) -> NDArray[Any]:
        piece = self.pieces[place]
        path = vectors_file(piece.folder, piece.number)
        mapped = open_vectors(piece.folder, piece.number)
        if mapped.shape != (piece.rows, self.width):
            raise damaged(path, f"{mapped.shape}, not {piece.rows} rows")
        if not isinstance(mapped, np.memmap):
            return mapped
        # copy-on-write, because torch warns of memory that it may not write; nothing is written, and nothing copied
        return np.memmap(path, mapped.dtype, "c", mapped.offset, mapped.shape)

    def _by_piece(self, first: int, stop: int, rows: Places | None) -> Iterator[tuple[int, slice | Places]]:
        """(piece, rows in it) for the places first to stop of ``rows``; runs of neighbours as a slice."""
        if first >= stop:
            return
        wanted = None if rows is None else rows[first:stop]
        low, high = (first, stop - 1) if wanted is None else (int(wanted[0]), int(wanted[-1]))
        start_piece, last_piece = (int(p) for p in np.searchsorted(self.starts, [low, high], side="right") - 1)
        for place in range(start_piece, last_piece + 1):
            begin, end = int(self.starts[place]), int(self.starts[place + 1])
            if wanted is None:
                a, b = max(low, begin), min(high + 1, end)
                if a < b:
                    yield place, slice(a - begin, b - begin)
                continue
            inside = wanted[slice(*np.searchsorted(wanted, [begin, end]))] - begin
            if len(inside):
                dense = int(inside[-1] - inside[0]) + 1 == len(inside)
                yield place, slice(int(inside[0]), int(inside[-1]) + 1) if dense else inside


def _sound(path: Path, manifest: Manifest, numbers: Sequence[int]) -> None:
    """DataError where a manifest lacks what is read from it, or a store that says it is complete lacks a part."""
    try:
        wanted = -(-int(manifest.counts.get("pictures", 0)) // int(manifest.settings["part_size"]))
        int(manifest.model["embed_dim"]), str(manifest.settings["dtype"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise DataError(
            f"The manifest of {str(path)!r} is damaged ({type(error).__name__}: {error}); restore it, or embed into "
            "another out."
        ) from error
    gone = sorted(set(range(wanted)) - set(numbers)) if manifest.complete else []
    if gone:
        raise DataError(
            f"The store {str(path)!r} says that it is complete, and {len(gone)} of its {wanted} parts are gone, the "
            f"first is part {gone[0]}; run embed on the same data and store again, and they are made anew."
        )
    if not numbers:
        raise DataError(
            f"The store {str(path)!r} holds no vectors yet; run embed on the same data and store again, to its end."
        )


def _piece(path: Path, manifest: Manifest, number: int) -> Piece:
    rows, vectors = count_rows(path, number), open_vectors(path, number)
    if len(vectors) != rows:
        raise damaged(vectors_file(path, number), f"{len(vectors)} vectors, and {rows} rows in the file beside it")
    if vectors.shape[1] != manifest.model["embed_dim"]:
        raise damaged(
            vectors_file(path, number),
            f"vectors of {vectors.shape[1]} numbers, and the manifest's model gives {manifest.model['embed_dim']}",
        )
    return Piece(path, number, rows)
