"""The area under the ROC curve with limits that hold at its ends too."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError


def auc_limits(shown: ArrayLike, others: ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """(AUC, low, high): how often one of ``shown`` scores above one of ``others``, ties as a half.

    ``shown`` [m] and ``others`` [n] are scores, at least one each. The limits are Newcombe's score-like ones, his
    method 5 (2006, doi 10.1002/sim.2324), with the variance of Hanley and McNeil: unlike DeLong's they have a width
    where all pictures are told apart. Raises InputError.

    >>> auc_limits([3.0, 4.0, 5.0], [1.0, 2.0, 3.5])[0]
    0.8888888888888888
    """
    from scipy import optimize, stats

    one, two = np.asarray(shown, np.float64).ravel(), np.asarray(others, np.float64).ravel()
    if not len(one) or not len(two):
        raise InputError(f"An AUC needs scores of both kinds, got {len(one)} and {len(two)}.")
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise InputError("An AUC needs finite scores; leave out the pictures without one, and count them.")
    ranks = stats.rankdata(np.concatenate([one, two]))
    m, n = len(one), len(two)
    found = float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))
    z = float(stats.norm.ppf((1 + level) / 2))

    def beyond(theta: float) -> float:
        half = (m + n) / 2 - 1
        spread = theta * (1 - theta) * (1 + half * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m * n)
        return abs(found - theta) - z * math.sqrt(spread)

    end = 1e-12
    low = optimize.brentq(beyond, end, min(found, 1 - end)) if beyond(end) > 0 else 0.0
    high = optimize.brentq(beyond, max(found, end), 1 - end) if beyond(1 - end) > 0 else 1.0
    return found, float(low), float(high)
