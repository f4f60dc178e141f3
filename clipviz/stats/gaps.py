"""The extremes of several groups: the widest gap, the worst group, the distance to the best."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .counts import Floats, checked_level, counts, numbers, one_of
from .differences import square_and_add
from .shares import beta_limits

_ROOM = 2_000_000  # pairs at a time


class Gap(NamedTuple):
    """The highest share minus the lowest, of the shape [...]; ``top`` and ``bottom`` are places, -1 for none."""

    value: Floats
    low: Floats
    high: Floats
    top: NDArray[np.int64]
    bottom: NDArray[np.int64]


class Worst(NamedTuple):
    """The share of the worst group, of the shape [...], with simultaneous limits; ``group`` is a place, -1 for none."""

    value: Floats
    low: Floats
    high: Floats
    group: NDArray[np.int64]


class AgainstBest(NamedTuple):
    """Each group's distance to the best one, [..., G], 0 or more, with limits; ``best`` is its place, [...]."""

    value: Floats
    low: Floats
    high: Floats
    best: NDArray[np.int64]


def pairwise_level(groups: int, *, level: float = 0.95) -> float:
    """The level of each pair's interval at which those of all pairs of ``groups`` hold together (Bonferroni).

    >>> round(pairwise_level(7), 4)
    0.9976
    """
    return 1 - (1 - checked_level(level)) / max(1, groups * (groups - 1) // 2)


def gap_limits(hits: ArrayLike, n: ArrayLike, *, level: float = 0.95, effective: ArrayLike | None = None) -> Gap:
    """The gap max - min of the shares of G groups, [..., G], with an interval that holds for all pairs at once.

    Each pair has a square-and-add interval at 1 - (1 - level) / pairs; the lower limit is the largest of the pairs'
    lower limits, not below 0, and the upper the largest upper. (The naive interval of the extremes excludes 0 in 40 %
    of reports on seven equal groups.) Groups with n = 0 are left out; NaN where fewer than two are left.
    ``effective``, [..., G], are the sizes to reckon with instead of n: those of `korn_graubard` at `pairwise_level`.
    Raises InputError.

    >>> gap = gap_limits([10, 20, 45], [100, 100, 100])
    >>> round(float(gap.low), 2), round(float(gap.high), 2), int(gap.top), int(gap.bottom)
    (0.2, 0.49, 2, 0)
    """
    share, size, there = _groups(hits, n, effective)
    each = _per_row(there, lambda groups: pairwise_level(groups, level=level))
    low, high = _limits(share, size, each)
    return _widest(share, low, high, there)


def gap_of_limits(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> Gap:
    """`gap_limits` of G independent figures with limits at `pairwise_level` already, [..., G]; NaN is left out."""
    share, l, u = numbers(value=value, low=low, high=high)
    _has_groups(share)
    return _widest(share, l, u, ~np.isnan(share))


def worst_limits(
    hits: ArrayLike, n: ArrayLike, *, level: float = 0.95, worst: str = "highest", effective: ArrayLike | None = None
) -> Worst:
    """The share of the worst of G groups, [..., G], with limits that hold for all groups at once.

    ``worst`` is "highest" or "lowest". Each group has Clopper and Pearson's limits at 1 - (1 - level) / groups; of the
    highest share the lower limit is the largest lower one and the upper the largest upper one, and the other way round.
    Groups with n = 0 are left out. Raises InputError.

    >>> found = worst_limits([10, 20], [100, 100])
    >>> round(float(found.low), 3), round(float(found.high), 3), int(found.group)
    (0.118, 0.305, 1)
    """
    one_of(worst, ("highest", "lowest"), "worst")
    share, size, there = _groups(hits, n, effective)
    each = _per_row(there, lambda groups: 1 - (1 - checked_level(level)) / max(1, groups))
    low, high = _limits(share, size, each)
    if worst == "lowest":
        value, l, u = -share, -high, -low
    else:
        value, l, u = share, low, high
    none = ~there.any(axis=-1)
    group = np.where(none, -1, np.where(there, value, -np.inf).argmax(axis=-1))
    limits = [np.where(none, np.nan, np.where(there, side, -np.inf).max(axis=-1)) for side in (value, l, u)]
    if worst == "lowest":
        return Worst(-limits[0], -limits[2], -limits[1], group)
    return Worst(limits[0], limits[1], limits[2], group)


def against_best_limits(
    hits: ArrayLike, n: ArrayLike, *, level: float = 0.95, best: str = "lowest", effective: ArrayLike | None = None
) -> AgainstBest:
    """How far each of G groups, [..., G], is from the best, with limits that do not take the best for known.

    ``best`` is "lowest" (high is bad) or "highest". The distance is 0 or more; its limits are the largest of the
    group's pairwise limits against all others, not below 0, each pair at 1 - (1 - level) / pairs. NaN for groups with
    n = 0. Raises InputError.

    >>> found = against_best_limits([10, 20, 45], [100, 100, 100])
    >>> found.value.round(2).tolist(), found.low.round(2).tolist(), int(found.best)
    ([0.0, 0.1, 0.35], [0.0, 0.0, 0.2], 0)
    """
    one_of(best, ("highest", "lowest"), "best")
    share, size, there = _groups(hits, n, effective)
    each = _per_row(there, lambda groups: pairwise_level(groups, level=level))
    low, high = _limits(share, size, each)
    value, l, u = (share, low, high) if best == "lowest" else (-share, -high, -low)
    limits = np.zeros((2, *share.shape))
    for rows, below, above in _pairs(value, l, u):
        limits[0].reshape(-1, share.shape[-1])[rows] = np.maximum(np.fmax.reduce(below, axis=-1), 0)
        limits[1].reshape(-1, share.shape[-1])[rows] = np.maximum(np.fmax.reduce(above, axis=-1), 0)
    lowest = np.where(there, value, np.inf)
    none = ~there.any(axis=-1)
    few = ~there | (there.sum(axis=-1) < 2)[..., None]
    with np.errstate(invalid="ignore"):
        distance = value - lowest.min(axis=-1, keepdims=True)
    return AgainstBest(
        np.where(few, np.nan, distance), np.where(few, np.nan, limits[0]), np.where(few, np.nan, limits[1]),
        np.where(none, -1, lowest.argmin(axis=-1)),
    )  # fmt: skip


def _groups(hits: ArrayLike, n: ArrayLike, effective: ArrayLike | None) -> tuple[Floats, Floats, np.ndarray]:
    """The shares, the sizes to reckon with, and which groups are there, [..., G]."""
    k, total = counts(hits, n)
    _has_groups(k)
    share = k / total
    there = ~np.isnan(share)
    if effective is None:
        return share, total, there
    (size,) = numbers(effective=effective)
    size = numbers(hits=k, effective=size)[1]
    if (size[there] < 0).any():
        raise InputError("effective holds negative sizes: pass those that korn_graubard gives.")
    there = there & (size > 0)
    return np.where(there, share, np.nan), np.where(there, size, np.nan), there


def _has_groups(values: Floats) -> None:
    if not values.ndim or not values.shape[-1]:
        raise InputError(f"The shape {list(values.shape)} has no groups: pass arrays [..., groups].")


def _per_row(there: np.ndarray, level_of: object) -> Floats:
    """``level_of(number of groups that are there)``, [..., 1]."""
    groups = there.sum(axis=-1, keepdims=True)
    levels = np.array([level_of(g) for g in range(there.shape[-1] + 1)])  # type: ignore[operator]
    return levels[groups]


def _limits(share: Floats, size: Floats, level: Floats) -> tuple[Floats, Floats]:
    low, high = np.full(share.shape, np.nan), np.full(share.shape, np.nan)
    each = np.broadcast_to(level, share.shape)
    for one in np.unique(level):
        at = each == one
        low[at], high[at] = beta_limits(_hits(share[at], size[at]), size[at], (1 - one) / 2)
    return low, high


def _hits(share: Floats, size: Floats) -> Floats:
    """share * size, with rounding undone where it is a whole number, so that whole counts give the exact limits."""
    hits = share * size
    whole = np.round(hits)
    return np.where(np.abs(hits - whole) < 1e-9 * np.maximum(size, 1), whole, hits)


def _pairs(share: Floats, low: Floats, high: Floats) -> Iterator[tuple[slice, Floats, Floats]]:
    """Blocks of rows, with the limits of group i minus group j, [rows, i, j], where i = j is NaN."""
    groups = share.shape[-1]
    a, l, u = (values.reshape(-1, groups) for values in (share, low, high))
    step = max(1, _ROOM // groups**2)
    same = np.eye(groups, dtype=bool)
    for first in range(0, len(a), step):
        rows = slice(first, first + step)
        left, right = [v[rows, :, None] for v in (a, l, u)], [v[rows, None, :] for v in (a, l, u)]
        below, above = square_and_add(left[0], left[1], left[2], right[0], right[1], right[2])
        yield rows, np.where(same, np.nan, below), np.where(same, np.nan, above)


def _widest(share: Floats, low: Floats, high: Floats, there: np.ndarray) -> Gap:
    limits = np.zeros((2, int(np.prod(share.shape[:-1], dtype=np.int64))))
    for rows, below, above in _pairs(share, low, high):
        limits[0, rows], limits[1, rows] = (np.fmax.reduce(side, axis=(-2, -1)) for side in (below, above))
    low, high = limits.reshape(2, *share.shape[:-1])
    return extremes(share, there, low, high)


def extremes(value: Floats, there: np.ndarray, low: Floats, high: Floats) -> Gap:
    """The gap of the figures that are ``there``, [..., G], from the largest of the pairs' limits, [...]."""
    few = there.sum(axis=-1) < 2
    top = np.where(there, value, -np.inf).argmax(axis=-1)
    bottom = np.where(there, value, np.inf).argmin(axis=-1)
    # where all are equal, the extremes are the first and the last group that is there
    last = value.shape[-1] - 1 - there[..., ::-1].argmax(axis=-1)
    bottom = np.where(top == bottom, last, bottom)
    highest, lowest = (np.take_along_axis(value, at[..., None], axis=-1)[..., 0] for at in (top, bottom))
    return Gap(
        np.where(few, np.nan, highest - lowest), np.where(few, np.nan, np.maximum(low, 0)), np.where(few, np.nan, high),
        np.where(few, -1, top), np.where(few, -1, bottom),
    )  # fmt: skip
