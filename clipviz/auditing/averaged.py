"""Figures that are means over pictures: probabilities, margins, balanced accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import stats
from .counted import quotient
from .figures import Compared, Extremes, Tested
from .tally import Counts, Floats, Tally


@dataclass(frozen=True, eq=False)
class Averaged:
    """Means of K names in G groups with the variances of what they are means of, [K, G] each."""

    value: Floats
    variance: Floats
    counts: Counts
    level: float = 0.95

    @classmethod
    def of(cls, tally: Tally, chosen: Any, level: float) -> Averaged:
        """The names of a tally at the places ``chosen``."""
        means, variances = tally.means, tally.variances
        if means is None or variances is None:
            raise TypeError("a tally of counts has no means")
        return cls(means[chosen], variances[chosen], tally.totals[chosen], level)

    @property
    def n(self) -> Floats:
        return self.counts.astype(float)

    @property
    def k(self) -> Floats:
        return np.full(self.value.shape, np.nan)

    def limits(self) -> Compared:
        low, high = stats.mean_limits(self.value, self.variance, self.counts, level=self.level)
        return Compared(self.value, low, high, "Student's t")

    def differences(self, groups: Sequence[int], reference: int | None) -> Compared:
        one, other = self._pairs(groups, reference)
        low, high = stats.mean_difference_limits(*one, *other, level=self.level)
        return Compared(one[0] - other[0], low, high, "Welch's t")

    def ratios(self, groups: Sequence[int], reference: int | None) -> None:
        """A margin has no natural zero, and no interval is known that holds for ratios of means of few pictures."""

    def gap(self) -> Extremes:
        found = stats.mean_gap_limits(self.value, self.variance, self.counts, level=self.level)
        return Extremes(found.value, found.low, found.high, found.top, found.bottom, "simultaneous Welch's t")

    def worst(self, low_is_worst: bool) -> Extremes:
        sign = -1.0 if low_is_worst else 1.0
        there = np.isfinite(self.value)
        share = (1 - self.level) / np.maximum(there.sum(axis=1, keepdims=True), 1)
        limits = np.full((2, *self.value.shape), np.nan)
        for one in np.unique(share):
            at = (share == one)[:, 0]
            limits[:, at] = stats.mean_limits(self.value[at], self.variance[at], self.counts[at], level=1 - one)
        low, high = limits if sign > 0 else -limits[::-1]
        group = np.where(there.any(axis=1), np.where(there, sign * self.value, -np.inf).argmax(axis=1), -1)
        found = [np.where(group < 0, np.nan, sign * np.fmax.reduce(x, axis=1)) for x in (sign * self.value, low, high)]
        value, low, high = found if sign > 0 else (found[0], found[2], found[1])
        return Extremes(value, low, high, group, np.full(len(group), -1), "simultaneous Student's t")

    def against_best(self, low_is_worst: bool) -> Compared:
        sign = -1.0 if low_is_worst else 1.0
        groups = self.value.shape[1]
        level = stats.pairwise_level(groups, level=self.level)
        mine, theirs = np.index_exp[:, :, None], np.index_exp[:, None, :]
        arrays = (self.value, self.variance, self.counts)
        low, high = stats.mean_difference_limits(
            *(np.asarray(x, float)[mine] for x in arrays), *(np.asarray(x, float)[theirs] for x in arrays), level=level
        )
        low, high = (low, high) if sign > 0 else (-high, -low)
        itself = np.eye(groups, dtype=bool)
        low, high = (np.fmax.reduce(np.where(itself, np.nan, x), axis=2) for x in (low, high))
        value = sign * self.value
        distance = value - np.fmin.reduce(value, axis=1, keepdims=True)
        lost = ~np.isfinite(value)
        low, high = (np.where(lost, np.nan, np.maximum(x, 0)) for x in (low, high))
        return Compared(distance, low, high, "simultaneous Welch's t")

    def pair_test(self, groups: Sequence[int], reference: int | None, draws: int, seed: int) -> Tested:
        one, other = self._pairs(groups, reference)
        both = (np.stack(np.broadcast_arrays(a, b), axis=-1) for a, b in zip(one, other, strict=True))
        p = stats.means_test(*both)
        return Tested(p, np.full(p.shape, "Welch"))

    def group_test(self, draws: int, seed: int) -> Tested:
        p = stats.means_test(self.value, self.variance, self.counts)
        return Tested(p, np.full(p.shape, "Welch"))

    def _pairs(self, groups: Sequence[int], reference: int | None) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
        """mean, variance, n of the groups, and of what they are compared with."""
        chosen, arrays = list(groups), (self.value, self.variance, self.n)
        one = tuple(array[:, chosen] for array in arrays)
        if reference is None:
            return one, self._rest(chosen)
        return one, tuple(array[:, [reference]] for array in arrays)

    def _rest(self, groups: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """mean, variance, n of all pictures that are not in each of the groups."""
        n = self.n
        mean, variance = (np.where(n > 0, np.nan_to_num(x), 0) for x in (self.value, self.variance))
        sums, squares = n * mean, np.maximum(n - 1, 0) * variance + n * mean**2
        n, sums, squares = (x.sum(axis=1, keepdims=True) - x[:, groups] for x in (n, sums, squares))
        found = quotient(sums, n)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.where(n > 1, np.maximum(squares - n * found**2, 0) / (n - 1), np.nan)
        return found, spread, n
