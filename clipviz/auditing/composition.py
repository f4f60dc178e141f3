"""Is a gap one of who the groups are made of? Crude figures beside those at equal composition."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .averaged import with_unseen
from .claims import KEY, REST, Figures, claimed, pair_limits
from .counting import decided, sizes
from .formats import base_of
from .metrics import Pictures
from .sentences import said
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from .groups import Grouping
    from .spec import AuditSpec
    from .tally import Scored

SMALLEST = 10  # pictures of either group in a stratum; one with fewer is left out, and listed
ERRORS = (0.05, 0.10)  # of the group labels, misassigned
CROSS = " x "  # between the columns of a crossing, and between their groups
BY_PERSONS = "no interval at equal composition where persons have several pictures"
MUCH = 0.1  # of the pictures in strata that are left out: more is said
_STANDARDISED = ("share", "mean_probability")
_COLUMNS = (*KEY, "crude", "crude_low", "crude_high", "adjusted", "adjusted_low", "adjusted_high", "mh", "mh_low",
            "mh_high", "mh_p", "strata", "small_strata", "disagree", "moved_5", "moved_10", "note")  # fmt: skip

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def composition(
    spec: AuditSpec, scored: Iterable[Scored], groupings: Sequence[Grouping], frame: pd.DataFrame, table: pd.DataFrame
) -> pd.DataFrame:
    """A row a claim on shares or mean probabilities: the crude gap, and the gap at equal composition.

    Strata are crossings of ``spec.groups.adjust`` without the columns that the groups themselves are of. ``adjusted``
    is directly standardised: the figures of each stratum, weighed as all pictures of the grouping are spread over the
    strata. ``mh`` is the Mantel-Haenszel risk difference with its test, of shares. Both leave out strata with fewer
    than 10 pictures of either group, which ``small_strata`` lists; where persons have several pictures there is no
    interval. ``disagree`` marks where one interval lies off zero
    and the other does not, or on the other side; ``note`` says it. ``moved_5`` and ``moved_10`` are what the crude gap
    changes by if the labels of 5 or 10 % of either group's pictures were exchanged. ``frame`` has a row a picture.
    Limits are at 95 %. A gap is of the pair that was highest and lowest.
    """
    import pandas as pd

    written = [one for one in scored if one.wording.name == WRITTEN]  # one a set of labels
    chosen = table[claimed(table) & table["metric"].map(base_of).isin(_STANDARDISED).to_numpy(bool)]
    if not written or not len(chosen):
        return pd.DataFrame(columns=list(_COLUMNS))
    crude = Figures.of(table)
    means = bool((chosen["metric"].map(base_of) == "mean_probability").any())
    by = {one.by: _Strata.of(spec, written, one, groupings, frame, means) for one in groupings}
    own = zip(*(chosen[name].tolist() for name in ("value", "ci_low", "ci_high")), strict=True)
    found = [
        (*claim, *_row(by[claim[2]], crude, claim, limits))
        for claim, limits in zip(zip(*(chosen[name].tolist() for name in KEY), strict=True), own, strict=True)
        if claim[2] in by
    ]
    return pd.DataFrame(found, columns=list(_COLUMNS))


class _Sums(NamedTuple):
    """Pictures [S] of a group by stratum, the sum of what they were given, and the sum of its squares."""

    n: Floats
    total: Floats
    squares: Floats

    @property
    def mean(self) -> float:
        return float(self.total.sum() / self.n.sum()) if self.n.sum() else math.nan


@dataclass(frozen=True, eq=False)
class _Strata:
    """Sums of one grouping by stratum: ``n`` [G, S], and for each (metric, level, name) total and squares [2, G, S]."""

    columns: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    n: Counts
    sums: dict[tuple[str, str, str], Floats]
    persons: bool = False  # whether some have several pictures

    @classmethod
    def of(
        cls, spec: AuditSpec, scored: Sequence[Scored], grouping: Grouping, groupings: Sequence[Grouping],
        frame: pd.DataFrame, means: bool,
    ) -> _Strata:  # fmt: skip
        own = _columns_of(spec, grouping.by)
        columns = tuple(c for c in spec.groups.adjust if not own & _columns_of(spec, c))
        codes, names = np.zeros(len(grouping.codes), np.int64), [""]
        for column in columns:
            inner, values = _codes(spec, column, groupings, frame)
            codes = np.where((codes < 0) | (inner < 0), -1, codes * len(values) + inner)
            names = [f"{before}{', ' if before else ''}{value}" for before in names for value in values]
        inside = (codes >= 0) & (grouping.codes >= 0)
        cells, size = np.where(inside, grouping.codes * len(names) + codes, -1), len(grouping.names) * len(names)
        sums: dict[tuple[str, str, str], Floats] = {}
        for one in scored:
            pictures = Pictures(one)
            given = decided(one.decision, cells, len(one.wording.labels), size)
            counts = (pictures.members.astype(np.int64) @ given).astype(np.float64)
            for name, own_counts in zip(pictures.names, counts, strict=True):
                count = np.asarray(own_counts, np.float64).reshape(len(grouping.names), -1)
                sums["share", *name] = np.stack([count, count])
            for name, values in zip(pictures.names, pictures.probabilities.T if means else (), strict=means):
                both = [np.bincount(cells[inside], v[inside], minlength=size) for v in (values, values**2)]
                shaped = [one.astype(np.float64).reshape(len(grouping.names), -1) for one in both]
                sums["mean_probability", *name] = np.stack(shaped)
        return cls(columns, tuple(names), grouping.names, sizes(cells, size).reshape(-1, len(names)), sums,
                   bool(spec.groups.person))  # fmt: skip

    def pair(self, metric: str, level: str, name: str, group: str, reference: str) -> tuple[_Sums, _Sums] | None:
        """The sums of a group, and of its reference or the rest; None for what was not counted picture by picture."""
        sums = self.sums.get((metric, level, name))
        if sums is None or group not in self.groups or not (reference in self.groups or reference == REST):
            return None
        a, n = self.groups.index(group), self.n.astype(np.float64)
        if reference == REST:
            others = _Sums(n.sum(axis=0) - n[a], *(sums.sum(axis=1) - sums[:, a]))
        else:
            b = self.groups.index(reference)
            others = _Sums(n[b], *sums[:, b])
        return _Sums(n[a], *sums[:, a]), others


def _row(
    strata: _Strata, crude: Figures, claim: tuple[str, ...], limits: tuple[float, float, float]
) -> tuple[Any, ...]:
    from ..stats import combined_limits, mantel_haenszel, misassigned

    metric, level, by, name, group, reference = claim
    base = base_of(metric)
    pair = strata.pair(base, level, name, group, reference)
    nothing = [math.nan] * 7
    if pair is None:
        return *limits, *nothing, 0, "", False, math.nan, math.nan, "the pictures of both groups are not known"
    a, b = pair
    figures = crude.pair(base, level, by, name, group, reference)
    if metric.endswith("_gap") and figures is not None:  # beside one pair, not beside all at once
        limits = tuple(float(one[0]) for one in pair_limits([figures], level=0.95))  # type: ignore[assignment]
    first, second = (a.mean, b.mean) if figures is None else (figures[0].value, figures[1].value)
    n = [s.n.sum() for s in pair] if figures is None else [f.n for f in figures]
    moved = [float(misassigned(first, second, n[0], n[1], error)) - (first - second) for error in ERRORS]
    if not strata.columns:
        return *limits, *nothing, 0, "", False, *moved, "there is no other column to adjust for"
    enough = np.minimum(a.n, b.n) >= SMALLEST
    pooled = strata.n.sum(axis=0)
    small = "; ".join(
        f"{said(strata.names[s])} ({a.n[s]:.0f} against {b.n[s]:.0f})" for s in np.flatnonzero((pooled > 0) & ~enough)
    )
    if not enough.any():
        return *limits, *nothing, 0, small, False, *moved, f"no stratum holds {SMALLEST} pictures of either group"
    weights = pooled[enough].astype(np.float64)
    a, b = (_Sums(*(column[enough] for column in sums)) for sums in pair)
    x, y = _standardised(base, a, weights), _standardised(base, b, weights)
    low, high = (float(v) for v in combined_limits(*x, *y))
    mh = [math.nan] * 4
    if base == "share":
        mh = [float(v) for v in mantel_haenszel(a.total, a.n, b.total, b.n)]
    if strata.persons:  # pictures in a stratum do not count for themselves, and no limits by persons are known
        low, high, mh = math.nan, math.nan, [mh[0], math.nan, math.nan, math.nan]
    equal = (x[0] - y[0], low, high)
    notes = [BY_PERSONS if strata.persons else _disagreement(limits, equal, strata.columns)]
    left = 1 - weights.sum() / pooled.sum()
    if left > MUCH:
        notes.append(f"{100 * left:.0f} % of the pictures are in strata that are too small")
    disagree = not strata.persons and _side(limits) != _side(equal)
    return *limits, *equal, *mh, int(enough.sum()), small, disagree, *moved, "; ".join(filter(None, notes))


def _standardised(metric: str, sums: _Sums, weights: Floats) -> tuple[float, float, float]:
    """The figure of a group at the weights of the strata, with its limits."""
    from ..stats import mean_limits, standardised

    if metric == "share":
        value, low, high = (float(v) for v in standardised(sums.total, sums.n, weights))
        return value, low, high
    share = weights / weights.sum()
    means = sums.total / sums.n
    variances = np.maximum(sums.squares - sums.n * means**2, 0) / (sums.n - 1)
    n, mean = float(sums.n.sum()), float(share @ means)
    limits = mean_limits(mean, with_unseen(mean, n * (share**2 @ (variances / sums.n)), n), n)
    return mean, float(limits[0]), float(limits[1])


def _side(limits: Sequence[float]) -> int:
    """Which side of zero an interval lies on; 0 where it holds zero."""
    return int(limits[1] > 0) - int(limits[2] < 0)


def _disagreement(crude: Sequence[float], equal: Sequence[float], columns: Sequence[str]) -> str:
    """What a reader must be told where crude and adjusted disagree."""
    before, after = _side(crude), _side(equal)
    if before == after:
        return ""
    same = f"at equal {' and '.join(said(c) for c in columns)}"
    points = f"{100 * crude[0]:+.1f} points crude, {100 * equal[0]:+.1f} {same}".replace("-", "−")
    if before and after:
        return f"the gap turns its sign {same}: {points}"
    if before:
        return f"the gap is not found any more {same}: {points}"
    return f"a gap appears {same} that the crude figures hide: {points}"


def _columns_of(spec: AuditSpec, by: str) -> set[str]:
    """The columns that a grouping, a crossing or a derived column is made of."""
    found: set[str] = set()
    for column in [by, *by.split(CROSS)]:
        found.add(column)
        derived = spec.groups.derived.get(column)
        if derived is not None:
            found |= _columns_of(spec, derived.column)
    return found


def _codes(
    spec: AuditSpec, column: str, groupings: Sequence[Grouping], frame: pd.DataFrame
) -> tuple[Counts, tuple[str, ...]]:
    """The group of every picture in a column, and the groups' names."""
    from .groups import grouping

    one = next((one for one in groupings if one.by == column), None) or grouping(frame, spec, column)
    return one.codes.astype(np.int64), one.names
