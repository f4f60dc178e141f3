"""P-values of many tests: corrected for how many they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from .counts import Floats, numbers


def holm(p: ArrayLike) -> Floats:
    """The p-values of one family of tests, of any shape, by Holm: below 0.05, in 5 % of families one is false.

    NaN, a test that was not made, stays NaN and does not count (Holm 1979, jstor.org/stable/4615733). Raises
    InputError.

    >>> holm([0.01, 0.04, float("nan"), 0.03]).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    values, made, order = _sorted(p)
    steps = values[made][order] * np.arange(len(order), 0, -1)
    return _back(values, made, order, np.maximum.accumulate(steps))


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """The q-values of one family of tests, of any shape: of those below 0.05, 5 % are expected to be false.

    NaN stays NaN and does not count (Benjamini and Hochberg 1995, doi 10.1111/j.2517-6161.1995.tb02031.x). Not for
    verdicts: a reader takes each for true. Raises InputError.

    >>> benjamini_hochberg([0.01, 0.04, float("nan"), 0.03]).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    values, made, order = _sorted(p)
    steps = values[made][order] * len(order) / np.arange(1, len(order) + 1)
    return _back(values, made, order, np.minimum.accumulate(steps[::-1])[::-1])


def _sorted(p: ArrayLike) -> tuple[Floats, np.ndarray, np.ndarray]:
    (values,) = numbers(p=p)
    made = ~np.isnan(values)
    if ((values[made] < 0) | (values[made] > 1)).any():
        raise InputError("A p-value lies from 0 to 1: pass p-values, NaN where no test was made.")
    return values, made, np.argsort(values[made], kind="stable")


def _back(values: Floats, made: np.ndarray, order: np.ndarray, steps: Floats) -> Floats:
    found = np.full(values.shape, np.nan)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(steps, 1)
    found[made] = corrected
    return found
