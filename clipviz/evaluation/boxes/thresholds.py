"""The score at which a detector is best used, chosen on pictures that no figure is taken from."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError


def best_threshold(scores: ArrayLike, right: ArrayLike, truths: int) -> float:
    """The score [n] at or above which F1 of the ``right`` boxes [n] and ``truths`` is highest; of equals the highest.

    F1 = 2 right / (boxes + truths). Raises InputError without boxes or truths.

    >>> best_threshold([0.9, 0.8, 0.7, 0.6], [True, True, False, False], 2)
    0.8
    """
    given, hit = np.asarray(scores, np.float64), np.asarray(right, bool)
    if given.ndim != 1 or given.shape != hit.shape or not given.size or truths < 1:
        raise InputError(f"A threshold is chosen from boxes and truths; got {list(given.shape)} and {truths}.")
    order = np.argsort(-given, kind="stable")
    f1 = 2 * np.cumsum(hit[order]) / (np.arange(1, len(given) + 1) + truths)
    last = np.append(given[order][1:] != given[order][:-1], True)  # boxes of one score stay together
    return float(given[order][np.where(last, f1, -1).argmax()])
