"""Figures that are counts of independent pictures: shares, their differences, ratios and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import stats
from .figures import Compared, Extremes, Tested
from .tally import Counts, Floats, Tally

CHI, MOVED = "chi-squared", "permutation"


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares ``hits`` / ``counts`` of K names in G groups, [K, G] each."""

    hits: Counts
    counts: Counts

    @cached_property
    def value(self) -> Floats:
        return quotient(self.hits, self.counts)

    @property
    def n(self) -> Floats:
        return self.counts.astype(float)

    @property
    def k(self) -> Floats:
        return self.hits.astype(float)


@dataclass(frozen=True, eq=False)
class Counted(Shares):
    """Shares of pictures that are independent."""

    level: float = 0.95

    @classmethod
    def of(cls, tally: Tally, chosen: Any, level: float) -> Counted:
        """The names of a tally at the places ``chosen``."""
        return cls(tally.hits[chosen], tally.totals[chosen], level)

    def limits(self) -> Compared:
        low, high = stats.share_limits(self.hits, self.counts, level=self.level)
        nothing = self.counts == 0
        low, high = (np.where(nothing, np.nan, limit) for limit in (low, high))
        return Compared(self.value, low, high, "Clopper-Pearson")

    def differences(self, groups: Sequence[int], reference: int | None) -> Compared:
        hits, n, hits0, n0 = self._pairs(groups, reference)
        low, high = stats.difference_limits(hits, n, hits0, n0, level=self.level)
        return Compared(quotient(hits, n) - quotient(hits0, n0), low, high, "square-and-add of Clopper-Pearson")

    def ratios(self, groups: Sequence[int], reference: int | None) -> Compared:
        hits, n, hits0, n0 = self._pairs(groups, reference)
        low, high = stats.ratio_limits(hits, n, hits0, n0, level=self.level)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = quotient(hits, n) / quotient(hits0, n0)
        return Compared(value, low, high, "score")

    def gap(self) -> Extremes:
        found = stats.gap_limits(self.hits, self.counts, level=self.level)
        return Extremes(found.value, found.low, found.high, found.top, found.bottom, "simultaneous square-and-add")

    def worst(self, low_is_worst: bool) -> Extremes:
        worst = "lowest" if low_is_worst else "highest"
        found = stats.worst_limits(self.hits, self.counts, level=self.level, worst=worst)
        nobody = np.full(found.group.shape, -1)
        return Extremes(found.value, found.low, found.high, found.group, nobody, "simultaneous Clopper-Pearson")

    def against_best(self, low_is_worst: bool) -> Compared:
        best = "highest" if low_is_worst else "lowest"
        found = stats.against_best_limits(self.hits, self.counts, level=self.level, best=best)
        return Compared(found.value, found.low, found.high, "simultaneous square-and-add")

    def pair_test(self, groups: Sequence[int], reference: int | None, draws: int, seed: int) -> Tested:
        hits, n, hits0, n0 = self._pairs(groups, reference)
        both = np.stack([hits, hits0], axis=-1), np.stack([n, n0], axis=-1)
        return _tested(*stats.independence_test(*both, permutations=draws, seed=seed), draws)

    def group_test(self, draws: int, seed: int) -> Tested:
        return _tested(*stats.independence_test(self.hits, self.counts, permutations=draws, seed=seed), draws)

    def _pairs(self, groups: Sequence[int], reference: int | None) -> tuple[Counts, Counts, Counts, Counts]:
        """hits, n of the groups and hits, n of what they are compared with, [K, J] each."""
        chosen = list(groups)
        hits, n = self.hits[:, chosen], self.counts[:, chosen]
        if reference is None:
            return hits, n, self.hits.sum(axis=1, keepdims=True) - hits, self.counts.sum(axis=1, keepdims=True) - n
        others = (np.broadcast_to(array[:, [reference]], hits.shape) for array in (self.hits, self.counts))
        return hits, n, *others  # type: ignore[return-value]


def quotient(hits: Any, n: Any) -> Floats:
    """hits / n, NaN where n is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 0, np.asarray(hits, float) / n, np.nan)


def _tested(p: Floats, moved: Any, draws: int) -> Tested:
    """p-values with the name of the test that each is of."""
    return Tested(p, np.where(moved, f"{MOVED} ({draws:,} draws)", CHI))
