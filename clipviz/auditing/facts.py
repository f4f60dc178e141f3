"""What an audit's provenance tells about its model and its pictures, for headings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .claims import claimed
from .formats import base_of
from .provenance import DEMONSTRATION
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from .result import Audit


def compared_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The claims, and what else is compared of their names: gaps, ratios and worst groups, which bear no verdict."""
    claims = table[claimed(table)]
    keys = set(zip(claims["metric"].map(base_of), claims["by"], claims["level"], claims["name"], strict=True))
    written = table[table["variant"] == WRITTEN]
    base = written["metric"].map(base_of)
    composed = written["metric"].str.endswith(("_adjusted", "_mh"))  # those stand beside the crude ones
    among = [key in keys for key in zip(base, written["by"], written["level"], written["name"], strict=True)]
    alone = [key[0] for key in keys if (claims["metric"] == key[0]).any()]  # a metric that is itself the claim
    return written[
        np.array(among, bool)
        & ~composed.to_numpy(bool)
        & ((base != written["metric"]) | base.isin(alone)).to_numpy(bool)
    ]


def pictures(audit: Audit) -> int:
    """How many pictures were judged."""
    return int(audit.provenance.get("pictures", 0))


def demonstration(audit: Audit) -> str:
    """What heads a report on the bundled model; empty for any other."""
    return DEMONSTRATION if audit.provenance.get("demonstration") else ""
