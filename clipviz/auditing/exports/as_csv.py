"""The table of an audit as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

from .plain import text

if TYPE_CHECKING:
    import pandas as pd

    from ..result import Audit

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "'", "＝", "＋", "－", "＠")


def as_csv(audit: Audit) -> str:
    """The table, a row a figure, with the model and the spec beside it. A text that a spreadsheet would run as a
    formula has a quote before it, which `read_table` takes off again."""
    table = audit.to_pandas()
    for name in table.columns:
        if table[name].dtype == object or str(table[name].dtype) in ("category", "str", "string"):
            table[name] = [neutral(str(value)) for value in table[name].tolist()]
    table.columns = [neutral(str(name)) for name in table.columns]
    out = io.StringIO(newline="")
    table.to_csv(out, index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    return out.getvalue()


def read_table(path: str | Path) -> pd.DataFrame:
    """Read back what ``audit.save("x.csv")`` wrote, texts as they were.

    >>> read_table("audit.csv")["group"].iloc[0]  # doctest: +SKIP
    'Female'
    """
    import pandas as pd

    table = pd.read_csv(path, keep_default_na=False, dtype=str, encoding="utf-8", lineterminator="\n")
    table.columns = [_back(name) for name in table.columns]
    for name in table.columns:
        if name in ("value", "ci_low", "ci_high", "n", "k", "p", "p_adjusted", "q", "seed"):
            table[name] = [float(value) if value else math.nan for value in table[name]]
        elif name == "headline":
            table[name] = table[name] == "True"
        else:
            table[name] = [_back(value) for value in table[name]]
    return table


def neutral(value: str) -> str:
    """``value`` with a quote before it where it begins as a formula does, or with a quote.

    >>> neutral("=1+1"), neutral("men")
    ("'=1+1", 'men')
    """
    clean = text(value).replace("\x00", "\ufffd")
    return "'" + clean if clean.lstrip(" \u00a0").startswith(_FORMULA) else clean


def _back(value: str) -> str:
    return value[1:] if value.startswith("'") else value
