"""Writing a store: a part whole or not at all, the list of what failed, the counts."""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import files
from ..errors import DataError
from ..sources.base import fingerprint_of
from .decoding import Fact
from .layout import DRAFTS, FAILED, Part, read_record, record_file, rows_file, vectors_file, whole_parts
from .metadata import plain

if TYPE_CHECKING:
    import pyarrow as pa

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNREAD = bytes(32)  # in a fingerprint, the hash of a picture that could not be read


def write_part(folder: Path, number: int, rows: pa.Table, vectors: NDArray[Any], record: pa.Table) -> None:
    """Write the files of a part, ``rows`` and ``vectors`` [n, E] of those embedded, ``record`` of all.

    All are written aside before the first is renamed, and the record is renamed last: whatever interrupts this, the
    part is whole as it was, whole as it is now, or missing.
    """
    mark, told, seen = record_file(folder, number), rows_file(folder, number), vectors_file(folder, number)

    def vectors_and_the_end_of_the_old(draft: str) -> None:
        whole = np.ascontiguousarray(vectors)
        with open(draft, "wb") as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(whole))
            file.write(whole.reshape(-1).view(np.uint8).data)  # where it fails it says why, and np.save does not
        if mark.exists():
            mark.unlink()  # nothing can lack room any more; from here on the old part is none
            flush_folder(folder)

    def rows_and_vectors(draft: str) -> None:
        _write_table(rows, draft)
        files.replace(seen, vectors_and_the_end_of_the_old)

    def all_of_it(draft: str) -> None:
        _write_table(record, draft)
        files.replace(told, rows_and_vectors)
        flush_folder(folder)

    files.replace(mark, all_of_it)
    flush_folder(folder)


def write_rows(folder: Path, number: int, rows: pa.Table) -> None:
    """Replace the rows of a part whose vectors stay: the metadata alone has changed."""
    files.replace(rows_file(folder, number), lambda draft: _write_table(rows, draft))


def write_record(folder: Path, number: int, record: pa.Table) -> None:
    """Replace the record of a part whose pictures are the same in files that were touched."""
    files.replace(record_file(folder, number), lambda draft: _write_table(record, draft))


def record_table(ids: Sequence[str], facts: Sequence[Fact]) -> pa.Table:
    """What is known of every picture of a part, as `layout` tells."""
    import pyarrow as pa

    stamps = [fact.stamp or (None, None) for fact in facts]
    return pa.table(
        {
            "id": pa.array([plain(id) for id in ids], pa.string()),
            "size": pa.array([fact.size for fact in facts], pa.int64()),
            "sha256": pa.array([fact.sha256 for fact in facts], pa.binary(32)),
            "file_size": pa.array([size for size, _ in stamps], pa.int64()),
            "file_mtime_ns": pa.array([mtime for _, mtime in stamps], pa.int64()),
            "reason": pa.array([None if f.reason is None else plain(f.reason) for f in facts], pa.string()),
        }
    )


def _write_table(table: pa.Table, path: str) -> None:
    import pyarrow.parquet as pq

    pq.write_table(
        table, path, compression="zstd", use_dictionary=["reason"] if "reason" in table.column_names else True
    )


def flush_folder(folder: Path) -> None:
    """Have the names in a folder reach the disk, where the system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path, parts: int) -> None:
    """Remove the drafts that a killed run left, and parts from ``parts`` on, which the source no longer has."""
    for name in os.listdir(folder):
        if DRAFTS.fullmatch(name):
            (folder / name).unlink()
    for number in whole_parts(folder):
        if number >= parts:
            for path in (record_file(folder, number), rows_file(folder, number), vectors_file(folder, number)):
                path.unlink(missing_ok=True)  # the record first


def conclude(
    folder: Path, ids: Sequence[str], parts: Sequence[Part], lost: Sequence[tuple[str, str]]
) -> tuple[dict[str, int], str | None]:
    """Write failed.csv, and count: what `Manifest.counts` and, where no part is missing, the fingerprint hold."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("id", "reason"))
    counts = {"pictures": len(ids), "done": 0, "failed": 0, "missing": 0}
    there = set(whole_parts(folder))
    fingerprint = fingerprint_of(_contents(folder, ids, parts, there, counts, table))
    table.writerows((plain(name), plain(reason)) for name, reason in lost)
    files.write(folder / FAILED, text.getvalue())
    return {**counts, "lost": len(lost)}, None if counts["missing"] else fingerprint


def _contents(
    folder: Path, ids: Sequence[str], parts: Sequence[Part], there: set[int], counts: dict[str, int], table: Any
) -> Iterator[tuple[str, int, bytes]]:
    """(id, size, hash) of the pictures of the parts that are there, counted and listed on the way."""
    for part in parts:
        if part.number not in there:
            counts["missing"] += len(part)
            continue
        record = read_record(folder, part.number, ["id", "size", "sha256", "reason"])
        for place, row in enumerate(record.to_pylist(), part.start):
            counts["done" if row["reason"] is None else "failed"] += 1
            if row["reason"] is not None:
                table.writerow((row["id"], row["reason"]))
            yield ids[place], row["size"] or 0, row["sha256"] or _UNREAD


@contextmanager
def telling_what_stopped_it(folder: Path) -> Iterator[None]:
    """A full disk or a folder that may not be written, as a DataError that says what is left."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        code = getattr(error, "errno", None)
        if code in _NO_ROOM or "No space left" in str(error) or "File too large" in str(error):
            raise DataError(
                f"There is no room left for the store {str(folder)!r} ({error}). The parts that it has are whole; make "
                "room and run the same again, which does what is missing."
            ) from error
        if isinstance(error, OSError):
            raise DataError(f"The store {str(folder)!r} cannot be written ({error.strerror or error}).") from error
        raise
