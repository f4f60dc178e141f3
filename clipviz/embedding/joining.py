"""Columns of another table beside the rows of a store, by a key; what has no partner stays and is told."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClipvizWarning, DataError, nearest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_READERS = {".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet", ".jsonl": "read_json"}


def beside(keys: pa.ChunkedArray, table: Any, on: str, taken: list[str]) -> pa.Table:
    """The columns of ``table`` but ``on``, one row for each of ``keys``, empty where no row of it has that key.

    Parameters
    ----------
    keys : of our rows. table : a DataFrame, an Arrow table, a dict of columns, or a .csv, .tsv, .jsonl or .parquet
        file. on : its column of keys, or the name of its index. taken : names that are columns of ours already.

    Raises
    ------
    DataError : no such column, a key that it has twice, a column that is there already, or no key in common. A
        ClipvizWarning tells how many of either side have no partner.
    """
    import pandas as pd
    import pyarrow as pa

    other = opened(table, on if pa.types.is_string(keys.type) else None)
    if on not in other.columns:
        raise DataError(f"There is no column {on!r} in the other table. {nearest(on, map(str, other.columns))}")
    twice = other[on][other[on].duplicated() & other[on].notna()].unique()
    if len(twice):
        raise DataError(
            f"The other table has {len(twice)} keys more than once in {on!r}, such as {_bare(twice[0])!r}, and which "
            "row is meant is not known; leave one row a key."
        )
    new = [name for name in other.columns if name != on]
    if clash := [name for name in new if name in taken]:
        raise DataError(
            f"The columns {', '.join(map(repr, clash))} are there already; rename or drop them in the other table."
        )
    if not new:
        raise DataError(f"The other table has no column beside {on!r}; pass one that has what is to be added.")
    mine = pd.Index(keys.to_pandas())
    named = np.flatnonzero(other[on].notna())  # an empty key is no key, though pandas finds another empty one
    places = pd.Index(other[on].iloc[named]).get_indexer(mine)
    places = np.where((places < 0) | np.asarray(mine.isna()), -1, np.append(named, -1)[places])
    if (places < 0).all():
        raise DataError(
            f"None of the keys in {on!r} of the other table occurs here: it has {_example(other[on])}, here is "
            f"{_example(mine)}; name the column that has the same with on=."
        )
    try:
        added = pa.Table.from_pandas(other[new], preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"A column of the other table is of mixed type ({error}); make it of one.") from error
    for place, (name, kind) in enumerate(zip(added.schema.names, added.schema.types, strict=True)):
        if pa.types.is_large_string(kind):  # pandas' own; stores have the other one
            added = added.set_column(place, name, added[name].cast(pa.string()))
    _tell(mine, other[on], places)
    return added.take(pa.array(places, mask=places < 0)).replace_schema_metadata(None)


def opened(table: Any, text: str | None = None) -> pd.DataFrame:
    """Whatever holds columns -> DataFrame, a named index as a column; ``text`` names one that is no numbers."""
    import pandas as pd

    if isinstance(table, str | Path):
        path = Path(table)
        if path.suffix.lower() not in _READERS:
            raise DataError(f"{str(path)!r} is no table that can be joined; pass {', '.join(_READERS)} or a DataFrame.")
        # words such as NA are values too: only an empty cell is empty; and an id 007 is no number
        cells = {"keep_default_na": False, "na_values": [""], "dtype": {text: str} if text else None}
        more: dict[str, dict[str, Any]] = {
            ".csv": cells,
            ".tsv": {**cells, "sep": "\t"},
            ".jsonl": {"lines": True, "dtype": {text: False} if text else None},
            ".parquet": {},
        }
        try:
            return getattr(pd, _READERS[path.suffix.lower()])(path, **more[path.suffix.lower()])  # type: ignore[no-any-return]
        except (OSError, ValueError) as error:
            raise DataError(f"{str(path)!r} cannot be read as a table ({error}); check the path.") from error
    if hasattr(table, "to_pandas"):
        table = table.to_pandas()
    if isinstance(table, Mapping):
        table = pd.DataFrame(table)
    if not isinstance(table, pd.DataFrame):
        raise DataError(f"A table to join is a DataFrame or a file, got {type(table).__name__}.")
    return table if table.index.names == [None] else table.reset_index()


def _tell(mine: pd.Index, others: pd.Series, places: np.ndarray) -> None:
    """A warning of what has no partner, on either side."""
    lonely, unused = np.flatnonzero(places < 0), np.setdiff1d(np.arange(len(others)), places)
    said = []
    if len(lonely):
        said.append(
            f"{len(lonely)} of {len(mine)} rows here have no partner (such as {_bare(mine[lonely[0]])!r}), their new "
            "columns are empty"
        )
    if len(unused):
        said.append(f"{len(unused)} rows of the other table match none (such as {_bare(others.iloc[unused[0]])!r})")
    if said:
        warnings.warn(f"join: {'; '.join(said)}.", ClipvizWarning, stacklevel=4)


def _example(values: Any) -> str:
    first = next((value for value in values if value == value and value is not None), None)
    return f"{_bare(first)!r} ({type(_bare(first)).__name__})"


def _bare(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def with_columns(stored: pa.Table, joined: pa.Table | None, columns: Sequence[str] | None) -> pa.Table:
    """The stored columns and those joined (``columns`` of them); where two stores were joined, each row's own."""
    import pyarrow.compute as pc

    for name, new in [] if joined is None else zip(joined.column_names, joined, strict=True):
        if columns is not None and name not in columns:
            continue
        if name in stored.column_names:
            place = stored.column_names.index(name)
            stored = stored.set_column(place, name, pc.coalesce(stored[name].cast(new.type), new))
        else:
            stored = stored.append_column(name, new)
    return stored if columns is None else stored.select(list(columns))
