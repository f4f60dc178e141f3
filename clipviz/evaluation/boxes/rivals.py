"""Rivals that do not look for anything: the whole picture, and a box in its middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError
from .localisation import RIGHT
from .matching import overlaps, rows_of
from .tables import CORNERS, one_box_each

if TYPE_CHECKING:
    import pandas as pd

WHOLE, CENTRE = "whole picture", "centre box"
_SIDES = np.arange(1, 21) / 20  # of the picture


def central_boxes(
    images: Sequence[str],
    labels: Sequence[str],
    scores: ArrayLike,
    sizes: Mapping[str, tuple[int, int]],
    share: tuple[float, float] = (1.0, 1.0),
) -> pd.DataFrame:
    """A table of found boxes, one a picture and label [n]: in the middle, ``share`` of the width and of the height."""
    size = np.array([sizes[name] for name in images], np.float64).reshape(-1, 2)
    half = np.asarray(share) / 2
    return one_box_each(images, labels, scores, np.concatenate([size * (0.5 - half), size * (0.5 + half)], axis=1))


def fit_centre(truth: Any, sizes: Mapping[str, tuple[int, int]]) -> tuple[float, float]:
    """The share of width and height, in steps of a twentieth, whose central box is right most often on ``truth``.

    Right for a picture and label is an overlap of 0.5 with any of its truths; of equals the larger mean overlap wins.
    Give it the truth of dev. Raises DataError without truth.
    """
    if not len(truth):
        raise DataError("There is no truth on dev to fit the central box on: pass more pictures.")
    size = np.array([sizes[name] for name in truth["image"]], np.float64)
    relative = truth[list(CORNERS)].to_numpy() / np.tile(size, 2)  # an overlap does not change with the unit
    shares = np.stack(np.meshgrid(_SIDES, _SIDES, indexing="ij"), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([0.5 - shares / 2, 0.5 + shares / 2], axis=1)
    iou = overlaps(boxes, relative)  # [shares, truths]
    best = np.stack([iou[:, rows].max(axis=1) for rows in rows_of(truth).values()], axis=1)
    place = int(np.lexsort((best.mean(axis=1), (best >= RIGHT).mean(axis=1)))[-1])
    chosen: NDArray[np.float64] = shares[place]
    return float(chosen[0]), float(chosen[1])
