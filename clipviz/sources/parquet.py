"""Parquet with the bytes of pictures in a column, read row group by row group."""

from __future__ import annotations

import copy
import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipviz.errors import DataError, nearest
from clipviz.sources.base import Source, told
from clipviz.sources.cache import Recent

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH = 64  # rows held at once; a row may be a photograph of some megabytes
KEPT = 512 * 2**20  # bytes of row groups kept for access out of order; a larger group is kept alone


class ParquetSource(Source):
    """The rows of one or several Parquet files of the same columns, in their order.

    ``image_column`` holds the bytes of a JPEG, PNG, ... or a struct with a field ``bytes``, as Hugging Face writes it.
    Only the ids are read at the start; pictures are read in small batches, and row groups without a chosen row are not
    touched. Access to single rows keeps the row groups read last, up to ``KEPT`` bytes, in each process for itself.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        image: str | None = None,
        id: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.files = tuple(files)
        self.where_from = told(files)
        # (file, row group, first row, rows), rows counted over all files
        self._groups: list[tuple[Path, int, int, int]] = []
        start, ids, schema = 0, [], None
        for path in self.files:
            with _opened(path) as file:
                if schema is None:
                    schema = file.schema_arrow
                    self.image_column = _image_column(schema, image, path)
                    self.id_column = _id_column(schema, id, path)
                    self.columns = _columns(schema, columns, (self.image_column, self.id_column), path)
                for name in (self.image_column, self.id_column, *self.columns):
                    if name is not None:
                        _known(file.schema_arrow, name, path)
                _picture_type(file.schema_arrow, self.image_column, path)
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    self._groups.append((path, group, start, rows))
                    start += rows
                if self.id_column is not None:
                    ids += file.read(columns=[self.id_column])[self.id_column].to_pylist()
        if self.id_column is None:
            ids = list(range(start))
        if any(name is None for name in ids):
            raise DataError(
                f"The id column {self.id_column!r} of {self.where_from} has empty cells, the first in row "
                f"{ids.index(None)}; fill them, or name another column with id=."
            )
        super().__init__([str(name) for name in ids])
        self._starts = [first for _, _, first, _ in self._groups]
        self._recent: Recent[tuple[int, str], pa.ChunkedArray] = Recent(KEPT)

    def _batches(
        self, rows: Sequence[int], columns: Sequence[str], size: int = BATCH
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """(row, the named columns) for ascending rows."""
        wanted, at = list(rows), 0
        for path, group, start, count in self._groups:
            end = at
            while end < len(wanted) and wanted[end] < start + count:
                end += 1
            if end == at:
                continue
            with _opened(path) as file:
                first = start
                for batch in file.iter_batches(size, row_groups=[group], columns=list(columns), use_threads=False):
                    inside = []
                    while at < end and wanted[at] < first + len(batch):
                        inside.append(wanted[at] - first)
                        at += 1
                    if inside:
                        taken = batch.take(inside).to_pylist() if columns else [{} for _ in inside]
                        yield from zip((first + i for i in inside), taken, strict=True)
                    first += len(batch)
                    if at == end:
                        break

    def _pictures(self, rows: Sequence[int], columns: Sequence[str]) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
        for row, values in self._batches(rows, [self.image_column, *columns]):
            yield row, _bytes_of(values[self.image_column]), {column: values[column] for column in columns}

    def _read(self, rows: Sequence[int]) -> Iterator[tuple[int, Any, dict[str, Any]]]:
        return self._pictures(rows, self.columns)

    def _cells(self, row: int, columns: Sequence[str]) -> dict[str, Any]:
        """The named columns of one row, from the row groups read last where they hold it."""
        # groups without rows share their start with the next one, which is the last of them
        place = bisect_right(self._starts, row) - 1
        path, group, start, _ = self._groups[place]
        found = {name: self._recent.get((place, name)) for name in columns}
        missing = [name for name, column in found.items() if column is None]
        if missing:
            with _opened(path) as file:
                table = file.read_row_group(group, columns=missing, use_threads=False)
            for name in missing:
                found[name] = self._recent.put((place, name), table[name], table[name].nbytes)
        return {name: column[row - start].as_py() for name, column in found.items() if column is not None}

    def _one(self, row: int) -> tuple[Any, dict[str, Any]]:
        values = self._cells(row, list(dict.fromkeys((self.image_column, *self.columns))))
        return _bytes_of(values[self.image_column]), {column: values[column] for column in self.columns}

    def _encoded(self, row: int) -> Any:
        return _bytes_of(self._cells(row, [self.image_column])[self.image_column])

    def _file(self, row: int) -> Path | None:
        return self._groups[bisect_right(self._starts, row) - 1][0]

    def in_order(self) -> Source:
        part = copy.copy(self)
        part._recent = Recent(0)  # which keeps the newest group alone
        return part

    def _contents(self, rows: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
        for row, data, _ in self._pictures(rows, ()):
            yield row, len(data), hashlib.sha256(data).digest()

    def _metadata(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        if not self.columns:
            return [{} for _ in rows]
        return [values for _, values in self._batches(rows, self.columns, size=64 * BATCH)]


def _bytes_of(cell: Any) -> bytes:
    """A cell of the picture column -> the picture's bytes; none for an empty cell."""
    return (cell.get("bytes") if isinstance(cell, dict) else cell) or b""


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        with path.open("rb") as stream:
            head = stream.read(4)
        if head == b"PAR1":
            raise DataError(
                f"The Parquet file {str(path)!r} is damaged or cut off ({error}); copy it again."
            ) from error
        raise DataError(
            f"{str(path)!r} is no Parquet file (it begins with {head!r}); pass a folder of pictures or a Parquet file."
        ) from error


def _known(schema: pa.Schema, name: str, path: Path) -> None:
    if name not in schema.names:
        raise DataError(f"There is no column {name!r} in {str(path)!r}. {nearest(name, schema.names)}")


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _is_picture(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(child.name == "bytes" and _is_bytes(child.type) for child in kind)
    return _is_bytes(kind)


def _picture_type(schema: pa.Schema, name: str, path: Path) -> None:
    kind = schema.field(name).type
    if not _is_picture(kind):
        others = [f.name for f in schema if _is_picture(f.type)]
        hint = f"name another column with image=, such as {others[0]!r}" if others else "store the files' bytes"
        raise DataError(f"The column {name!r} of {str(path)!r} is {kind}, bytes of picture files are wanted; {hint}.")


def _image_column(schema: pa.Schema, name: str | None, path: Path) -> str:
    pictures = [f.name for f in schema if _is_picture(f.type)]
    if name is None:
        name = "image" if "image" in schema.names else pictures[0] if len(pictures) == 1 else None
    if name is None:
        got = f"the columns {', '.join(map(repr, pictures))} hold bytes" if pictures else "no column holds bytes"
        raise DataError(
            f"{str(path)!r} has no column 'image', and {got}; name the one of the pictures with image= "
            f"(columns: {', '.join(schema.names)})."
        )
    _known(schema, name, path)
    _picture_type(schema, name, path)
    return name


def _id_column(schema: pa.Schema, name: str | None, path: Path) -> str | None:
    if name is not None:
        _known(schema, name, path)
        return name
    return next((usual for usual in ("file", "id") if usual in schema.names), None)


def _columns(
    schema: pa.Schema, names: Sequence[str] | None, taken: tuple[str | None, ...], path: Path
) -> tuple[str, ...]:
    if names is None:
        return tuple(name for name in schema.names if name not in taken)
    for name in names:
        _known(schema, name, path)
    return tuple(names)
