"""Results as plain values: what JSON can hold, with null for what is undefined or infinite."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def plain(value: Any) -> Any:
    """``value`` made of dicts, lists, texts, numbers, booleans and None alone.

    >>> plain({"a": (1, float("inf"))})
    {'a': [1, None]}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {text(str(key)): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(one) for one in value), key=repr)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # numpy's arrays and scalars
        return plain(value.tolist())
    return None if type(value).__name__ in ("NAType", "NaTType") else text(str(value))


def records(table: pd.DataFrame | None) -> list[dict[str, Any]] | None:
    """A row a dict; None where there is no table."""
    if table is None:
        return None
    columns = [str(name) for name in table.columns]
    values = [[plain(one) for one in table[name].tolist()] for name in table.columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def text(value: str) -> str:
    """``value`` without lone surrogates, which stand in file names that are no text and in no encoded file."""
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
