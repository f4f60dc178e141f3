"""What a comparison could have found, and what errors in its groups would do to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ..errors import InputError
from .counts import Floats, numbers
from .differences import bisected


def smallest_gap(rate: ArrayLike, n: ArrayLike, n0: ArrayLike, *, alpha: float, power: float = 0.8) -> Floats:
    """The smallest difference that a test of two shares at ``alpha`` finds with the chance ``power``, all broadcast.

    ``rate`` is that of the reference, of ``n0`` pictures; the other group has ``n`` and differs by the gap towards a
    half (upwards, where the rate is a half or less), which is the side where it is harder. ``alpha`` is two-sided and
    as corrected: under Holm over 21 tests the hardest is 0.05 / 21. The normal approximation of the chi-squared test
    (Fleiss, Tytun and Ury 1980). NaN where no gap would do, or an n is 0. Raises InputError.

    >>> round(float(smallest_gap(0.1, 1000, 1000, alpha=0.05)), 3)
    0.041
    """
    p0, m, m0 = numbers(rate=rate, n=n, n0=n0)
    _within(rate=p0)
    _sizes(m, m0)
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise InputError(f"{name}={value!r} is no chance between 0 and 1: pass 0.05 or 0.8.")
    p0 = np.where(p0 > 0.5, 1 - p0, p0)  # the mirror image
    z = -special.ndtri(alpha / 2)
    with np.errstate(divide="ignore", invalid="ignore"):

        def short(gap: Floats) -> np.ndarray:
            p = p0 + gap
            pooled = (p * m + p0 * m0) / (m + m0)
            need = z * np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / m0))
            return special.ndtr((gap - need) / np.sqrt(p * (1 - p) / m + p0 * (1 - p0) / m0)) < power

        found = bisected(short, np.zeros(p0.shape), 1 - p0)
        never = np.isnan(p0) | ~(m > 0) | ~(m0 > 0) | (found > (1 - p0) * (1 - 1e-9))
    return np.where(never, np.nan, found)


def misassigned(share: ArrayLike, share0: ArrayLike, n: ArrayLike, n0: ArrayLike, error: ArrayLike) -> Floats:
    """The difference ``share - share0`` that is left where the chance ``error`` puts a picture into the other group.

    Of ``n`` and ``n0`` pictures as many change sides as ``error`` says, whatever their answer; the gap shrinks. All
    broadcast. Raises InputError.

    >>> round(float(misassigned(0.2, 0.1, 1000, 1000, 0.05)), 3)
    0.09
    """
    p, p0, m, m0, e = numbers(share=share, share0=share0, n=n, n0=n0, error=error)
    _within(share=p, share0=p0, error=e)
    _sizes(m, m0)
    with np.errstate(invalid="ignore", divide="ignore"):
        first = ((1 - e) * m * p + e * m0 * p0) / ((1 - e) * m + e * m0)
        second = ((1 - e) * m0 * p0 + e * m * p) / ((1 - e) * m0 + e * m)
    return np.where((m > 0) & (m0 > 0), first - second, np.nan)


def _within(**given: Floats) -> None:
    for name, values in given.items():
        if ((values < 0) | (values > 1)).any():
            raise InputError(f"{name} lies outside 0 to 1: pass shares, 0.1 for 10 %.")


def _sizes(*sizes: Floats) -> None:
    if any((size < 0).any() or np.isinf(size).any() for size in sizes):
        raise InputError("A negative or infinite number of pictures is none: pass n and n0 from 0.")
