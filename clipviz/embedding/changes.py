"""What of a part stands: its pictures by size and time of their files, then by their hash, and its metadata."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from .decoding import Fact
from .layout import Part, count_rows, open_vectors, read_record, read_rows, whole_parts
from .metadata import plain, rows_table
from .writing import record_table, write_record, write_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from .filling import Reader


def to_do(folder: Path, reader: Reader, parts: list[Part], schema: pa.Schema, width: int) -> list[Part]:
    """The parts to be computed: those that are missing, damaged, or hold a picture that has changed.

    Where the metadata alone have changed the rows are written again here, and the record where files were touched.
    ``width`` is the length of a vector. A picture that failed is tried again.
    """
    there, ids = set(whole_parts(folder)), reader.source.ids
    return [
        part
        for part in parts
        if part.number not in there or not _stands(folder, reader, part, ids[part.start : part.stop], schema, width)
    ]


def _stands(folder: Path, reader: Reader, part: Part, ids: tuple[str, ...], schema: pa.Schema, width: int) -> bool:
    try:
        record = read_record(folder, part.number)
        rows = read_rows(folder, part.number)
        vectors = open_vectors(folder, part.number)
    except DataError:  # damaged: made anew
        return False
    names, known = [plain(id) for id in ids], record.to_pylist()
    if [row["id"] for row in known] != names:
        return False
    embedded = [i for i, row in enumerate(known) if row["reason"] is None]
    if len(embedded) != len(vectors) or len(embedded) != count_rows(folder, part.number) or vectors.shape[1] != width:
        return False
    facts: list[Fact] = []
    for place, row in enumerate(known, part.start):
        stamp = None if row["file_size"] is None else (row["file_size"], row["file_mtime_ns"])
        before = Fact(stamp, row["size"], row["sha256"], row["reason"])
        now = _now(reader, place, before)
        if now is None:
            return False
        facts.append(now)
    told = record_table(ids, facts)
    if not told.equals(record):
        write_record(folder, part.number, told)
    metadata = reader.source.metadata(part.start, part.stop)
    wanted = rows_table(schema, (ids[i] for i in embedded), [metadata[i] for i in embedded])
    if not wanted.equals(rows):
        write_rows(folder, part.number, wanted)
    return True


def _now(reader: Reader, place: int, before: Fact) -> Fact | None:
    """A picture's Fact where it is the same as ``before``, but perhaps for its stamp; None where it has changed."""
    if before.reason is not None:  # it may have been made readable, or the limit of pixels raised
        (now,) = reader(place, place + 1).facts
        same = (now.size, now.sha256, now.reason) == (before.size, before.sha256, before.reason)
        return now if same else None
    stamp = reader.source.stamp(place)
    if stamp is not None and stamp == before.stamp:
        return before
    try:
        data = reader.source.bytes(place)
    except DataError:
        return None
    if hashlib.sha256(data).digest() != before.sha256:
        return None
    return Fact(stamp, before.size, before.sha256)
