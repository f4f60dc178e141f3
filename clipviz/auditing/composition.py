"""Is a gap one of who the groups are made of? Crude figures beside those at equal composition."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .claims import KEY, REST, Figures, claimed, pair_limits
from .counting import decided, sizes
from .formats import base_of
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
_STANDARDISED = "share"
_COLUMNS = (*KEY, "crude", "crude_low", "crude_high", "adjusted", "adjusted_low", "adjusted_high", "mh", "mh_low",
            "mh_high", "mh_p", "strata", "small_strata", "disagree", "moved_5", "moved_10", "note")  # fmt: skip

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def composition(
    spec: AuditSpec, scored: Iterable[Scored], groupings: Sequence[Grouping], frame: pd.DataFrame, table: pd.DataFrame
) -> pd.DataFrame:
    """A row a claim on shares: the crude gap, the gap at equal composition, and how group labels in error move it.

    Strata are crossings of ``spec.groups.adjust`` without the columns that the groups themselves are of. ``adjusted``
    is directly standardised: rates of each stratum, weighed as all pictures of the grouping are spread over the strata.
    ``mh`` is the Mantel-Haenszel risk difference with its test. Both leave out strata with fewer than 10 pictures of
    either group, which ``small_strata`` lists. ``disagree`` marks where one interval lies off zero and the other does
    not, or on the other side; ``note`` says it. ``moved_5`` and ``moved_10`` are what the crude gap changes by if 5 or
    10 % of either group's labels were exchanged. The groups' ``frame`` serves columns that are no grouping. Limits are
    at 95 %. A gap is of the pair that was highest and lowest.
    """
    import pandas as pd

    written = [one for one in scored if one.wording.name == WRITTEN]  # one a set of labels
    chosen = table[claimed(table) & (table["metric"].map(base_of) == _STANDARDISED).to_numpy(bool)]
    if not written or not len(chosen):
        return pd.DataFrame(columns=list(_COLUMNS))
    crude = Figures.of(table)
    by = {one.by: _Strata.of(spec, written, one, groupings, frame) for one in groupings}
    found = [
        (*claim, *_row(by[claim[2]], crude, claim))
        for claim in zip(*(chosen[name].tolist() for name in KEY), strict=True)
        if claim[2] in by
    ]
    return pd.DataFrame(found, columns=list(_COLUMNS))


@dataclass(frozen=True, eq=False)
class _Strata:
    """Counts of one grouping by stratum: ``n`` [G, S] and, for each (level, name), hits [G, S]."""

    columns: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    n: Counts
    hits: dict[tuple[str, str], Counts]

    @classmethod
    def of(
        cls,
        spec: AuditSpec,
        scored: Sequence[Scored],
        grouping: Grouping,
        groupings: Sequence[Grouping],
        frame: pd.DataFrame,
    ) -> _Strata:
        own = _columns_of(spec, grouping.by)
        columns = tuple(c for c in spec.groups.adjust if not own & _columns_of(spec, c))
        codes, names = np.zeros(len(grouping.codes), np.int64), [""]
        for column in columns:
            inner, values = _codes(column, groupings, frame)
            codes = np.where((codes < 0) | (inner < 0), -1, codes * len(values) + inner)
            names = [f"{before}{', ' if before else ''}{value}" for before in names for value in values]
        inside = (codes >= 0) & (grouping.codes >= 0)
        size = len(grouping.names) * len(names)
        cells = np.where(inside, grouping.codes * len(names) + codes, -1)
        hits: dict[tuple[str, str], Counts] = {}
        for one in scored:
            labels = one.wording.labels
            counts = decided(one.decision, cells, len(labels), size).reshape(len(labels), -1, len(names))
            for label, given in zip(labels, counts, strict=True):
                hits["label", label.name] = given
                if label.category:
                    hits["category", label.category] = hits.get(("category", label.category), 0) + given
        return cls(columns, tuple(names), grouping.names, sizes(cells, size).reshape(-1, len(names)), hits)

    def pair(self, level: str, name: str, group: str, reference: str) -> tuple[Counts, Counts, Counts, Counts] | None:
        """hits and n [S] of a group, and of its reference or the rest."""
        hits = self.hits.get((level, name))
        if hits is None or group not in self.groups or not (reference in self.groups or reference == REST):
            return None
        a = self.groups.index(group)
        if reference == REST:
            return hits[a], self.n[a], hits.sum(axis=0) - hits[a], self.n.sum(axis=0) - self.n[a]
        b = self.groups.index(reference)
        return hits[a], self.n[a], hits[b], self.n[b]


def _row(strata: _Strata, crude: Figures, claim: tuple[str, ...]) -> tuple[Any, ...]:
    from ..stats import combined_limits, mantel_haenszel, misassigned, standardised

    metric, level, by, name, group, reference = claim
    base = base_of(metric)
    pair = strata.pair(level, name, group, reference)
    if pair is None:
        return *[math.nan] * 10, 0, "", False, math.nan, math.nan, "the groups' pictures are not known one by one"
    hits, n, hits0, n0 = pair
    figures = crude.pair(base, level, by, name, group, reference)
    if figures is None:
        return *[math.nan] * 10, 0, "", False, math.nan, math.nan, "a group has no picture"
    at_first = tuple(float(one[0]) for one in pair_limits([figures], level=0.95))
    a, b = figures
    moved = [float(misassigned(a.value, b.value, a.n, b.n, error)) - (a.value - b.value) for error in ERRORS]
    if not strata.columns:
        return *at_first, *[math.nan] * 7, 0, "", False, *moved, "there is no other column to adjust for"
    enough = np.minimum(n, n0) >= SMALLEST
    there = strata.n.sum(axis=0) > 0
    small = "; ".join(f"{said(strata.names[s])} ({n[s]} against {n0[s]})" for s in np.flatnonzero(there & ~enough))
    if not enough.any():
        none = "no stratum holds 10 pictures of either group"
        return *at_first, *[math.nan] * 7, 0, small, False, *moved, none
    weights = strata.n.sum(axis=0)[enough].astype(np.float64)
    x = [float(v) for v in standardised(hits[enough], n[enough], weights)]
    y = [float(v) for v in standardised(hits0[enough], n0[enough], weights)]
    low, high = (float(v) for v in combined_limits(*x, *y))
    equal = (x[0] - y[0], low, high)
    mh = tuple(float(v) for v in mantel_haenszel(hits[enough], n[enough], hits0[enough], n0[enough]))
    note = _disagreement(at_first, equal, strata.columns)
    left = strata.n.sum() - weights.sum()
    if left > 0.1 * strata.n.sum():
        note += f"{'; ' if note else ''}{left / strata.n.sum():.0%} of the pictures are in strata that are too small"
    disagree = _side(at_first) != _side(equal)
    return *at_first, *equal, *mh, int(enough.sum()), small, disagree, *moved, note


def _side(limits: Sequence[float]) -> int:
    """Which side of zero an interval lies on; 0 where it holds zero."""
    return int(limits[1] > 0) - int(limits[2] < 0)


def _disagreement(crude: Sequence[float], equal: Sequence[float], columns: Sequence[str]) -> str:
    """What a reader must be told where crude and adjusted disagree."""
    before, after = _side(crude), _side(equal)
    if before == after:
        return ""
    same = f"at equal {' and '.join(said(c) for c in columns)}"
    points = f"{100 * crude[0]:.1f} points crude, {100 * equal[0]:.1f} {same}".replace("-", "−")
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


def _codes(column: str, groupings: Sequence[Grouping], frame: pd.DataFrame) -> tuple[Counts, tuple[str, ...]]:
    """The group of every picture in a column, and the groups' names."""
    for one in groupings:
        if one.by == column:
            return one.codes.astype(np.int64), one.names
    import pandas as pd

    codes, values = pd.factorize(frame[column], sort=True)
    return codes.astype(np.int64), tuple(str(value) for value in values)
