"""The paired bootstrap: what a mean, or a difference of means on the same pictures, could as well have been."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

_ROOM = 4_000_000  # numbers that are resampled at a time: 32 MB, whatever the number of pictures


@dataclass(frozen=True, eq=False)
class Interval:
    """A mean over pictures with its percentile limits, each of the shape [...] of the columns.

    ``estimate`` is the mean, or where ``paired`` the mean of the differences; ``n`` pictures were resampled
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
