"""Boxes against truth: each picture is matched once, then AP and AR of any weighting of the pictures, at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from .tables import CORNERS, Judged, judged

if TYPE_CHECKING:
    import pandas as pd

COCO_IOUS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
IOUS = (0.3, *COCO_IOUS)
MOST = 100  # boxes of a label in a picture that COCO looks at
_RECALLS = np.linspace(0.0, 1.0, 101)  # COCO's points of recall
_ROOM = 4_000_000  # numbers held at a time

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OfLabel:
    """The boxes of one label over all pictures, highest score first, and whether each is right at each overlap."""

    score: Floats  # [D]
    image: NDArray[np.int64]  # [D], the place of the picture
    rank: NDArray[np.int64]  # [D], from 0, among the label's boxes in the picture
    row: NDArray[np.int64]  # [D], in the table of found boxes
    right: NDArray[np.bool_]  # [T, D]
    truths: NDArray[np.int64]  # [pictures], how many are there


@dataclass(frozen=True, eq=False)
class Matches:
    """Every box matched to at most one truth of its label and picture, as pycocotools does it.

    A match depends on nothing outside its picture, so pictures can be weighted, or drawn again, afterwards:
    ``average_precision(weights)`` and ``average_recall(weights)`` take [R, pictures] and give [R].
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    ious: tuple[float, ...]
    of_label: tuple[OfLabel, ...]
    found: int  # rows of the table that was matched

    def average_precision(self, weights: ArrayLike | None = None, ious: Sequence[float] = COCO_IOUS) -> Floats:
        """AP [R]: over 101 recalls, then the mean over labels with truth and ``ious``; NaN where there is no truth."""
        found: Floats = self.precision_by_iou(weights, ious).mean(axis=1)
        return found

    def precision_by_iou(self, weights: ArrayLike | None = None, ious: Sequence[float] = IOUS) -> Floats:
        """As `average_precision`, for each overlap apart: [R, ious]."""
        drawn, at = self._weights(weights), self._at(ious)
        return _means([_precision(part, drawn, at) for part in self.of_label], (len(drawn), len(at)))

    def average_recall(
        self, weights: ArrayLike | None = None, ious: Sequence[float] = COCO_IOUS, most: int = MOST
    ) -> Floats:
        """AR [R] of at most ``most`` boxes of a label in a picture: the mean over labels with truth and ``ious``."""
        drawn, at = self._weights(weights), self._at(ious)
        return _means([_recall(part, drawn, at, most) for part in self.of_label], (len(drawn),))

    def right(self, iou: float = 0.5) -> NDArray[np.bool_]:
        """[rows of the table]: whether a box has a truth of its own; beyond the hundredth of a picture none has."""
        (at,) = self._at((iou,))
        hit = np.zeros(self.found, bool)
        for part in self.of_label:
            hit[part.row] = part.right[at]
        return hit

    def _at(self, ious: Sequence[float]) -> list[int]:
        for iou in ious:
            if iou not in self.ious:
                raise InputError(f"These boxes were matched at {', '.join(f'{t:g}' for t in self.ious)}; got {iou!r}.")
        return [self.ious.index(iou) for iou in ious]

    def _weights(self, weights: ArrayLike | None) -> Floats:
        given = np.ones(len(self.images)) if weights is None else np.asarray(weights, np.float64)
        drawn = np.atleast_2d(given)
        if drawn.ndim != 2 or drawn.shape[1] != len(self.images) or not (drawn >= 0).all():
            raise InputError(
                f"weights are [R, {len(self.images)}], one a picture and none below 0; got {list(given.shape)}."
            )
        return drawn


def match(
    found: Any, truth: Any, *, asked: Any = None, images: Iterable[str] | None = None, ious: Sequence[float] = IOUS,
    most: int = MOST,
) -> Matches:  # fmt: skip
    """Match found boxes to truth, each picture and label for itself: the highest score takes its best free truth.

    For the tables, ``asked`` and ``images`` see `judged`; at most ``most`` boxes of a label in a picture are looked
    at. Overlaps are pycocotools' own, and so are the rules (Lin et al. 2014, arXiv 1405.0312).

    >>> matches = match(detections.table, truth)  # doctest: +SKIP
    >>> matches.average_precision(ious=(0.5,))  # doctest: +SKIP
    array([0.31])
    """
    return match_tables(judged(found, truth, asked, images), ious=ious, most=most)


def match_tables(tables: Judged, *, ious: Sequence[float] = IOUS, most: int = MOST) -> Matches:
    """As `match`, of tables that are checked."""
    levels = np.minimum(np.asarray(ious, np.float64), 1 - 1e-10)  # as pycocotools asks
    place = {name: i for i, name in enumerate(tables.images)}
    boxes, corners = (part[list(CORNERS)].to_numpy() for part in (tables.found, tables.truth))
    scores = tables.found["score"].to_numpy()
    there = {key: corners[rows] for key, rows in rows_of(tables.truth).items()}
    by_label: dict[str, list[tuple[int, NDArray[np.int64], NDArray[np.bool_]]]] = {name: [] for name in tables.labels}
    counts = {name: np.zeros(len(tables.images), np.int64) for name in tables.labels}
    for (image, label), part in there.items():
        counts[label][place[image]] = len(part)
    for (image, label), rows in sorted(rows_of(tables.found).items(), key=lambda pair: place[pair[0][0]]):
        rows = rows[np.argsort(-scores[rows], kind="stable")][:most]
        other = there.get((image, label))
        right = np.zeros((len(levels), len(rows)), bool)
        if other is not None:
            right = _taken(overlaps(boxes[rows], other), levels)
        by_label[label].append((place[image], rows, right))
    found = [_of_label(by_label[name], scores, counts[name], len(levels)) for name in tables.labels]
    return Matches(tables.images, tables.labels, tuple(ious), tuple(found), len(tables.found))


def rows_of(table: pd.DataFrame) -> dict[tuple[str, str], NDArray[np.int64]]:
    """(picture, label) -> the places of its rows."""
    found: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(table["image"], table["label"], strict=True)):
        found.setdefault(key, []).append(row)
    return {key: np.array(rows, np.int64) for key, rows in found.items()}


def overlaps(boxes: ArrayLike, others: ArrayLike) -> Floats:
    """Intersection over union [n, m] of boxes [n, 4] and [m, 4] as x0, y0, x1, y1, by pycocotools.

    >>> overlaps([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2]]).round(3).tolist()
    [[1.0, 0.333]]
    """
    from pycocotools import mask

    # row by row in memory: pycocotools reads the bare bytes, and columns of a DataFrame lie the other way
    a, b = (np.ascontiguousarray(wide(np.asarray(part, np.float64).reshape(-1, 4))) for part in (boxes, others))
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    found: Floats = mask.iou(a, b, [0] * len(b))
    return found


def wide(boxes: Floats) -> Floats:
    """Corners [n, 4] -> x, y, width, height, as COCO writes a box."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _taken(iou: Floats, levels: Floats) -> NDArray[np.bool_]:
    """[T, n] from overlaps [n, m] in the order of scores: whether each box gets a truth that is free."""
    n, m = iou.shape
    right = np.zeros((len(levels), n), bool)
    if m == 1:  # the first that reaches it has it
        reached = iou[:, 0] >= levels[:, None]
        first = reached.argmax(axis=1)
        right[np.arange(len(levels)), first] = reached.any(axis=1)
        return right
    free, every = np.ones((len(levels), m), bool), np.arange(len(levels))
    for i in range(n):
        allowed = np.where(free & (iou[i] >= levels[:, None]), iou[i], -1.0)
        best = m - 1 - allowed[:, ::-1].argmax(axis=1)  # of equals pycocotools takes the last
        right[:, i] = allowed[every, best] >= 0
        free[every[right[:, i]], best[right[:, i]]] = False
    return right


def _of_label(
    parts: list[tuple[int, NDArray[np.int64], NDArray[np.bool_]]],
    scores: Floats,
    truths: NDArray[np.int64],
    levels: int,
) -> OfLabel:
    rows = np.concatenate([rows for _, rows, _ in parts]) if parts else np.zeros(0, np.int64)
    order = np.argsort(-scores[rows], kind="stable")  # as pycocotools: of equals the earlier picture comes first
    image = np.concatenate([np.full(len(rows), at) for at, rows, _ in parts]) if parts else rows
    rank = np.concatenate([np.arange(len(rows)) for _, rows, _ in parts]) if parts else rows
    right = np.concatenate([right for _, _, right in parts], axis=1) if parts else np.zeros((levels, 0), bool)
    return OfLabel(scores[rows][order], image[order], rank[order], rows[order], right[:, order], truths)


def _precision(part: OfLabel, weights: Floats, at: Sequence[int]) -> Floats:
    """[R, overlaps]: AP of one label; NaN where no truth was drawn.

    Only where a truth is found does recall rise, so the curve is needed there alone: precision above each such step,
    times the number of COCO's recalls that the step passes.
    """
    found = np.full((len(weights), len(at)), np.nan)
    if not part.truths.any():
        return found
    step = max(1, _ROOM // max(1, len(part.score)))
    for start in range(0, len(weights), step):
        drawn = weights[start : start + step]
        total = (drawn @ part.truths)[:, None]  # [r, 1]
        some = total > 0
        so_far = np.cumsum(drawn[:, part.image], axis=1)  # [r, D]
        value = np.zeros((len(drawn), len(at)))
        for place, level in enumerate(at):
            right = np.flatnonzero(part.right[level])
            if not len(right):
                continue
            hits = np.cumsum(drawn[:, part.image[right]], axis=1)  # [r, P]
            precision = hits / np.maximum(so_far[:, right], np.finfo(float).tiny)
            precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            recall = hits / np.where(some, total, 1)
            passed = np.searchsorted(_RECALLS, recall.ravel(), side="right").reshape(recall.shape)
            value[:, place] = (precision * np.diff(passed, axis=1, prepend=0)).sum(axis=1) / len(_RECALLS)
        found[start : start + step] = np.where(some, value, np.nan)
    return found


def _recall(part: OfLabel, weights: Floats, at: Sequence[int], most: int) -> Floats:
    total = weights @ part.truths
    hits = np.zeros(len(part.truths))
    kept = part.rank < most
    for level in at:
        chosen = part.right[level] & kept
        hits += np.bincount(part.image[chosen], minlength=len(part.truths))
    return np.where(total > 0, weights @ hits / len(at) / np.where(total > 0, total, 1), np.nan)


def _means(of_labels: list[Floats], shape: tuple[int, ...]) -> Floats:
    """The mean over the labels that have truth, of the ``shape`` of each."""
    values = np.stack(of_labels) if of_labels else np.full((1, *shape), np.nan)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
