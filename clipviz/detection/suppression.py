"""Boxes of one label that lie over each other: the best one stays, the others lose score (soft) or go (hard)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, nearest

METHODS = ("gaussian", "linear", "hard")


def soft_nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    labels: Sequence[object] | NDArray[np.generic] | None = None,
    *,
    method: str = "gaussian",
    sigma: float = 0.5,
    iou: float = 0.3,
    floor: float = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Non-maximum suppression within each label -> new scores [n], and the places of the boxes kept, best first.

    Parameters
    ----------
    boxes, scores, labels : [n, 4] (x0, y0, x1, y1), [n], and a label each; without labels all boxes have one.
    method : "gaussian" multiplies by exp(-overlap^2 / sigma), "linear" by 1 - overlap where the overlap is ``iou`` or
        more; both keep every box. "hard" (torchvision's) drops what overlaps a better one by more than ``iou``.
    floor : the score that says nothing: what lies above it is multiplied. A dropped box has this score.

    Raises InputError for scores below ``floor``, which shrinking would raise, NaN, boxes turned inside out, or lengths
    that differ. Source: Bodla et al., "Soft-NMS: improving object detection with one line of code", ICCV 2017,
    arXiv 1704.04503.

    >>> new, order = soft_nms([[0, 0, 10, 10], [0, 0, 10, 9], [50, 0, 60, 9]], [0.9, 0.8, 0.3])
    >>> order.tolist(), new.round(2).tolist()
    ([0, 2, 1], [0.9, 0.16, 0.3])
    """
    if method not in METHODS:
        raise InputError(f"method={method!r} is no way to suppress boxes. {nearest(str(method), METHODS)}")
    if not sigma > 0 or not 0 <= iou <= 1:
        raise InputError(f"sigma={sigma} and iou={iou} were given; sigma is above 0, and iou from 0 to 1.")
    places, values = _boxes(boxes), np.asarray(scores, dtype=np.float64)
    names = [0] * len(places) if labels is None else list(labels)
    if values.shape != (len(places),) or len(names) != len(places):
        raise InputError(
            f"A score and a label are wanted for each of {len(places)} boxes, got scores of shape {list(values.shape)} "
            f"and {len(names)} labels; pass as many of each."
        )
    if not (values >= floor).all() or np.isinf(values).any():
        raise InputError(
            f"Scores are finite and not below floor={floor:g}, got {values.min():g} as the lowest; "
            "give floor= the lowest score that may come."
        )
    kinds = {name: k for k, name in enumerate(dict.fromkeys(names))}
    classes = np.array([kinds[name] for name in names], dtype=np.int64)
    if method == "hard":
        kept = _hard(places, values, classes, iou)
        new = np.full(len(values), float(floor))
        new[kept] = values[kept]
    else:
        new, kept = values.copy(), np.arange(len(values))
        for k in range(len(kinds)):
            mine = np.flatnonzero(classes == k)
            new[mine] = _soft(places[mine], values[mine], method, sigma, iou, floor)
    return new, kept[np.lexsort((kept, -new[kept]))]


def overlaps(boxes: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union [n, m] of boxes [n, 4] with others [m, 4]; 0 where both have no area.

    >>> overlaps([[0, 0, 2, 2]], [[1, 0, 3, 2]]).round(3).tolist()
    [[0.333]]
    """
    return _shared(_boxes(boxes)[:, None], _boxes(others)[None])


def _shared(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """`overlaps` of boxes [..., 4] that broadcast, unchecked."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    wide = (np.minimum(ax1, bx1) - np.maximum(ax0, bx0)).clip(0)
    both = wide * (np.minimum(ay1, by1) - np.maximum(ay0, by0)).clip(0)
    either = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def _soft(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], method: str, sigma: float, iou: float, floor: float
) -> NDArray[np.float64]:
    """The paper's loop: the best of those left is settled, and the rest pay for how much of it they cover."""
    new, left = scores.copy(), np.arange(len(scores))
    while len(left) > 1:
        at = int(new[left].argmax())
        best, left = left[at], np.delete(left, at)
        shared = _shared(boxes[best], boxes[left])
        paying = shared > 0 if method == "gaussian" else shared >= max(iou, np.finfo(float).tiny)
        those, shared = left[paying], shared[paying]  # the others keep their score to the bit
        weight = np.exp(-(shared**2) / sigma) if method == "gaussian" else 1 - shared
        new[those] = (new[those] - floor) * weight + floor
    return new


def _hard(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], classes: NDArray[np.int64], iou: float
) -> NDArray[np.int64]:
    """torchvision's. It keeps classes apart by moving them, which takes places of 0 or more."""
    if not len(boxes):
        return np.empty(0, dtype=np.int64)
    import torch
    from torchvision.ops import batched_nms

    moved = torch.from_numpy(boxes - boxes.min())
    return np.asarray(batched_nms(moved, torch.from_numpy(scores), torch.from_numpy(classes), iou), dtype=np.int64)


def _boxes(boxes: ArrayLike) -> NDArray[np.float64]:
    """Boxes as float64 [n, 4]; InputError for what is no box."""
    array = np.asarray(boxes, dtype=np.float64)
    array = array.reshape(0, 4) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(f"Boxes are [n, 4] (x0, y0, x1, y1), got the shape {list(array.shape)}; pass one row a box.")
    bad = np.flatnonzero(~(np.isfinite(array).all(1) & (array[:, :2] <= array[:, 2:]).all(1)))
    if len(bad):
        raise InputError(
            f"Box {bad[0]} is {array[bad[0]].tolist()}, where x0 <= x1 and y0 <= y1 and numbers are wanted; "
            "boxes are (x0, y0, x1, y1), not a corner and a size."
        )
    return array
