"""Whether several stores may be read as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import DataError, InputError
from .stored import Stored

if TYPE_CHECKING:
    import pyarrow as pa

    from .embeddings import Embeddings

_HOW = ("part_size", "batch_size", "dtype")  # settings by which vectors differ by rounding alone


def refuse_mixture(several: Sequence[Embeddings]) -> None:
    """Raise unless ``several`` hold vectors of one kind, of one model, made one way, of different pictures.

    ModelError for two models, DataError for all else; both name the two stores.
    """
    if not several:
        raise InputError("concat takes a list of at least one Embeddings, got an empty one.")
    first = several[0].stored
    for other in (one.stored for one in several[1:]):
        first.manifest.refuse_other_model(other.manifest.model, f"{other.where} cannot join {first.where}, which")
        mine, theirs = _made(first), _made(other)
        for name in [*mine, *(name for name in theirs if name not in mine)]:
            if mine.get(name) != theirs.get(name):
                raise DataError(
                    f"{first.where} was made with {name} {mine.get(name)!r}, {other.where} with {name} "
                    f"{theirs.get(name)!r}; embed one of them again with the other's."
                )
    _refuse_types(several)
    counts = Counter(name for one in several for name in one.ids)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise DataError(
            f"{len(twice)} ids occur more than once in {Stored.of([one.stored for one in several]).where}, such as "
            f"{twice[0]!r}; leave them out of one with select."
        )


def _made(stored: Stored) -> dict[str, object]:
    settings = stored.manifest.settings
    return {"kind": stored.manifest.kind, **{name: value for name, value in settings.items() if name not in _HOW}}


def _refuse_types(several: Sequence[Embeddings]) -> None:
    import pyarrow as pa

    known: dict[str, tuple[pa.DataType, str]] = {}
    for one in several:
        for name, kind in one.types.items():
            before, where = known.setdefault(name, (kind, one.stored.where))
            if before != kind and pa.null() not in (before, kind):
                raise DataError(
                    f"The column {name!r} is {before} in {where} and {kind} in {one.stored.where}; embed one of them "
                    "again with columns of the same type, or without that column."
                )


def joined_of(several: Sequence[Embeddings]) -> pa.Table | None:
    """The joined columns of all, one behind the other, empty where one has none."""
    import pyarrow as pa

    if all(one.joined is None for one in several):
        return None
    tables = []
    for one in several:
        rows = pa.nulls(len(one))
        tables.append(pa.table({"": rows}) if one.joined is None else one.joined.append_column("", rows))
    return pa.concat_tables(tables, promote_options="default").drop_columns([""])
