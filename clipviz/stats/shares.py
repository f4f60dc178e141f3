"""A share with its exact limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError


def exact_limits(
    hits: ArrayLike, n: ArrayLike, *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The limits of Clopper and Pearson of ``hits`` of ``n``, of one shape [...]: they cover at least ``level``.

    0 of n has the lower limit 0, n of n the upper limit 1, and nothing of nothing has both. From the quantiles of the
    beta distribution, by scipy (Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404). Raises InputError.

    >>> [round(float(limit), 3) for limit in exact_limits(0, 30)]
    [0.0, 0.116]
    """
    k, total = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(n, np.float64))
    whole = (k == np.floor(k)) & (total == np.floor(total))
    if not (whole & (k >= 0) & (k <= total)).all():
        raise InputError("A share is a count of hits from 0 to n, whole numbers: pass those, not their quotient.")
    if not 0 < level < 1:
        raise InputError(f"level={level!r} is no coverage between 0 and 1: pass 0.95 for 95 %.")

    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = np.where(k > 0, betaincinv(np.maximum(k, 0.5), total - k + 1, tail), 0.0)
    high = np.where(k < total, betaincinv(k + 1, np.maximum(total - k, 0.5), 1 - tail), 1.0)
    return low, high
