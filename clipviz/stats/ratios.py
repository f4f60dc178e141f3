"""The ratio of two shares with its limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .counts import Floats, checked_level, counts, numbers
from .differences import bisected

_FAR = 40.0  # in logarithms: a ratio of 1e17 either way, beyond any count of pictures


def ratio_limits(
    hits: ArrayLike, n: ArrayLike, hits0: ArrayLike, n0: ArrayLike, *, level: float = 0.95
) -> tuple[Floats, Floats]:
    """The score limits of the ratio (``hits`` / ``n``) / (``hits0`` / ``n0``), all broadcast; NaN where an n is 0.

    Where ``hits0`` is 0 there is a lower limit only and the upper is inf; where ``hits`` is 0 the lower is 0; where
    both are, nothing is known: 0 and inf. With Miettinen and Nurminen's N / (N - 1) (1985, doi
    10.1002/sim.4780040211; without it, Koopman's). Raises InputError.

    >>> [round(float(limit), 2) for limit in ratio_limits(15, 100, 5, 100)]
    [1.18, 7.74]
    """
    z = -special.ndtri((1 - checked_level(level)) / 2)
    k, m = counts(hits, n)
    k0, m0 = counts(hits0, n0, of="hits0", out_of="n0")
    k, m, k0, m0 = numbers(hits=k, n=m, hits0=k0, n0=m0)
    both, rate, rate0 = m + m0, k / m, k0 / m0
    scale = z**2 * both / np.maximum(both - 1, 1)

    def inside(log: Floats) -> tuple[np.ndarray, np.ndarray]:
        """Whether the score test keeps a ratio, and whether the ratio seen is above it."""
        ratio = np.exp(log)
        b = m * ratio + k + m0 + k0 * ratio
        # the smaller root of both * ratio * x^2 - b * x + (k + k0), in the form that does not cancel
        low = 2 * (k + k0) / (b + np.sqrt(np.maximum(b * b - 4 * both * ratio * (k + k0), 0)))
        high = np.clip(ratio * low, 0, 1)
        apart = rate - ratio * rate0
        spread = high * (1 - high) / m + ratio**2 * low * np.maximum(1 - low, 0) / m0
        return apart**2 <= scale * spread, apart > 0

    def too_low(log: Floats) -> np.ndarray:
        kept, above = inside(log)
        return ~kept & above

    def not_too_high(log: Floats) -> np.ndarray:
        kept, above = inside(log)
        return kept | above

    with np.errstate(all="ignore"):
        start, end = np.full(rate.shape, -_FAR), np.full(rate.shape, _FAR)
        bottom, top = np.exp(bisected(too_low, start, end)), np.exp(bisected(not_too_high, start, end))
    lost = np.isnan(rate) | np.isnan(rate0)
    bottom = np.where(lost, np.nan, np.where(k == 0, 0.0, bottom))
    return bottom, np.where(lost, np.nan, np.where(k0 == 0, np.inf, top))
