"""How alike two maps of one picture are: the order of their cells, and the places where both are highest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .region import Map, Seed, as_map, chance


def rank_correlation(a: Any, b: Any) -> float:
    """Spearman's rank correlation of two maps [h, w], from -1 to 1; ties share their mean rank.

    NaN where a map is constant: it orders nothing. Raises InputError for maps of different shapes. Used for sanity
    checks by Adebayo et al. 2018, Sanity Checks for Saliency Maps (arXiv 1810.03292).

    >>> rank_correlation([[1, 2], [3, 4]], [[1, 4], [9, 16]])
    1.0
    """
    from scipy.stats import rankdata

    first, second = _pair(a, b)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    ranks = [rankdata(grid) - (grid.size + 1) / 2 for grid in (first, second)]
    found = (ranks[0] @ ranks[1]) / math.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
    return float(np.clip(found, -1.0, 1.0))


def top_region(values: Any, share: float = 0.2, *, seed: Seed = 0) -> NDArray[np.bool_]:
    """The highest ``share`` of the cells of a map, [h, w] boolean: at least one, and of equal ones a draw by ``seed``.

    A map that is zero in most places would otherwise have the whole picture as its top region.

    >>> top_region([[1, 2], [3, 4]], 0.5).tolist()
    [[False, False], [True, True]]
    """
    grid = as_map(values)
    if not 0 < share < 1:
        raise InputError(f"share={share!r} is no part of a map: pass a number between 0 and 1, such as 0.2.")
    count = max(1, round(share * grid.size))
    order = np.lexsort((chance(seed).random(grid.size), -grid.ravel()))  # by value, then by lot
    region = np.zeros(grid.size, bool)
    region[order[:count]] = True
    return region.reshape(grid.shape)


def top_region_iou(a: Any, b: Any, share: float = 0.2, *, seed: Seed = 0) -> float:
    """Intersection over union of the highest ``share`` of the cells of two maps [h, w], from 0 to 1.

    Two maps that have nothing to do with each other reach share / (2 - share) on average. NaN where a map is constant.
    Ties are broken by ``seed``, for each map by itself. Raises InputError for maps of different shapes.

    >>> top_region_iou([[1, 2], [3, 4]], [[2, 1], [4, 3]], 0.5)
    1.0
    """
    first, second = _pair(a, b)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    rng = chance(seed)
    one, other = (top_region(grid[None], share, seed=rng) for grid in (first, second))
    return float((one & other).sum() / (one | other).sum())


def _pair(a: Any, b: Any) -> tuple[Map, Map]:
    first, second = as_map(a), as_map(b)
    if first.shape != second.shape:
        raise InputError(
            f"The maps are {list(first.shape)} and {list(second.shape)}: bring both to the picture with "
            "heatmap.on_image(), where both models saw the same part of it."
        )
    return first.ravel(), second.ravel()
