"""Metadata columns: one Arrow type for each over the whole source, found before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DataError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

    from .filling import Things

BLOCK = 8192  # rows of metadata that are held at once


def plain(text: str) -> str:
    """``text`` with backslashes for what is no UTF-8 in it, as in a file's name."""
    return text.encode("utf-8", "backslashreplace").decode()


def schema_of(source: Things, columns: Sequence[str] | None = None) -> pa.Schema:
    """``id`` and the metadata columns with their types; whole numbers and fractions together are fractions.

    Raises DataError where a column of ``columns`` is missing, is called ``id``, or holds several types.
    """
    import pyarrow as pa

    found: dict[str, pa.DataType] = {}
    for start in range(0, len(source), BLOCK):
        block = source.metadata(start, start + BLOCK)
        for name in dict.fromkeys(name for row in block for name in row):
            if columns is None or name in columns:
                kind = _array([row.get(name) for row in block], name, source.where_from).type
                found[name] = _both(found.get(name, pa.null()), kind, name, source.where_from)
    for name in columns or ():
        if name not in found:
            raise DataError(f"There is no metadata {name!r} in {source.where_from}. {nearest(name, found)}")
    if "id" in found:
        raise DataError(
            f"{source.where_from} has metadata 'id' beside the ids themselves; name the others with columns=, or open "
            "it with clipviz.open_source(data, id='id')."
        )
    named = list(found) if columns is None else list(dict.fromkeys(columns))
    return pa.schema([("id", pa.string()), *((name, found[name]) for name in named)])


def rows_table(schema: pa.Schema, ids: Iterable[str], metadata: Sequence[dict[str, Any]]) -> pa.Table:
    """The rows of a part: ids and metadata of the pictures that were embedded.

    Raises DataError where a value is not of its column's type: the source has changed since it was looked at.
    """
    import pyarrow as pa

    columns = [pa.array([plain(id) for id in ids], pa.string())]
    for field in list(schema)[1:]:
        values = [row.get(field.name) for row in metadata]
        try:
            columns.append(pa.array(values, field.type))
        except UnicodeEncodeError:
            columns.append(pa.array([plain(v) if isinstance(v, str) else v for v in values], field.type))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"The metadata {field.name!r} changed while it was read ({error}); run it again."
            ) from error
    return pa.table(columns, schema=schema)


def _array(values: list[Any], name: str, where: str) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values)
    except UnicodeEncodeError:
        return pa.array([plain(value) if isinstance(value, str) else value for value in values])
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        kinds: dict[str, Any] = {}
        for value in values:
            if value is not None:
                kinds.setdefault(type(value).__name__, value)
        if set(kinds) <= {"int", "float"} and len(kinds) == 2:
            return pa.array([None if value is None else float(value) for value in values])
        if len(kinds) > 1:
            raise _mixed(name, where, *list(kinds.items())[:2]) from error
        raise DataError(
            f"The metadata {name!r} of {where} cannot be kept ({str(error).splitlines()[0][:200]}); "
            "leave it out with columns=."
        ) from error


def _mixed(name: str, where: str, one: tuple[Any, Any], other: tuple[Any, Any]) -> DataError:
    said = " and ".join(
        f"{kind} ({str(value)[:40]!r})" if value is not None else str(kind) for kind, value in (one, other)
    )
    return DataError(
        f"The metadata {name!r} of {where} holds {said}, and one type a column is wanted; write it alike in all rows, "
        "or leave it out with columns=."
    )


def _both(one: pa.DataType, other: pa.DataType, name: str, where: str) -> pa.DataType:
    """The type that holds values of both."""
    from pyarrow import types

    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if {str(one), str(other)} == {"int64", "double"}:
        return one if types.is_floating(one) else other
    if types.is_list(one) and types.is_list(other):
        import pyarrow as pa

        return pa.list_(_both(one.value_type, other.value_type, name, where))
    raise _mixed(name, where, (one, None), (other, None))
