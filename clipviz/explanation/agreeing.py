"""How far maps of one picture agree: the tables of a `Comparison`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .heatmap import Heatmap
from .metrics import rank_correlation, top_region_iou
from .rivals import Rivalry

if TYPE_CHECKING:
    import pandas as pd

TOP = 0.2  # the share of the pixels that is the top region of a map
SIDE = 256  # maps are compared at the picture's own pixels, or at so many of its longest side where it is larger


def agreements(names: Sequence[str], heatmaps: Sequence[Heatmap]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Spearman's rank correlation and the overlap of the top regions of every two maps: two tables [names, names].

    Both are taken over the part of the picture that both saw; NaN where there is none, or where a map is constant.
    """
    import pandas as pd

    maps = [None if h.constant else h.on_image(longest=SIDE) for h in heatmaps]
    both = []
    measures: tuple[Callable[[np.ndarray, np.ndarray], float], ...] = (
        rank_correlation, lambda a, b: top_region_iou(a, b, TOP)
    )  # fmt: skip
    for measure in measures:
        table = np.full((len(maps), len(maps)), math.nan)
        for i, a in enumerate(maps):
            for j, b in enumerate(maps[:i]):
                table[i, j] = table[j, i] = _between(a, b, measure)
            table[i, i] = math.nan if a is None else 1.0
        both.append(pd.DataFrame(table, index=list(names), columns=list(names)))
    return both[0], both[1]


def _between(
    a: np.ndarray | None, b: np.ndarray | None, measure: Callable[[np.ndarray, np.ndarray], float]
) -> float:  # fmt: skip
    if a is None or b is None:
        return math.nan
    seen = ~(np.isnan(a) | np.isnan(b))  # a rectangle, as what each saw is one
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return math.nan
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return measure(a[part], b[part])


def table_of(
    by: str,
    names: Sequence[str],
    heatmaps: Sequence[Heatmap],
    agreement: pd.DataFrame,
    overlap: pd.DataFrame,
    rivals: Sequence[Rivalry],
) -> pd.DataFrame:
    """A row each: score, peak, agreement with the first and, as a mean, with all others, and the rivals."""
    import pandas as pd

    rows = []
    for i, (name, heatmap, rivalry) in enumerate(zip(names, heatmaps, rivals, strict=True)):
        x, y = (None, None) if heatmap.constant else heatmap.peak()
        ranks, tops = agreement.to_numpy()[i], overlap.to_numpy()[i]
        rows.append(
            {
                by: name, "score": heatmap.score, "peak_x": x, "peak_y": y,
                "rank_correlation": ranks[0], "top_iou": tops[0],
                "mean_rank_correlation": _mean(np.delete(ranks, i)), "mean_top_iou": _mean(np.delete(tops, i)),
                "centre": rivalry.centre, "random_weights": rivalry.random,
                "insertion": rivalry.insertion, "centre_insertion": rivalry.centre_insertion,
                "like_centre": rivalry.like_centre, "like_random": rivalry.like_random,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _mean(values: np.ndarray) -> float:
    """Of those that are there; NaN of none."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else math.nan
