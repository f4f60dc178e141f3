"""Shares where a person has several pictures: intervals and tests by persons."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ..errors import InputError
from .counts import Floats, checked_draws, checked_level, checked_seed, counts, numbers
from .shares import beta_limits

FEWEST_PERSONS, FEWEST_EVENTS = 20, 10
_ROOM = 4_000_000  # persons times permutations at a time


class ClusteredShare(NamedTuple):
    """A share of pictures with limits by persons, each of the shape [...].

    ``n_effective`` pictures of as many persons would say as much. ``enough`` is whether there are 20 persons, and 10
    hits and 10 misses, to say anything: below, "too few people to say".
    """

    value: Floats
    low: Floats
    high: Floats
    n_effective: Floats
    persons: NDArray[np.int64]
    expected_events: Floats
    enough: NDArray[np.bool_]


def korn_graubard(hits_by_person: ArrayLike, n_by_person: ArrayLike, *, level: float = 0.95) -> ClusteredShare:
    """The share of hits among pictures of which a person has several, with limits that hold for persons.

    ``hits_by_person`` and ``n_by_person`` are [..., persons] and broadcast; a person with n = 0 is not there. Clopper
    and Pearson's limits of an effective number of pictures (Korn and Graubard 1998, Survey Methodology 24:193), from
    the variance between persons, with three mends, without which they cover 85 % where few persons have most hits
    (docs/audit_statistics.md): that variance is of residuals by leverage, for persons with many pictures (HC2); its
    degrees of freedom follow from their kurtosis; and as many pictures count as if all of a person's were alike, at
    least (Kish's n), which is also the number where all or none are hits. NaN without pictures. Raises InputError.

    >>> share = korn_graubard([3, 0, 4, 0] * 10, [4] * 40)
    >>> round(float(share.value), 3), round(float(share.n_effective)), bool(share.enough)
    (0.438, 46, True)
    """
    tail = (1 - checked_level(level)) / 2
    k, n = counts(hits_by_person, n_by_person, of="hits_by_person", out_of="n_by_person")
    if not k.ndim:
        raise InputError("A single number has no persons: pass arrays [..., persons].")
    there = ~np.isnan(k)
    k, n = np.where(there, k, 0), np.where(there, n, 0)
    persons, pictures, hits = there.sum(axis=-1), n.sum(axis=-1), k.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = hits / pictures
        variance, freedom = between_persons(k - value[..., None] * n, n, persons)
        alike = pictures**2 / (n**2).sum(axis=-1)
        sized = value * (1 - value) / variance
        sized *= (special.stdtrit(np.maximum(pictures - 1, 1), tail) / special.stdtrit(freedom, tail)) ** 2
        sized = np.where(variance > 0, sized, np.inf)
    certain = (hits == 0) | (hits == pictures) | (persons < 2)
    effective = np.where(certain, alike, np.clip(sized, alike, pictures))
    low, high = beta_limits(np.clip(value * effective, 0, effective), effective, tail)
    events = np.minimum(hits, pictures - hits)
    enough = (persons >= FEWEST_PERSONS) & (events >= FEWEST_EVENTS)
    return ClusteredShare(value, low, high, effective, persons, events, enough)


def between_persons(left: Floats, n: Floats, persons: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """The variance of a mean over pictures from what each person's sum, [..., P], deviates, and its degrees of freedom.

    A person with many of the pictures draws the mean to its side: its square is divided by 1 - its part (HC2). Few
    persons that make up most of the squares have few degrees of freedom: 2 P / (kurtosis - 1) - 1.
    """
    pictures = n.sum(axis=-1, keepdims=True)
    squares = left**2 / np.maximum(1 - n / pictures, 1e-9)
    total = squares.sum(axis=-1)
    kurtosis = persons * (squares**2).sum(axis=-1) / total**2
    freedom = 2 * persons / np.maximum(kurtosis - 1, 1e-9) - 1
    return total / pictures[..., 0] ** 2, np.clip(freedom, 1, np.maximum(persons - 1, 1))


def clustered_independence_test(
    hits_by_person: ArrayLike, n_by_person: ArrayLike, group_of_person: ArrayLike, *, permutations: int = 10_000,
    seed: int = 0,
) -> Floats:  # fmt: skip
    """The p-values of one share in all groups, [..., persons] -> [...], by moving whole persons among the groups.

    ``n_by_person`` is [persons], ``group_of_person`` [persons] of whole numbers from 0, -1 for in none. The statistic
    is the sum over groups of n (share - share of all)^2; p = (b + 1) / (B + 1). NaN with fewer than two groups or
    three persons. All rows see the same permutations. Raises InputError.

    >>> hits, group = [4, 3, 4, 3, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]
    >>> round(float(clustered_independence_test(hits, [4] * 8, group, permutations=999)), 2)
    0.02
    """
    draws, seed = checked_draws(permutations), checked_seed(seed)
    k, n = counts(hits_by_person, n_by_person, of="hits_by_person", out_of="n_by_person")
    (given,) = numbers(group_of_person=group_of_person)
    if not k.ndim or given.shape != k.shape[-1:] or not (given == np.floor(given)).all() or (given < -1).any():
        raise InputError(
            f"group_of_person is {list(given.shape)} for {list(k.shape)} hits: pass one whole number a person, from 0, "
            "or -1 for in no group."
        )
    shape, rows = k.shape[:-1], k.reshape(-1, k.shape[-1])
    sizes = n.reshape(rows.shape)
    if not ((sizes == sizes[:1]) | np.isnan(sizes)).all():
        raise InputError("n_by_person differs between rows: pass one row [persons], and test other sets apart.")
    size = np.nan_to_num(sizes[0]) if len(sizes) else np.zeros(k.shape[-1])
    kept = (given >= 0) & (size > 0)
    size, rows = size[kept], np.nan_to_num(rows[:, kept])
    names, codes = np.unique(given[kept].astype(np.int64), return_inverse=True)
    if len(names) < 2 or len(size) < 3:
        return np.full(shape, np.nan)

    rate = rows.sum(axis=1) / size.sum()
    left = rows - rate[:, None] * size  # [K, P], what each person has beyond the expected

    def statistic(moved: NDArray[np.int64]) -> Floats:
        """[permutations, persons] -> [permutations, K]."""
        total = np.zeros((len(moved), len(rows)))
        for g in range(len(names)):
            here = (moved == g).astype(np.float64)
            total += (here @ left.T) ** 2 / (here @ size)[:, None]
        return total

    seen = statistic(codes[None])[0]
    least = seen * (1 - 1e-9) - 1e-12
    rng, beyond = np.random.default_rng(seed), np.zeros(len(rows), np.int64)
    step = max(1, _ROOM // len(size))
    for first in range(0, draws, step):
        block = np.broadcast_to(codes, (min(step, draws - first), len(codes)))
        beyond += (statistic(rng.permuted(block, axis=1)) >= least).sum(axis=0)
    return ((beyond + 1) / (draws + 1)).reshape(shape)
