"""Two answers on the same pictures: whether they differ, and by how much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ..errors import InputError
from .clustered import between_persons
from .counts import Floats, checked_draws, checked_level, checked_seed, numbers
from .shares import beta_limits

_ROOM = 4_000_000  # persons times permutations at a time


class PairedByPerson(NamedTuple):
    """The share that a hits minus the share that b hits, with limits and a p-value by persons, each [...]."""

    value: Floats
    low: Floats
    high: Floats
    p: Floats
    persons: NDArray[np.int64]


def mcnemar(only_a: ArrayLike, only_b: ArrayLike) -> Floats:
    """The p-value of no difference between two answers, from the pictures that only one of them hits, [...] each.

    The exact test: among those pictures each side is a fair coin's (McNemar 1947, doi 10.1007/BF02295996). 1 where
    there is none. Raises InputError.

    >>> round(float(mcnemar(10, 2)), 4)
    0.0386
    """
    a, b = _cells(only_a=only_a, only_b=only_b)
    more, fewer = np.maximum(a, b), np.minimum(a, b)
    p = 2 * special.betainc(np.maximum(more, 1), fewer + 1, 0.5)  # twice the chance of as few or fewer
    return np.where(more == fewer, 1.0, np.minimum(p, 1))


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


def paired_by_person(
    only_a: ArrayLike, only_b: ArrayLike, n: ArrayLike, *, level: float = 0.95, permutations: int = 10_000,
    seed: int = 0,
) -> PairedByPerson:  # fmt: skip
    """Two answers on the same pictures, of which a person has several: ``only_a``, ``only_b`` and ``n`` are [..., P].

    The limits are Student's, from the variance between persons (as `korn_graubard` has it); where a and b never differ
    they are those of 0 pictures. In the test the answers of whole persons change places, p = (b + 1) / (B + 1), all
    rows by the same draws. NaN with fewer than two persons. Raises InputError.

    >>> found = paired_by_person([2, 0, 1, 3, 0, 2] * 5, [0, 1, 0, 0, 0, 0] * 5, [4] * 30, permutations=999)
    >>> round(float(found.value), 3), round(float(found.low), 3), round(float(found.high), 3), float(found.p)
    (0.292, 0.164, 0.419, 0.001)
    """
    tail, draws = (1 - checked_level(level)) / 2, checked_draws(permutations)
    a, b, m = _cells(only_a=only_a, only_b=only_b, n=n)
    if not a.ndim or (a + b > m).any():
        raise InputError(
            "only_a and only_b are counts of pictures by person, together at most n: pass arrays [..., P]."
        )
    there = m > 0
    d, m = np.where(there, a - b, 0), np.where(there, m, 0)
    persons, pictures = there.sum(axis=-1), m.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = d.sum(axis=-1) / pictures
        variance, freedom = between_persons(d - value[..., None] * m, m, persons)
        half = -special.stdtrit(freedom, tail) * np.sqrt(variance)
        none = beta_limits(np.zeros(pictures.shape), np.asarray(pictures**2 / (m**2).sum(axis=-1)), tail)[1]
    half = np.where(persons < 2, np.nan, np.where(variance > 0, half, none))

    rows = d.reshape(-1, d.shape[-1])
    least = np.abs(rows.sum(axis=1)) - 1e-9
    rng, beyond = np.random.default_rng(checked_seed(seed)), np.zeros(len(rows), np.int64)
    step = max(1, _ROOM // max(1, rows.shape[1]))
    for first in range(0, draws, step):
        signs = rng.integers(0, 2, (min(step, draws - first), rows.shape[1])) * 2.0 - 1
        beyond += (np.abs(signs @ rows.T) >= least).sum(axis=0)
    p = np.where(persons < 2, np.nan, ((beyond + 1) / (draws + 1)).reshape(value.shape))
    low, high = np.maximum(value - half, -1), np.minimum(value + half, 1)
    return PairedByPerson(np.where(persons < 2, np.nan, value), low, high, p, persons)


def _cells(**given: ArrayLike) -> tuple[Floats, ...]:
    cells = numbers(**given)
    for name, cell in zip(given, cells, strict=True):
        known = cell[~np.isnan(cell)]
        if not ((known >= 0) & (known == np.floor(known)) & np.isfinite(known)).all():
            raise InputError(f"{name} counts pictures: pass whole numbers from 0.")
    return cells
