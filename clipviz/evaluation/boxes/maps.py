"""Boxes cut out of score maps at a threshold, and MaxBoxAccV2, which asks for the best one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ...frame import Frame
from .localisation import DELTAS
from .matching import overlaps

LEVELS: tuple[float, ...] = tuple((np.arange(100) / 100).tolist())
_SIDE = 224  # Choe et al. look at maps of this size


def map_hits(
    maps: Iterable[tuple[ArrayLike, Frame | None, ArrayLike]],
    *,
    levels: Sequence[float] = LEVELS,
    deltas: Sequence[float] = DELTAS,
) -> NDArray[np.bool_]:
    """Whether, at each level, a connected region of a map overlaps a truth: bool [maps, levels, deltas].

    ``maps`` are (values [h, w], its `Frame` or None where it has the picture's pixels, truths [m, 4]). A map is scaled
    to 0..1 from its lowest to its highest value, a level is of that scale, regions join across corners, and any region
    counts: MaxBoxAccV2 of Choe et al. 2020 (arXiv 2007.04178). A constant map is one region, the whole picture.
    """
    rows = [_hits(values, frame, truths, levels, deltas) for values, frame, truths in maps]
    return np.array(rows, bool).reshape(len(rows), len(levels), len(deltas))


def best_levels(hits: ArrayLike, levels: Sequence[float] = LEVELS) -> tuple[float, ...]:
    """For each delta the level with most hits, of `map_hits` on dev; of equals the lowest."""
    table = np.asarray(hits, bool)
    if table.ndim != 3 or not len(table) or table.shape[1] != len(levels):
        raise InputError(f"hits are what map_hits gave, [maps, {len(levels)}, deltas]; got {list(table.shape)}.")
    return tuple(levels[i] for i in table.mean(axis=0).argmax(axis=0))


def hits_at(hits: ArrayLike, chosen: Sequence[float], levels: Sequence[float] = LEVELS) -> NDArray[np.float64]:
    """[maps]: the mean over deltas of the hits at the level that was chosen for each on other pictures.

    Its mean over maps is MaxBoxAccV2 with levels that took no part in the figure.
    """
    table = np.asarray(hits, bool)
    return np.mean([table[:, list(levels).index(level), i] for i, level in enumerate(chosen)], axis=0)


def _hits(
    values: Any, frame: Frame | None, truths: Any, levels: Sequence[float], deltas: Sequence[float]
) -> NDArray[np.bool_]:
    from scipy import ndimage

    grid = np.asarray(values, np.float32)
    shown = grid if frame is None else frame.on_image(grid)
    if shown.ndim != 2 or not np.isfinite(shown).any():
        raise InputError(f"A map is [h, w] with finite values; got the shape {list(shown.shape)}.")
    step = max(1, max(shown.shape) // _SIDE)
    shown = shown[::step, ::step]
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    scaled = np.nan_to_num((shown - low) / (high - low) if high > low else np.zeros_like(shown), nan=-1.0)
    corners = np.asarray(truths, np.float64).reshape(-1, 4) / step
    found = np.zeros((len(levels), len(deltas)), bool)
    for i, level in enumerate(levels):
        regions, _ = ndimage.label(scaled >= level, structure=np.ones((3, 3)))
        boxes = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(regions)]
        best = overlaps(np.array(boxes, float), corners).max(initial=0.0)
        found[i] = best >= np.asarray(deltas)
    return found
