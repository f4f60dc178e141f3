"""Rows by a query on their columns: a small part of pandas' own language, in which nothing can be called."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, nearest
from .queries import Places

if TYPE_CHECKING:
    import pandas as pd

    from .embeddings import Embeddings

_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Invert, ast.USub, ast.BinOp, ast.BitAnd,
    ast.BitOr, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt,
    ast.GtE, ast.In, ast.NotIn, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple,
)  # fmt: skip
_LANGUAGE = "comparisons of columns, joined by and, or, not and in, such as \"race == 'Black' and age > 30\""
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`([^`\n]*)`""")
_SHOWN = 6  # values of a column that an error names


def places_of(embeddings: Embeddings, which: Any) -> Places:
    """The places, ascending, that a query, a mask or places from either end name."""
    count = len(embeddings)
    if isinstance(which, str):
        columns = ("id", *embeddings.columns)
        return np.flatnonzero(matching(which, columns, lambda names: embeddings.table(names).to_pandas()))
    wanted = np.asarray(which)
    if wanted.dtype == bool:
        if wanted.shape != (count,):
            raise DataError(f"A mask has one boolean for each of the {count} rows, got {list(wanted.shape)}.")
        return np.flatnonzero(wanted)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        raise DataError(
            f"Rows are selected by a query, a mask or places, got {wanted.dtype} {list(wanted.shape)}; type for "
            "instance select(\"race == 'Black'\") or select([0, 5])."
        )
    if wanted.size and not -count <= wanted.min() <= wanted.max() < count:
        raise DataError(f"Places go from 0 to {count - 1}, got {wanted.min()} to {wanted.max()}.")
    return np.unique(np.where(wanted < 0, wanted + count, wanted).astype(np.int64))


def matching(query: str, columns: Sequence[str], read: Callable[[list[str]], pd.DataFrame]) -> NDArray[np.bool_]:
    """Which rows fulfil ``query``: bool [n].

    Parameters
    ----------
    query : as for ``DataFrame.query``: names of columns (in backticks where they are no words), values, comparisons,
        ``and``, ``or``, ``not``, ``in``. No ``@``, no attributes, no calls. An empty cell equals nothing: ``!=`` holds.
    columns : those there are. read : gives the table of the columns that the query names, and is asked for no other.

    Raises
    ------
    DataError : another language, a column that is not there, values that cannot be compared, or no row at all.

    >>> import pandas as pd
    >>> matching("age > 30", ["age"], lambda names: pd.DataFrame({"age": [20, 40]})[names]).tolist()
    [False, True]
    """
    plain, names = _parsed(query, columns)
    table = read(list(names.values())).set_axis(list(names), axis="columns")
    try:
        mask = _mask(table.eval(plain, engine="python"), len(table))
    except Exception as error:  # pandas raises what it meets, and all of it is about the query
        kinds = ", ".join(f"{name!r} is {table[plain_name].dtype}" for plain_name, name in names.items())
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"select({query!r}) cannot be worked out ({reason}); {kinds}.") from error
    if not mask.any():
        raise DataError(f"No row has {query}. {_values(table, names)}")
    return mask


def _mask(found: Any, count: int) -> NDArray[np.bool_]:
    """What a query gave, as booleans; an empty cell of a column of them is no."""
    values = np.asarray(found, dtype=object)
    if values.shape != (count,):
        raise TypeError("it is no comparison of a column")
    mask = np.array([False if value is None or value != value else value for value in values], dtype=object)
    if not all(isinstance(value, bool | np.bool_) for value in mask):
        raise TypeError("it is no comparison, and its values are neither true nor false")
    return mask.astype(bool)


def _parsed(query: str, columns: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The query with a plain word for every column, and word -> column; DataError where it is more than a query."""
    quoted: list[str] = []

    def word(match: re.Match[str]) -> str:
        if match[1] is None:  # a string, in which a backtick is a backtick
            return match[0]
        quoted.append(match[1])
        return f"_quoted_{len(quoted) - 1}"

    try:
        tree = ast.parse(_QUOTED.sub(word, query.strip()), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"select({query!r}) cannot be read; write {_LANGUAGE}. {_known(columns)}") from error
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED) or (
            isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float | bool)
        ):
            what = "" if isinstance(node, ast.Expression) else f" ({type(node).__name__.lower()} is not)"
            raise DataError(f"select({query!r}) is more than a query may be{what}; write {_LANGUAGE}.")
        if isinstance(node, ast.Name):
            match = re.fullmatch(r"_quoted_(\d+)", node.id)
            name = quoted[int(match[1])] if match and int(match[1]) < len(quoted) else node.id
            if name not in columns:
                raise DataError(f"There is no column {name!r} to select by. {nearest(name, columns)}")
            node.id = f"column_{list(columns).index(name)}"  # no word of pandas' own, such as index, hides it
            names[node.id] = name
    if not names:
        raise DataError(f"select({query!r}) names no column; write {_LANGUAGE}. {_known(columns)}")
    return ast.unparse(tree), names


def _known(columns: Iterable[str]) -> str:
    return f"Columns: {', '.join(columns)}."


def _values(table: pd.DataFrame, names: dict[str, str]) -> str:
    """What the columns of a query hold, in a sentence each."""
    said = []
    for word, name in names.items():
        column = table[word].dropna()
        kinds = column.unique()
        if len(kinds) > _SHOWN and column.dtype.kind in "iuf":
            said.append(f"{name!r} goes from {column.min()} to {column.max()}.")
        else:
            more = f" and {len(kinds) - _SHOWN} more" if len(kinds) > _SHOWN else ""
            said.append(f"{name!r} holds {', '.join(repr(_bare(value)) for value in kinds[:_SHOWN])}{more}.")
    return " ".join(said)


def _bare(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
