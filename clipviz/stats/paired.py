"""Two answers on the same pictures: whether they differ, and by how much."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ..errors import InputError
from .counts import Floats, checked_level, numbers
from .shares import beta_limits


def mcnemar(only_a: ArrayLike, only_b: ArrayLike) -> Floats:
    """The p-value of no difference between two answers, from the pictures that only one of them hits, [...] each.

    The exact test: among those pictures each side is a fair coin's (McNemar 1947, doi 10.1007/BF02295996). 1 where
    there is none. Raises InputError.

    >>> round(float(mcnemar(10, 2)), 4)
    0.0386
    """
    a, b = _cells(only_a=only_a, only_b=only_b)
    p = 2 * special.bdtr(np.minimum(a, b), (a + b), 0.5)
    return np.where(np.isnan(a + b), np.nan, np.where(a == b, 1.0, np.minimum(p, 1)))


def paired_difference_limits(
    both: ArrayLike, only_a: ArrayLike, only_b: ArrayLike, neither: ArrayLike, *, level: float = 0.95
) -> tuple[Floats, Floats]:
    """The limits of the share that a hits minus the share that b hits, on the same pictures, from the four counts.

    Square-and-add from Clopper and Pearson's limits of both shares, with the correlation of the two (Newcombe 1998,
    method 10, doi 10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C). NaN where there is no picture.
    All broadcast. Raises InputError.

    >>> [round(float(limit), 3) for limit in paired_difference_limits(30, 12, 2, 56)]
    [0.023, 0.176]
    """
    tail = (1 - checked_level(level)) / 2
    e, f, g, h = _cells(both=both, only_a=only_a, only_b=only_b, neither=neither)
    n = e + f + g + h
    n = np.where(n > 0, n, np.nan)
    a, b = (e + f) / n, (e + g) / n
    (l, u), (l0, u0) = beta_limits(e + f, n, tail), beta_limits(e + g, n, tail)
    across = e * h - f * g
    across = np.where(across > 0, np.maximum(across - n / 2, 0), across)  # his continuity correction
    size = np.sqrt((e + f) * (g + h) * (e + g) * (f + h))
    phi = across / np.where(size > 0, size, 1)

    def side(x: Floats, y: Floats) -> Floats:
        return np.sqrt(np.maximum(x**2 - 2 * phi * x * y + y**2, 0))

    return a - b - side(a - l, u0 - b), a - b + side(u - a, b - l0)


def _cells(**given: ArrayLike) -> tuple[Floats, ...]:
    cells = numbers(**given)
    for name, cell in zip(given, cells, strict=True):
        known = cell[~np.isnan(cell)]
        if not ((known >= 0) & (known == np.floor(known)) & np.isfinite(known)).all():
            raise InputError(f"{name} counts pictures: pass whole numbers from 0.")
    return cells
