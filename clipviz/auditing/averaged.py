"""Figures that are means over pictures: probabilities, margins, balanced accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import stats
from ..stats.clustered import FEWEST_PERSONS
from .counted import quotient
from .figures import Compared, Extremes, Tested
from .tally import TOO_FEW, Counts, Floats, Tally

_BOUNDED = ("mean_probability",)  # means of values from 0 to 1


@dataclass(frozen=True, eq=False)
class Averaged:
    """Means of K names in G groups with the variances of what they are means of, [K, G] each.

    ``counts`` are pictures, or persons where ``pictures`` tells of how many pictures they are. Of ``bounded`` values
    the variance is that with one more at the far end of 0 to 1 (`with_unseen`).
    """

    value: Floats
    raw: Floats
    counts: Counts
    level: float = 0.95
    bounded: bool = False
    pictures: Counts | None = None

    @classmethod
    def of(cls, tally: Tally, chosen: Any, level: float) -> Averaged:
        """The names of a tally at the places ``chosen``."""
        means, variances = tally.means, tally.variances
        if means is None or variances is None:
            raise TypeError("a tally of counts has no means")
        pictures = None
        if tally.of_pictures is not None:
            pictures = np.broadcast_to(tally.of_pictures, tally.totals.shape)[chosen]
        bounded = tally.metric in _BOUNDED
        return cls(means[chosen], variances[chosen], tally.totals[chosen], level, bounded, pictures)

    @property
    def n(self) -> Floats:
        return (self.counts if self.pictures is None else self.pictures).astype(float)

    @property
    def variance(self) -> Floats:
        return with_unseen(self.value, self.raw, self.counts) if self.bounded else self.raw

    @property
    def enough(self) -> Any:
        """Whether there are persons enough to say anything, [K, G]; pictures of as many persons always are."""
        return np.full(self.counts.shape, True) if self.pictures is None else self.counts >= FEWEST_PERSONS

    @property
    def k(self) -> Floats:
        return np.full(self.value.shape, np.nan)

    def limits(self) -> Compared:
        low, high = self._inside(*stats.mean_limits(self.value, self.variance, self.counts, level=self.level), 0)
        return Compared(self.value, low, high, self._said("Student's t", self.enough))

    def differences(self, groups: Sequence[int], reference: int | None) -> Compared:
        one, other = self._pairs(groups, reference)
        low, high = self._inside(*stats.mean_difference_limits(*one, *other, level=self.level), -1)
        return Compared(one[0] - other[0], low, high, self._said("Welch's t", self._enough(groups, reference)))

    def ratios(self, groups: Sequence[int], reference: int | None) -> None:
        """A margin has no natural zero, and no interval is known that holds for ratios of means of few pictures."""

    def gap(self) -> Extremes:
        found = stats.mean_gap_limits(self.value, self.variance, self.counts, level=self.level)
        method = self._said("simultaneous Welch's t", self._all_enough)
        low, high = self._inside(found.low, found.high, 0)
        return Extremes(found.value, low, high, found.top, found.bottom, method)

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
        low, high = self._inside(low, high, 0)
        method = self._said("simultaneous Student's t", self._all_enough)
        return Extremes(value, low, high, group, np.full(len(group), -1), method)

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
        low, high = self._inside(low, high, 0)
        return Compared(distance, low, high, self._said("simultaneous Welch's t", self.enough))

    def pair_test(self, groups: Sequence[int], reference: int | None, draws: int, seed: int) -> Tested:
        one, other = self._pairs(groups, reference)
        both = (np.stack(np.broadcast_arrays(a, b), axis=-1) for a, b in zip(one, other, strict=True))
        p = np.where(self._enough(groups, reference), stats.means_test(*both), np.nan)
        return Tested(p, np.full(p.shape, "Welch"))

    def group_test(self, draws: int, seed: int) -> Tested:
        p = np.where(self._all_enough, stats.means_test(self.value, self.variance, self.counts), np.nan)
        return Tested(p, np.full(p.shape, "Welch"))

    def _pairs(self, groups: Sequence[int], reference: int | None) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
        """mean, variance, n of the groups, and of what they are compared with."""
        chosen, arrays = list(groups), (self.value, self.variance, self.counts.astype(float))
        one = tuple(array[:, chosen] for array in arrays)
        if reference is None:
            return one, self._rest(chosen)
        return one, tuple(array[:, [reference]] for array in arrays)

    def _rest(self, groups: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """mean, variance, n of all pictures (or persons) that are not in each of the groups."""
        n = self.counts.astype(float)
        mean, variance = (np.where(n > 0, np.nan_to_num(x), 0) for x in (self.value, self.raw))
        if self.pictures is None:
            sums, squares = n * mean, np.maximum(n - 1, 0) * variance + n * mean**2
            n, sums, squares = (x.sum(axis=1, keepdims=True) - x[:, groups] for x in (n, sums, squares))
            found = quotient(sums, n)
            with np.errstate(divide="ignore", invalid="ignore"):
                spread = np.where(n > 1, np.maximum(squares - n * found**2, 0) / (n - 1), np.nan)
        else:  # a mean over pictures, whose variance is that of the groups' means, weighed by their pictures
            size = self.n
            errors = size**2 * np.where(n > 0, variance / np.maximum(n, 1), 0)
            n, size, sums, errors = (
                x.sum(axis=1, keepdims=True) - x[:, groups] for x in (n, size, size * mean, errors)
            )
            found, spread = quotient(sums, size), quotient(n * quotient(errors, size), size)
        return found, with_unseen(found, spread, n) if self.bounded else spread, n

    def _enough(self, groups: Sequence[int], reference: int | None) -> Any:
        """Whether the groups and what they are compared with have persons enough, [K, J]."""
        own = self.enough[:, list(groups)]
        if self.pictures is None:
            return own
        if reference is None:
            return own & (self.counts.sum(axis=1, keepdims=True) - self.counts[:, list(groups)] >= FEWEST_PERSONS)
        return own & self.enough[:, [reference]]

    @property
    def _all_enough(self) -> Any:
        return (self.enough | (self.counts == 0)).all(axis=1)

    def _inside(self, low: Floats, high: Floats, least: float) -> tuple[Floats, Floats]:
        """Limits of what lies from ``least`` to 1, where the values are bounded."""
        return (np.maximum(low, least), np.minimum(high, 1)) if self.bounded else (low, high)

    def _said(self, method: str, enough: Any) -> Any:
        if self.bounded:
            method += " with one unseen event"
        return np.where(enough, method, f"{method}; {TOO_FEW}")


def with_unseen(mean: Any, variance: Any, n: Any) -> Floats:
    """The variance (n - 1) of values from 0 to 1, with one more value, at the end that is farther from their mean.

    Probabilities are mostly near 0 with a few near 1, and of a group of 30 that shows none of those few, Student's t
    knows nothing: its limits cover 26 % where 1 % are near 1, and of reports with one such group 70 % have a false
    finding. With the unseen value they cover 94 % and more; of a thousand pictures it changes next to nothing.

    >>> round(float(with_unseen(0.01, 0.0001, 30)), 4), round(float(with_unseen(0.5, 0.04, 3000)), 4)
    (0.0317, 0.0401)
    """
    m, v, size = (np.asarray(x, np.float64) for x in (mean, variance, n))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(((size - 1) * v + size / (size + 1) * np.maximum(m, 1 - m) ** 2) / size)
