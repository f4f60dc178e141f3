"""Figures that are counts of pictures of which persons have several: nothing counts twice because a face does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import stats
from ..stats.clustered import ClusteredShare
from .counted import Shares, quotient
from .figures import Compared, Extremes, Tested
from .tally import TOO_FEW, Floats, Persons, Tally


@dataclass(frozen=True, eq=False)
class Clustered(Shares):
    """Shares of pictures counted by ``persons``."""

    persons: Persons
    level: float = 0.95

    @classmethod
    def of(cls, tally: Tally, chosen: Any, level: float) -> Clustered:
        """The names of a tally at the places ``chosen``."""
        known = tally.persons
        if known is None:
            raise TypeError("a tally of independent pictures has no persons")
        n = np.broadcast_to(known.n, known.hits.shape)[chosen]
        persons = Persons(known.person, known.group, known.hits[chosen], n)
        return cls(tally.hits[chosen], tally.totals[chosen], persons, level)

    @cached_property
    def _own(self) -> ClusteredShare:
        return self._shares(self.level)

    def limits(self) -> Compared:
        found = self._own
        return Compared(self.value, found.low, found.high, _said("Korn-Graubard", found.enough))

    def differences(self, groups: Sequence[int], reference: int | None) -> Compared:
        chosen, own = list(groups), self._own
        if reference is None:
            other = _together([self._rest(group) for group in chosen])
        else:
            other = _at(own, [reference])
        mine = _at(own, chosen)
        low, high = stats.combined_limits(mine.value, mine.low, mine.high, other.value, other.low, other.high)
        method = _said("square-and-add of Korn-Graubard", mine.enough & other.enough)
        return Compared(mine.value - other.value, low, high, method)

    def ratios(self, groups: Sequence[int], reference: int | None) -> Compared:
        chosen = list(groups)
        with np.errstate(divide="ignore", invalid="ignore"):
            if reference is None:
                rest = (x.sum(axis=1, keepdims=True) - x[:, chosen] for x in (self.hits, self.counts))
                value = self.value[:, chosen] / quotient(*rest)
            else:
                value = self.value[:, chosen] / self.value[:, [reference]]
        unknown = np.full(value.shape, np.nan)
        return Compared(value, unknown, unknown, "no interval where persons have several pictures")

    def gap(self) -> Extremes:
        own = self._shares(stats.pairwise_level(self.value.shape[1], level=self.level))
        found = stats.gap_of_limits(own.value, own.low, own.high)
        method = _said("simultaneous square-and-add of Korn-Graubard", self._all_enough)
        return Extremes(found.value, found.low, found.high, found.top, found.bottom, method)

    def worst(self, low_is_worst: bool) -> Extremes:
        own = self._shares(1 - (1 - self.level) / max(1, self.value.shape[1]))
        worst = "lowest" if low_is_worst else "highest"
        found = stats.worst_limits(self.hits, self.counts, level=self.level, worst=worst, effective=own.n_effective)
        method = _said("simultaneous Korn-Graubard", self._all_enough)
        return Extremes(found.value, found.low, found.high, found.group, np.full(found.group.shape, -1), method)

    def against_best(self, low_is_worst: bool) -> Compared:
        own = self._shares(stats.pairwise_level(self.value.shape[1], level=self.level))
        best = "highest" if low_is_worst else "lowest"
        found = stats.against_best_limits(
            self.hits, self.counts, level=self.level, best=best, effective=own.n_effective
        )
        method = _said("simultaneous square-and-add of Korn-Graubard", self._own.enough)
        return Compared(found.value, found.low, found.high, method)

    def pair_test(self, groups: Sequence[int], reference: int | None, draws: int, seed: int) -> Tested:
        enough = self._own.enough
        p = np.full((len(self.hits), len(groups)), np.nan)
        for column, group in enumerate(groups):
            if reference is None:
                codes = (self.persons.group != group).astype(np.int64)
                other = self._rest(group).enough
            else:
                codes = np.where(self.persons.group == group, 0, np.where(self.persons.group == reference, 1, -1))
                other = enough[:, reference]
            p[:, column] = np.where(enough[:, group] & other, self._moved(codes, draws, seed), np.nan)
        return Tested(p, np.full(p.shape, f"persons moved ({draws:,} draws)"))

    def group_test(self, draws: int, seed: int) -> Tested:
        p = np.where(self._all_enough, self._moved(self.persons.group, draws, seed), np.nan)
        return Tested(p, np.full(p.shape, f"persons moved ({draws:,} draws)"))

    @cached_property
    def _all_enough(self) -> Any:
        """Whether every group that has pictures has persons and events enough, [K]."""
        return (self._own.enough | (self.counts == 0)).all(axis=1)

    def _shares(self, level: float) -> ClusteredShare:
        persons, groups = self.persons, self.hits.shape[1]
        each = [persons.group == group for group in range(groups)]
        return _together([stats.korn_graubard(persons.hits[:, at], persons.n[:, at], level=level) for at in each])

    def _rest(self, group: int) -> ClusteredShare:
        """The share outside a group, where a person of several other groups is one."""
        at = self.persons.group != group
        person, hits, n = self.persons.person[at], self.persons.hits[:, at], self.persons.n[:, at]
        several, place = np.unique(person, return_inverse=True)
        sums = [np.stack([np.bincount(place, row, minlength=len(several)) for row in array]) for array in (hits, n)]
        return stats.korn_graubard(*sums, level=self.level)

    def _moved(self, codes: Any, draws: int, seed: int) -> Floats:
        """p of each name; names that count other pictures are tested apart."""
        hits, n = self.persons.hits, self.persons.n
        if (n == n[:1]).all():
            return stats.clustered_independence_test(hits, n[0], codes, permutations=draws, seed=seed)
        test = stats.clustered_independence_test
        return np.array([float(test(*row, codes, permutations=draws, seed=seed)) for row in zip(hits, n, strict=True)])


def _together(columns: Sequence[ClusteredShare]) -> ClusteredShare:
    """Shares of single groups, [K] each, as [K, G]."""
    return ClusteredShare(*(np.stack(parts, axis=-1) for parts in zip(*columns, strict=True)))


def _at(shares: ClusteredShare, groups: Sequence[int]) -> ClusteredShare:
    """The shares [K, J] of some groups."""
    columns: Any = [np.asarray(part)[:, list(groups)] for part in shares]
    return ClusteredShare(*columns)


def _said(method: str, enough: Any) -> Any:
    return np.where(enough, method, f"{method}; {TOO_FEW}")
