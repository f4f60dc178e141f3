"""Means of scores by group, such as a label's probability or margin: limits and tests that allow unequal spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ..errors import InputError
from .counts import Floats, checked_level, numbers
from .gaps import Gap, extremes, pairwise_level


def mean_limits(mean: ArrayLike, var: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """The limits of a mean, all broadcast, by Student's t; ``var`` has n - 1 in its denominator.

    NaN where n is below 2, or where all values were the same, which is no proof that others would be. Raises
    InputError.

    >>> [round(float(limit), 3) for limit in mean_limits(0.3, 0.04, 100)]
    [0.26, 0.34]
    """
    tail = (1 - checked_level(level)) / 2
    m, v, size = _moments(mean, var, n)
    half = -special.stdtrit(size - 1, tail) * np.sqrt(v / size)
    return m - half, m + half


def mean_difference_limits(
    mean: ArrayLike, var: ArrayLike, n: ArrayLike, mean0: ArrayLike, var0: ArrayLike, n0: ArrayLike, *,
    level: float = 0.95,
) -> tuple[Floats, Floats]:  # fmt: skip
    """The limits of ``mean - mean0`` of two groups of pictures, all broadcast, by Welch's t.

    ``var`` and ``var0`` have n - 1 in their denominators. NaN where an n is below 2 or a variance is 0 (Welch 1947, doi
    10.1093/biomet/34.1-2.28). Raises InputError.

    >>> [round(float(limit), 3) for limit in mean_difference_limits(0.3, 0.04, 100, 0.2, 0.02, 50)]
    [0.044, 0.156]
    """
    tail = (1 - checked_level(level)) / 2
    m, v, size = _moments(mean, var, n)
    m0, v0, size0 = _moments(mean0, var0, n0)
    numbers(mean=m, mean0=m0)
    d, half = m - m0, _welch(v, size, v0, size0, tail)
    return d - half, d + half


def mean_gap_limits(mean: ArrayLike, var: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Gap:
    """The highest mean minus the lowest of G groups, [..., G], with an interval that holds for all pairs at once.

    As `gap_limits`, from Welch's intervals of the pairs. Groups without limits of their own (n below 2, no variance)
    are left out; NaN where fewer than two are left. Raises InputError.

    >>> gap = mean_gap_limits([0.3, 0.2, 0.25], [0.04, 0.04, 0.04], [100, 100, 100])
    >>> round(float(gap.value), 2), round(float(gap.low), 3), round(float(gap.high), 3)
    (0.1, 0.032, 0.168)
    """
    m, v, size = _moments(mean, var, n)
    if not m.ndim or not m.shape[-1]:
        raise InputError(f"The shape {list(m.shape)} has no groups: pass arrays [..., groups].")
    there = ~np.isnan(m)
    groups = there.sum(axis=-1)
    tails = np.array([(1 - pairwise_level(g, level=level)) / 2 for g in range(m.shape[-1] + 1)])[groups]
    left, right = np.index_exp[..., :, None], np.index_exp[..., None, :]
    half = _welch(v[left], size[left], v[right], size[right], tails[..., None, None])
    d = m[left] - m[right]
    itself = np.eye(m.shape[-1], dtype=bool)
    low, high = (np.fmax.reduce(np.where(itself, np.nan, side), axis=(-2, -1)) for side in (d - half, d + half))
    return extremes(m, there, low, high)


def means_test(means: ArrayLike, vars: ArrayLike, ns: ArrayLike) -> Floats:
    """The p-values of equal means in all of G groups, [..., G] -> [...], by Welch's analysis of variance.

    With two groups it is Welch's t (1951, doi 10.1093/biomet/38.3-4.330). Groups with n below 2 are left out; NaN
    where fewer than two are left or one has no variance. Raises InputError.

    >>> round(float(means_test([0.3, 0.2], [0.04, 0.02], [100, 50])), 5)
    0.00056
    """
    m, v, size = numbers(means=means, vars=vars, ns=ns)
    if not m.ndim or not m.shape[-1]:
        raise InputError(f"The shape {list(m.shape)} has no groups: pass arrays [..., groups].")
    constant = ((size >= 2) & (v == 0) & ~np.isnan(m)).any(axis=-1)
    m, v, size = _moments(m, v, size)
    there = ~np.isnan(m)
    groups = there.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(there, size / v, 0)
        total = weight.sum(axis=-1, keepdims=True)
        grand = (weight * np.where(there, m, 0)).sum(axis=-1, keepdims=True) / total
        between = (weight * (np.where(there, m, 0) - grand) ** 2).sum(axis=-1) / (groups - 1)
        odd = np.where(there, (1 - weight / total) ** 2 / (np.where(there, size, 2) - 1), 0).sum(axis=-1)
        f = between / (1 + 2 * (groups - 2) / (groups**2 - 1) * odd)
        p = special.fdtrc(groups - 1, (groups**2 - 1) / (3 * odd), f)
    return np.where((groups < 2) | constant, np.nan, p)


def _welch(v: Floats, n: Floats, v0: Floats, n0: Floats, tail: Floats | float) -> Floats:
    """Half the width of the interval of a difference of two means."""
    a, b = v / n, v0 / n0
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (n0 - 1))
    return -special.stdtrit(freedom, tail) * np.sqrt(a + b)


def _moments(mean: ArrayLike, var: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The arguments, NaN where they have no interval."""
    m, v, size = numbers(mean=mean, var=var, n=n)
    if (size < 0).any() or (v < 0).any():
        raise InputError("A variance and a number of pictures are 0 or more: pass mean, var and n in this order.")
    lost = np.isnan(m) | np.isnan(v) | ~(size >= 2) | (v == 0)
    return np.where(lost, np.nan, m), np.where(lost, np.nan, v), np.where(lost, np.nan, size)
