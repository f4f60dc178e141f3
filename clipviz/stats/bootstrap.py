"""The bootstrap over pictures: what a mean, a paired difference or any weighted figure could as well have been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

_ROOM = 4_000_000  # numbers that are resampled at a time: 32 MB, whatever the number of pictures
_LOST = 0.05  # of the resamples: where more have no value, there are no limits


@dataclass(frozen=True, eq=False)
class Interval:
    """A mean over pictures, or another figure of them, with its percentile limits, of the shape [...] of the columns.

    ``estimate`` is the figure, or where ``paired`` that of the differences; ``n`` pictures were resampled
    ``resamples`` times from ``seed``; ``level`` is the coverage that is aimed at.
    """

    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: int
    resamples: int
    seed: int
    level: float
    paired: bool

    @property
    def above_zero(self) -> NDArray[np.bool_]:
        """Whether the whole interval lies above 0."""
        return self.low > 0

    def __repr__(self) -> str:
        about = f"{self.n} {'pairs' if self.paired else 'pictures'}, {self.resamples} resamples, seed {self.seed}"
        if np.ndim(self.estimate):
            return f"Interval({np.shape(self.estimate)} columns at {self.level:.0%}, {about})"
        return f"Interval({self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}] at {self.level:.0%}, {about})"


def paired_bootstrap(
    a: ArrayLike, b: ArrayLike | None = None, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
    """The mean of ``a``, or of ``a - b`` on the same pictures, with percentile limits from resampled pictures.

    ``a`` is [n] or [n, ...], one row a picture (or a mosaic); ``b`` the same, row for row, or [n] against every column
    of ``a``. Every column sees the same resamples, so a column alone gets the limits that it gets among others. The
    limits are the percentiles of the resampled means (Efron 1979, doi 10.1214/aos/1176344552), by
    `scipy.stats.bootstrap`. A value that is not finite is refused: leave the picture out of all columns, and count it.
    Where all pictures gave the same the limits are that value, which is no proof that others would. Raises InputError.

    >>> hits = np.array([1, 0, 1, 1, 0, 1, 1, 1], float)
    >>> paired_bootstrap(hits)
    Interval(0.75 [0.375, 1] at 95%, 8 pictures, 10000 resamples, seed 0)
    """
    values = _table(a, "a")
    if b is not None:
        other = _table(b, "b")
        if other.ndim == 1 < values.ndim and len(other) == len(values):
            other = other.reshape(len(other), *[1] * (values.ndim - 1))
        elif other.shape != values.shape:
            raise InputError(
                f"Pairs are of the same pictures: a is {list(values.shape)}, b {list(other.shape)}; give both one row "
                "a picture, in one order."
            )
        values = values - other
    _check(values, resamples, level)

    from scipy import stats

    rows = values.reshape(len(values), -1)
    found = stats.bootstrap(
        (rows,), np.mean, axis=0, n_resamples=resamples, confidence_level=level, method="percentile", vectorized=True,
        batch=max(1, _ROOM // max(1, rows.size)), rng=np.random.default_rng(seed),
    )  # fmt: skip
    shape = values.shape[1:]
    low, high = (np.reshape(limit, shape)[()] for limit in found.confidence_interval)
    return Interval(values.mean(axis=0), low, high, len(values), resamples, seed, level, b is not None)


def weighted_bootstrap(
    statistic: Callable[[NDArray[np.float64]], ArrayLike], n: int, *, resamples: int = 2_000, seed: int = 0,
    level: float = 0.95, paired: bool = False,
) -> Interval:  # fmt: skip
    """A figure of weighted pictures with percentile limits, where it is no mean over pictures, as an AP is none.

    ``statistic`` takes weights [R, n], how often each of the ``n`` pictures was drawn in each of R resamples, and
    gives [R] or [R, columns]; all ones are the pictures as they are. What does not depend on the draw, such as which
    box matches which truth, is so computed once. ``paired`` only says what the figure is: for a difference, subtract
    within ``statistic``, and both sides see the same pictures. A resample where a column is NaN (no truth was drawn)
    is left out of its limits, which are NaN where that is more than one in twenty. Raises InputError.

    >>> hits = np.array([1, 0, 1, 1, 0, 1, 1, 1], float)
    >>> weighted_bootstrap(lambda w: w @ hits / w.sum(axis=1), 8, resamples=1000)
    Interval(0.75 [0.5, 1] at 95%, 8 pictures, 1000 resamples, seed 0)
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise InputError(f"n={n!r} is no count of pictures: pass a whole number.")
    _check(np.zeros((max(int(n), 0), 1)), resamples, level)

    from scipy import stats

    def measured(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.asarray(statistic(weights), dtype=np.float64)
        if values.ndim not in (1, 2) or len(values) != len(weights):
            raise InputError(f"statistic gives [{len(weights)}] or [{len(weights)}, columns] for as many resamples; "
                             f"got the shape {list(values.shape)}.")  # fmt: skip
        return values

    given = measured(np.ones((1, n)))
    drawn = []

    def of_pictures(pictures: NDArray[np.int64], axis: int = -1) -> NDArray[np.float64]:
        rows = pictures.reshape(-1, n)  # [r, n], the places that were drawn
        flat = (rows + n * np.arange(len(rows))[:, None]).ravel()
        weights = np.bincount(flat, minlength=rows.size).reshape(rows.shape)
        drawn.append(measured(weights.astype(np.float64)))
        return np.zeros(len(rows))  # the limits are taken below, where NaN may be among the values

    stats.bootstrap(
        (np.arange(n),), of_pictures, n_resamples=resamples, confidence_level=level, method="percentile",
        vectorized=True, batch=max(1, min(500, _ROOM // n)), rng=np.random.default_rng(seed),
    )  # fmt: skip
    values = np.concatenate(drawn)[-resamples:].reshape(resamples, -1)
    limits = np.full((2, values.shape[1]), np.nan)
    known = np.isfinite(values)
    for column in np.flatnonzero(known.mean(axis=0) >= 1 - _LOST):
        limits[:, column] = np.quantile(values[known[:, column], column], [(1 - level) / 2, (1 + level) / 2])
    low, high = (limit.reshape(given.shape[1:])[()] for limit in limits)
    return Interval(given[0], low, high, int(n), resamples, seed, level, paired)


def _table(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} holds what is no number ({error}): pass an array [n] or [n, columns].") from error
    if table.ndim == 0:
        raise InputError(f"{name} is a single number: pass an array [n] or [n, columns], one row a picture.")
    if lost := int((~np.isfinite(table)).any(axis=tuple(range(1, table.ndim))).sum()):
        raise InputError(
            f"{lost} of {len(table)} rows of {name} hold NaN or infinite values: leave those pictures out of every "
            "column, and tell how many they were."
        )
    return table


def _check(values: NDArray[np.float64], resamples: int, level: float) -> None:
    if not values.size and len(values):
        raise InputError(f"The table is {list(values.shape)} and has no column: pass an array [n] or [n, columns].")
    if len(values) < 2:
        raise InputError(f"{len(values)} pictures have no interval: pass at least 2, and better 100.")
    if isinstance(resamples, bool) or not isinstance(resamples, int | np.integer) or resamples < 1:
        raise InputError(f"resamples={resamples!r} is no count: pass a whole number such as 10_000.")
    if not 0 < level < 1:
        raise InputError(f"level={level!r} is no coverage between 0 and 1: pass 0.95 for 95 %.")
