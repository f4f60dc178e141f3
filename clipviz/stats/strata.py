"""Shares beyond what the groups are made of: standardised to common strata, and Mantel and Haenszel's difference."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ..errors import InputError
from .counts import Floats, checked_level, counts, numbers


class Standardised(NamedTuple):
    """A share at the composition of another population, with its limits, each of the shape [...]."""

    value: Floats
    low: Floats
    high: Floats


class MantelHaenszel(NamedTuple):
    """The common risk difference of all strata with its limits, and the p-value of none, each of the shape [...]."""

    value: Floats
    low: Floats
    high: Floats
    p: Floats


def standardised(hits: ArrayLike, n: ArrayLike, weights: ArrayLike, *, level: float = 0.95) -> Standardised:
    """The directly standardised share: the strata's shares, [..., S], weighted as in another population.

    ``weights`` [S] (or [..., S]) are 0 or more and are scaled to sum to 1. A stratum with a weight and no pictures
    gives NaN: leave it out of all groups, and list it. The limits are those of a beta distribution with the moments of
    the weighted sum (unbiased variances), and one event (for the lower limit: one miss) more in the stratum that weighs
    most a picture of those where not all (none) are hits, as Fay and Feuer have it for Poisson rates (1997, doi
    10.1002/(SICI)1097-0258(19970415)16:7<791::AID-SIM500>3.0.CO;2-#). Of one stratum they are Clopper and Pearson's,
    and 0 events have an upper bound. Raises InputError.

    >>> found = standardised([5, 30], [50, 100], [0.5, 0.5])
    >>> [round(float(x), 3) for x in found]
    [0.2, 0.142, 0.275]
    """
    tail = (1 - checked_level(level)) / 2
    k, m = counts(hits, n)
    (w,) = numbers(weights=weights)
    if not k.ndim or not w.ndim:
        raise InputError("A single number has no strata: pass arrays [..., strata] and weights [strata].")
    k, m, w = numbers(hits=k, n=m, weights=w)
    total = w.sum(axis=-1, keepdims=True)
    if (w < 0).any() or not (np.isfinite(total) & (total > 0)).all():
        raise InputError("weights are 0 or more, and not all 0: pass the strata's counts in the population.")
    w = w / total
    lost = (np.isnan(k) & (w > 0)).any(axis=-1)
    k, m = np.where(np.isnan(k), 0, k), np.where(np.isnan(k), 1, m)
    value = (w * k / m).sum(axis=-1)

    def heaviest(may: np.ndarray) -> Floats:
        """1 at the stratum of those that ``may`` with the most weight a picture, 0 at all others."""
        most = np.where(may & (w > 0), w / m, -1).argmax(axis=-1)
        return (np.arange(w.shape[-1]) == most[..., None]).astype(np.float64)

    with np.errstate(divide="ignore", invalid="ignore"):
        # of one picture the variance cannot be seen: that of the standardised share stands in
        seen = np.where(m > 1, k * (m - k) / (m**2 * (m - 1)), (value * (1 - value))[..., None])

    def limit(event: Floats, miss: Floats, chance: float) -> Floats:
        events, size = k + event, m + event + miss
        mean = (w * events / size).sum(axis=-1)
        beta = events * (size - events) / (size**2 * (size + 1))
        spread = (w**2 * np.where(event + miss > 0, beta, seen)).sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            both = np.maximum(mean * (1 - mean) / spread - 1, 1e-6)
            sure = (mean <= 0) | (mean >= 1) | ~(spread > 0)
            return np.where(sure, np.round(mean), special.betaincinv(mean * both, (1 - mean) * both, chance))

    none = np.zeros_like(k)
    low, high = limit(none, heaviest(k > 0), tail), limit(heaviest(k < m), none, 1 - tail)
    return Standardised(*(np.where(lost, np.nan, x) for x in (value, low, high)))


def mantel_haenszel(
    hits: ArrayLike, n: ArrayLike, hits0: ArrayLike, n0: ArrayLike, *, level: float = 0.95
) -> MantelHaenszel:
    """Mantel and Haenszel's risk difference over strata, all [..., S], with Sato's limits and the test of none.

    Strata where either group has no pictures say nothing and are left out. The limits are normal with Sato's variance
    (1989, Biometrics 45:1323), the p-value is the Cochran-Mantel-Haenszel test without continuity correction. All NaN
    where no stratum has both groups; limits and p are NaN where none or all of the pictures are hits. Raises
    InputError.

    >>> found = mantel_haenszel([5, 30], [50, 100], [2, 20], [50, 100])
    >>> [round(float(x), 3) for x in found]
    [0.087, 0.001, 0.173, 0.051]
    """
    z = -special.ndtri((1 - checked_level(level)) / 2)
    k, m = counts(hits, n)
    k0, m0 = counts(hits0, n0, of="hits0", out_of="n0")
    k, m, k0, m0 = numbers(hits=k, n=m, hits0=k0, n0=m0)
    if not k.ndim:
        raise InputError("A single number has no strata: pass arrays [..., strata].")
    both = ~(np.isnan(k) | np.isnan(k0))
    k, k0 = np.where(both, k, 0), np.where(both, k0, 0)
    m, m0 = np.where(both, m, 1), np.where(both, m0, 1)
    size = m + m0

    def summed(values: Floats) -> Floats:
        return np.where(both, values, 0).sum(axis=-1)

    with np.errstate(divide="ignore", invalid="ignore"):
        weight = summed(m * m0 / size)
        value = summed((k * m0 - k0 * m) / size) / weight
        first = summed((m**2 * k0 - m0**2 * k + m * m0 * (m0 - m) / 2) / size**2)
        second = summed((k * (m0 - k0) + k0 * (m - k)) / size) / 2
        half = z * np.sqrt(np.maximum(value * first + second, 0)) / weight
        events = k + k0
        chance = summed(events * (size - events) * m * m0 / (size**2 * np.maximum(size - 1, 1)))
        p = special.chdtrc(1, summed(k - events * m / size) ** 2 / chance)
    silent = ~(chance > 0)
    half, p = np.where(silent, np.nan, half), np.where(silent, np.nan, p)
    return MantelHaenszel(value, value - half, value + half, p)
