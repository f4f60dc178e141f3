"""Where things lie in a store of embeddings, which is a folder, and how they are read.

    manifest.json           what made the store: model, data, settings, counts (`Manifest`); all that tells the time of
                            a run is under its key "times"
    vectors-00000.npy       unit vectors [n, E] of part 0, float16 or float32: mapped into memory, never unpickled
    rows-00000.parquet      their n rows: ``id`` (string), then the metadata columns
    record-00000.parquet    every picture that part 0 was to hold, the failed ones too, in the order of the source:
                            ``id``, ``size`` (bytes) and ``sha256`` of the picture as it is stored (null where it could
                            not be read), ``file_size`` and ``file_mtime_ns`` of the file that it lies in (null where
                            there is none), ``reason`` (null where it was embedded)
    failed.csv              ``id``, ``reason`` of what could not be embedded, put together from the records

Part k holds the pictures at the places [k * part_size, (k + 1) * part_size) of the source, so what it holds is fixed
before anything is computed. Rows and vectors hold those that were embedded; there may be none. A part's files are
written aside and renamed, ``record`` last, and where a part is written again its record goes first: a part is whole
where its record is there, and only then. A store whose run was stopped lacks parts, and can be read all the same. Ids
are as in the source; what is no UTF-8 in one is written with backslashes. Hidden files are drafts or a lock of a run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST, FAILED = "manifest.json", "failed.csv"
PART_SIZE = 4096
DTYPES = ("float32", "float16")
DRAFTS = re.compile(r"\.(manifest|failed|(vectors|rows|record)-\d+)\.\d+\.[0-9a-f]+\.(json|csv|npy|parquet)")
_RECORD = re.compile(r"record-(\d{5,})\.parquet")


@dataclass(frozen=True)
class Part:
    """Places ``start`` to ``stop`` (not included) of a source."""

    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def plan(total: int, part_size: int = PART_SIZE) -> list[Part]:
    """The parts of a source of ``total`` pictures.

    >>> [len(part) for part in plan(10, 4)]
    [4, 4, 2]
    """
    starts = range(0, total, part_size)
    return [Part(number, start, min(start + part_size, total)) for number, start in enumerate(starts)]


def vectors_file(folder: str | os.PathLike[str], number: int) -> Path:
    return Path(folder) / f"vectors-{number:05d}.npy"


def rows_file(folder: str | os.PathLike[str], number: int) -> Path:
    return Path(folder) / f"rows-{number:05d}.parquet"


def record_file(folder: str | os.PathLike[str], number: int) -> Path:
    return Path(folder) / f"record-{number:05d}.parquet"


def whole_parts(folder: str | os.PathLike[str]) -> list[int]:
    """The numbers of the parts that are whole, ascending.

    >>> whole_parts("stores/faces")  # doctest: +SKIP
    [0, 1, 2]
    """
    found = (_RECORD.fullmatch(name) for name in os.listdir(folder))
    return sorted(int(match[1]) for match in found if match)


def read_rows(folder: str | os.PathLike[str], number: int, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a part, those embedded: ``id`` and metadata, or the ``columns`` named."""
    return _table(rows_file(folder, number), columns)


def read_record(folder: str | os.PathLike[str], number: int, columns: Sequence[str] | None = None) -> pa.Table:
    """What is known of every picture of a part, embedded or failed."""
    return _table(record_file(folder, number), columns)


def count_rows(folder: str | os.PathLike[str], number: int) -> int:
    """How many pictures of a part were embedded, from the end of its rows file alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = rows_file(folder, number)
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error


def open_vectors(folder: str | os.PathLike[str], number: int) -> NDArray[Any]:
    """Unit vectors [n, E] of a part, float16 or float32, mapped read-only; no more is read than is used.

    Raises DataError where the file is gone, cut off or no array of vectors.
    """
    path = vectors_file(folder, number)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            at, length = file.tell(), os.fstat(file.fileno()).st_size
        if (
            len(shape) != 2
            or fortran
            or dtype.name not in DTYPES
            or length != at + shape[0] * shape[1] * dtype.itemsize
        ):
            raise ValueError(f"{length} bytes, {shape} {dtype}")
        if not shape[0]:  # nothing can be mapped
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype=dtype, mode="r", offset=at, shape=shape)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def _table(path: Path, columns: Sequence[str] | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns=None if columns is None else list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: BaseException | str) -> DataError:
    """What to say of a part's file that cannot be read."""
    return DataError(
        f"{str(path)!r} is gone or damaged ({str(error).splitlines()[0][:200] if str(error) else 'cut off'}); "
        "run embed on the same data and store again, and the part is made anew."
    )
