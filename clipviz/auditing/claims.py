"""Which rows of an audit's table are claims, and their p-values corrected over the whole report."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..stats import benjamini_hochberg, combined_limits, difference_limits, exact_limits, holm
from .formats import base_of
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05  # of any false verdict in a whole report
KEY = ("metric", "level", "by", "name", "group", "reference")
REST = "rest"  # the reference that is all other groups together
_CLAIMS = ("_difference", "_gap")
_SKEW = re.compile(r"skew@\d+")  # of a ranking, against random ones

Floats = NDArray[np.float64]


def claimed(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows are claims: headline differences and gaps in the written wording. One without a p gets no verdict."""
    metrics = table["metric"].to_numpy(object)
    kinds = {metric: _is_claim(metric) for metric in set(metrics.tolist())}
    headline = table["headline"].to_numpy(bool) & (table["variant"].to_numpy(object) == WRITTEN)
    return headline & np.fromiter((kinds[m] for m in metrics), bool, len(metrics))


def _is_claim(metric: str) -> bool:
    if metric == "association" or _SKEW.fullmatch(metric):  # a comparison by itself
        return True
    return metric.endswith(_CLAIMS) and metric != base_of(metric)


def adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``p_adjusted`` (Holm) and ``q`` (Benjamini and Hochberg) of its claims; NaN everywhere else.

    One family for the whole report: all claims with a p, whatever their metric and grouping, so that any false verdict
    in it has at most the chance `ALPHA` (Holm 1979, Scandinavian Journal of Statistics 6). Other wordings and controls
    are no claims. ``q`` is for ranking what to look at; no verdict rests on it.
    """
    rows = np.flatnonzero(claimed(table))
    p = table["p"].to_numpy(np.float64)[rows]
    found = table.copy(deep=False)
    for name, corrected in (("p_adjusted", holm(p)), ("q", benjamini_hochberg(p))):
        column = np.full(len(table), np.nan)
        column[rows] = corrected
        found[name] = column
    return found


def corrected_level(table: pd.DataFrame) -> float:
    """The level of an interval that holds for all claims of a report at once: 1 - 0.05 / their number."""
    tested = claimed(table) & np.isfinite(table["p"].to_numpy(np.float64))
    return 1 - ALPHA / max(1, int(tested.sum()))


class Figure(NamedTuple):
    """A figure of one group: its value, limits at 95 %, pictures, and how many of them count (NaN for a mean)."""

    value: float
    low: float
    high: float
    n: float
    k: float


@dataclass(frozen=True, eq=False)
class Figures:
    """The figures of single groups in a table: (metric, level, by, name, variant) -> group -> figure."""

    found: dict[tuple[str, ...], dict[str, Figure]]

    @classmethod
    def of(cls, table: pd.DataFrame) -> Figures:
        """All rows that compare nothing."""
        names = ("metric", "level", "by", "name", "variant")
        metrics = table["metric"].to_numpy(object)
        alone = {m: base_of(m) == m for m in set(metrics.tolist())}
        single = np.fromiter((alone[m] for m in metrics), bool, len(metrics))
        columns = ("value", "ci_low", "ci_high", "n", "k")
        numbers = [table[name].to_numpy(np.float64)[single].tolist() for name in columns]
        keys = zip(*(table[name].to_numpy(object)[single].tolist() for name in names), strict=True)
        found: dict[tuple[str, ...], dict[str, Figure]] = {}
        for key, group, *row in zip(keys, table["group"].to_numpy(object)[single], *numbers, strict=True):
            found.setdefault(key, {})[group] = Figure._make(row)
        return cls(found)

    def groups(self, metric: str, level: str, by: str, name: str, variant: str = WRITTEN) -> dict[str, Figure]:
        """The figures of all groups that have pictures."""
        return {g: f for g, f in self.found.get((metric, level, by, name, variant), {}).items() if f.n > 0}

    def pair(
        self, metric: str, level: str, by: str, name: str, group: str, reference: str, variant: str = WRITTEN
    ) -> tuple[Figure, Figure] | None:
        """The figures of a group and of its reference; None where the table does not hold both.

        The rest has no row: it is put together from the other groups, where they are counts.
        """
        every = self.groups(metric, level, by, name, variant)
        a = every.get(group)
        b = every.get(reference) or (_rest(every, group) if reference == REST else None)
        return None if a is None or b is None else (a, b)


def _rest(every: dict[str, Figure], group: str) -> Figure | None:
    """All groups but one, together; None for what is no count of pictures that count alike."""
    others = [figure for name, figure in every.items() if name != group]
    if not others or not _counted(np.array(others, np.float64)).all():
        return None
    k, n = sum(f.k for f in others), sum(f.n for f in others)
    low, high = exact_limits(k, n)
    return Figure(k / n, float(low), float(high), n, k)


def pair_limits(pairs: list[tuple[Figure, Figure]], *, level: float) -> tuple[Floats, Floats, Floats]:
    """The differences of pairs of figures, [N], and their limits at ``level``, by square-and-add.

    From counts where both are counts whose limits at 95 % are those of the counts (Clopper and Pearson); from the
    limits of the figures otherwise, stretched to ``level`` as a normal's would be.
    """
    from scipy.special import ndtri

    if not pairs:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    a = np.array([pair[0] for pair in pairs], np.float64)  # [N, 5]
    b = np.array([pair[1] for pair in pairs], np.float64)
    stretch = ndtri((1 + level) / 2) / ndtri(0.975)
    low, high = combined_limits(
        a[:, 0], a[:, 0] - stretch * (a[:, 0] - a[:, 1]), a[:, 0] + stretch * (a[:, 2] - a[:, 0]),
        b[:, 0], b[:, 0] - stretch * (b[:, 0] - b[:, 1]), b[:, 0] + stretch * (b[:, 2] - b[:, 0]),
    )  # fmt: skip
    whole = _counted(a) & _counted(b)
    if whole.any():
        x, y = a[whole], b[whole]
        low, high = np.array(low), np.array(high)
        low[whole], high[whole] = difference_limits(x[:, 4], x[:, 3], y[:, 4], y[:, 3], level=level)
    return a[:, 0] - b[:, 0], np.asarray(low, np.float64), np.asarray(high, np.float64)


def _counted(figures: Floats) -> NDArray[np.bool_]:
    """Whether a figure is k of n pictures that count alike: one over persons has limits that k and n do not give."""
    value, low, high, n, k = figures.T
    counted = np.isfinite(k) & (n > 0)
    counted &= np.where(counted, (k == np.floor(k)) & (np.abs(k - value * n) < 1e-6 * (1 + n)), False)
    of_counts = exact_limits(np.where(counted, k, 0), np.where(counted, n, 1))
    return counted & (np.abs(of_counts[0] - low) < 1e-6) & (np.abs(of_counts[1] - high) < 1e-6)
