"""A map as a segmentation: overlap with a mask at a threshold, and the average precision of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ...frame import Frame
from .region import Map, as_region, is_flat, on_picture

SCALES = ("range", "peak", "raw")


def scaled(values: Any, scale: str = "range") -> Map:
    """A map in the units in which thresholds are told: as it is ("raw"), by its own range, or by its own peak.

    "range" takes the lowest value to 0 and the highest to 1, so that methods with units of their own can share a
    threshold; "peak" divides by the highest value and keeps 0 where it was (a map without a positive value becomes -1
    times its distance to 0). NaN, where the model did not look, stays. A constant map becomes zeros by "range".
    """
    if scale not in SCALES:
        raise InputError(f"scale={scale!r} is not known; it is one of {', '.join(SCALES)}.")
    pixels = np.asarray(values, dtype=np.float64)
    if scale == "raw":
        return pixels
    low, high = np.nanmin(pixels), np.nanmax(pixels)
    if scale == "range":
        return (pixels - low) / (high - low) if high > low else pixels - low
    size = high if high > 0 else -low
    return pixels / size if size else pixels


def iou_at(values: Any, region: Any, threshold: float, *, scale: str = "range", frame: Frame | None = None) -> float:
    """Intersection over union of ``region`` and where a map [h, w] is at least ``threshold``, from 0 to 1.

    ``region`` is a mask [H, W] or a box in pixels of the picture, which ``frame`` leads to (without one the map is at
    its pixels). The map is brought to the picture first, then scaled (see `scaled`). What the model did not see is not
    found. A constant map finds nothing: 0. Choose the threshold by `best_threshold` on other pictures. Raises
    InputError.

    >>> iou_at([[0, 8], [4, 0]], [[0, 1], [0, 0]], 0.5)
    0.5
    """
    return float(ious(values, region, [threshold], scale=scale, frame=frame)[0])


def ious(
    values: Any, region: Any, thresholds: ArrayLike, *, scale: str = "range", frame: Frame | None = None
) -> NDArray[np.float64]:
    """As `iou_at`, at several thresholds [T] with one sort of the pixels: [T]."""
    limits = np.asarray(thresholds, dtype=np.float64)
    if limits.ndim != 1 or not limits.size or not np.isfinite(limits).all():
        raise InputError(f"Thresholds are finite numbers; got {thresholds!r}: pass one or more, such as 0.5.")
    found, mask = _pixels(values, region, frame)
    found = scaled(found, scale)
    if is_flat(values):
        return np.zeros(len(limits))
    order, hits = _ordered(found, mask)
    taken = np.searchsorted(-order, -limits, side="right")  # pixels at or above each limit
    return _iou(hits, taken, mask)


@dataclass(frozen=True, eq=False)
class Threshold:
    """A threshold chosen on ``n`` pictures, where its mean IoU ``iou`` was the best of those of all ``candidates``.

    ``iou`` took part in the choice and is no result: measure with `iou_at` on pictures that did not.
    """

    threshold: float
    iou: float
    scale: str
    n: int
    candidates: NDArray[np.float64]
    means: NDArray[np.float64]


def best_threshold(
    maps: Sequence[Any],
    regions: Sequence[Any],
    *,
    frames: Sequence[Frame] | None = None,
    scale: str = "range",
    candidates: ArrayLike | None = None,
) -> Threshold:
    """The one threshold with the highest mean IoU over pictures of the ``dev`` half; the lowest of equal ones.

    ``maps`` [n][h, w], ``regions`` and ``frames`` stand in one order. ``candidates`` are 0.01 to 0.99 by default; with
    ``scale="raw"``, in the map's own units, 99 quantiles of the pixels of all maps.

    >>> best_threshold([[[0, 8], [4, 0]]], [[[0, 1], [0, 0]]], candidates=[0.4, 0.6]).threshold
    0.6
    """
    seen: Sequence[Frame | None] = [None] * len(maps) if frames is None else frames
    if not len(maps) or not len(maps) == len(regions) == len(seen):
        raise InputError(
            f"{len(maps)} maps, {len(regions)} regions and {len(seen)} frames: pass one of each a picture."
        )
    if candidates is not None:
        limits = np.asarray(candidates, dtype=np.float64)
    elif scale == "raw":
        pooled = np.concatenate([np.asarray(grid, dtype=np.float64).ravel() for grid in maps])
        limits = np.unique(np.quantile(pooled, np.linspace(0.01, 0.99, 99)))
    else:
        limits = np.linspace(0.01, 0.99, 99)
    table = [ious(m, r, limits, scale=scale, frame=f) for m, r, f in zip(maps, regions, seen, strict=True)]
    means = np.mean(table, axis=0)
    best = int(means.argmax())
    return Threshold(float(limits[best]), float(means[best]), scale, len(maps), limits, means)


def oracle_iou(values: Any, region: Any, *, frame: Frame | None = None) -> float:
    """The best IoU that any threshold reaches on this one picture: an oracle, as the choice needs the answer.

    Never below `iou_at` at any threshold, whatever the scale. A constant map finds nothing: 0.

    >>> oracle_iou([[0, 8], [4, 0]], [[0, 1], [0, 0]])
    1.0
    """
    found, mask = _pixels(values, region, frame)
    if is_flat(values):
        return 0.0
    order, hits = _ordered(found, mask)
    ends = np.flatnonzero(np.append(order[1:] < order[:-1], True)) + 1  # equal pixels are taken together
    ends = ends[np.isfinite(order[ends - 1])]
    return float(_iou(hits, ends, mask).max())


def pixel_precision(values: Any, region: Any, *, frame: Frame | None = None) -> float:
    """The average precision of the pixels of a map [h, w], taken by falling value: from the region's area to 1.

    Equal values are taken together, so that a constant map gets the region's share of the picture, which is chance;
    pixels that the model did not see come last. By `sklearn.metrics.average_precision_score`.

    >>> pixel_precision([[0, 8], [4, 0]], [[0, 1], [0, 0]])
    1.0
    """
    from sklearn.metrics import average_precision_score

    found, mask = _pixels(values, region, frame)
    seen = np.isfinite(found)
    least = found[seen].min() - 1 if seen.any() else 0.0
    ranks = np.unique(np.where(seen, found, least), return_inverse=True)[1]  # neighbouring floats stay apart
    return float(average_precision_score(mask.ravel(), ranks.ravel()))


def _pixels(values: Any, region: Any, frame: Frame | None) -> tuple[Map, NDArray[np.bool_]]:
    pixels = on_picture(values, frame)
    if np.isnan(pixels).all():
        raise InputError("The model saw no pixel of this picture: take another view.")
    height, width = pixels.shape
    return pixels, as_region(region, (height, width))


def _ordered(pixels: Map, mask: NDArray[np.bool_]) -> tuple[Map, NDArray[np.int64]]:
    """The values from the highest on, what was not seen (as -inf) last, and how many of the first k are in the mask."""
    flat = np.where(np.isnan(pixels), -np.inf, pixels).ravel()
    order = np.argsort(-flat, kind="stable")
    return flat[order], np.cumsum(mask.ravel()[order])


def _iou(hits: NDArray[np.int64], taken: NDArray[np.intp], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    inside = np.where(taken > 0, hits[np.maximum(taken, 1) - 1], 0)
    return inside / (taken + mask.sum() - inside)
