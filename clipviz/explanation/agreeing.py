"""How far maps of one picture agree: the tables of a `Comparison`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

from .heatmap import Heatmap
from .metrics import top_region
from .rivals import Rivalry

if TYPE_CHECKING:
    import pandas as pd

TOP = 0.2  # the share of the pixels that is the top region of a map
SIDE = 256  # maps are compared at the picture's own pixels, or at so many of its longest side where it is larger

_Part = tuple[int, int, int, int]  # rows from, to; columns from, to


def agreements(names: Sequence[str], heatmaps: Sequence[Heatmap]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Spearman's rank correlation and the overlap of the top regions of every two maps: two tables [names, names].

    Both are taken over the part of the picture that both saw; NaN where there is none, or where a map is constant.
    """
    import pandas as pd

    maps = [None if h.constant else h.on_image(longest=SIDE) for h in heatmaps]

    @cache  # a map is put in order once, not once for each that it is compared with
    def ordered(i: int, part: _Part) -> tuple[np.ndarray | None, np.ndarray]:
        top, bottom, left, right = part
        cells = maps[i][top:bottom, left:right]  # type: ignore[index]
        return _unit_ranks(cells), top_region(cells, TOP, seed=(0, i))  # each map draws its own lots for ties

    both = np.full((2, len(maps), len(maps)), math.nan)
    for i, j in combinations_with_replacement(range(len(maps)), 2):
        if part := _seen_by_both(maps[i], maps[j]):
            (one, one_top), (other, other_top) = ordered(i, part), ordered(j, part)
            if one is not None and other is not None:
                alike = 1.0 if i == j else float(np.clip(one @ other, -1, 1))
                both[:, i, j] = both[:, j, i] = alike, (one_top & other_top).sum() / (one_top | other_top).sum()
    ranks, tops = (pd.DataFrame(table, index=list(names), columns=list(names)) for table in both)
    return ranks, tops


def _unit_ranks(cells: np.ndarray) -> np.ndarray | None:
    """The cells' ranks less their mean, of length 1, so that a product of two is Spearman's; None of equal cells."""
    from scipy.stats import rankdata

    ranks = rankdata(cells) - (cells.size + 1) / 2
    return ranks / np.linalg.norm(ranks) if np.ptp(cells) else None


def _seen_by_both(a: np.ndarray | None, b: np.ndarray | None) -> _Part | None:
    """The rectangle of the picture that both maps saw."""
    if a is None or b is None:
        return None
    seen = ~(np.isnan(a) | np.isnan(b))  # a rectangle, as what each saw is one
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else None


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
