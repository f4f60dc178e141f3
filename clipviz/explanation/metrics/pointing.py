"""Does a map point at the thing: is its peak, and how much of its weight, inside the box or mask?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ...frame import Frame
from .region import Seed, as_region, chance, highest, is_flat, on_picture


def peak_of(values: Any, *, frame: Frame | None = None, seed: Seed = 0) -> tuple[int, int] | None:
    """The pixel (x, y) where a map is highest, None for a constant map, which has no peak.

    ``values`` [h, w] are at the model's grid with ``frame``, and brought to the picture as `Frame.on_image` does, or
    at the picture's pixels without. Of equal pixels one is drawn by ``seed``. They are many where a cell at the border
    is highest, as the map is flat from its centre outwards; `Heatmap.peak` takes the most central of them instead.

    >>> peak_of([[0, 1], [0, 0]])
    (1, 0)
    """
    if is_flat(values):
        return None
    pixels = on_picture(values, frame)
    if not np.isfinite(pixels).any():
        return None  # the model saw no pixel's centre
    row, column = divmod(highest(pixels.ravel(), chance(seed)), pixels.shape[1])
    return column, row


def points_into(
    values: Any, region: Any, *, frame: Frame | None = None, tolerance: float = 0.0, seed: Seed = 0
) -> bool:
    """The pointing game: whether the peak of a map [h, w] falls into ``region``. A constant map does not point: False.

    ``region`` is a mask [H, W] or a box (x0, y0, x1, y1), x1 and y1 behind the last pixel, in pixels of the picture:
    ``frame.picture`` where a frame is given, else the map's own. ``tolerance`` is how many pixels beside the region
    still count (the game as published has 15; here 0). Give every picture a seed of its own, ``seed=(seed, i)``, for
    ties. Raises InputError for an empty region or one of another size. Zhang et al. 2016, Top-down Neural Attention by
    Excitation Backprop (arXiv 1608.00507).

    >>> points_into([[0, 1], [0, 0]], (1, 0, 2, 1))
    True
    """
    if not (isinstance(tolerance, int | float) and 0 <= tolerance < math.inf):
        raise InputError(f"tolerance={tolerance!r} is no distance in pixels: pass 0 or more.")
    mask = as_region(region, _shape(values, frame))
    peak = peak_of(values, frame=frame, seed=seed)
    if peak is None:
        return False
    x, y = peak
    if not tolerance:
        return bool(mask[y, x])
    rows, columns = np.nonzero(mask)
    return bool(((rows - y) ** 2 + (columns - x) ** 2).min() <= tolerance**2)


@dataclass(frozen=True)
class Mass:
    """How much of a map's positive part lies ``inside`` a region, beside the region's ``area``: what a uniform map has.

    Both are shares from 0 to 1 of the pixels that the model saw; ``inside`` is NaN where nothing is positive, for then
    there is no weight to divide. ``constant`` says that the map is the same everywhere, and ``inside`` only the area.
    """

    inside: float
    area: float
    constant: bool

    @property
    def gain(self) -> float:
        """How many times the area: 1 is chance. NaN where the model saw nothing of the region."""
        return self.inside / self.area if self.area else math.nan


def mass_inside(values: Any, region: Any, *, frame: Frame | None = None) -> Mass:
    """The share of the positive part of a map [h, w] that lies inside ``region``; map, region and frame as above.

    >>> mass_inside([[-1, 3], [1, 0]], (1, 0, 2, 1))
    Mass(inside=0.75, area=0.25, constant=False)
    """
    mask = as_region(region, _shape(values, frame))
    pixels = on_picture(values, frame)
    seen = ~np.isnan(pixels)
    if not seen.any():
        raise InputError("The model saw no pixel of this picture: take another view.")
    positive = np.where(seen, np.maximum(pixels, 0), 0)
    total = positive.sum()
    inside = float(positive[mask].sum() / total) if total > 0 else math.nan
    return Mass(inside, float(mask[seen].mean()), is_flat(values))


def _shape(values: Any, frame: Frame | None) -> tuple[int, int]:
    """(rows, columns) of the picture."""
    if frame is not None:
        width, height = frame.picture
        return height, width
    height, width = on_picture(values, None).shape
    return height, width
