"""Boxes that may hold something: proposed from maps, from squares or from windows, and judged together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from ..frame import Frame
from ..model.pixels import encode_squares
from .asking import Asked
from .levels import Level
from .placing import to_pixels, whole_cells
from .search import several
from .suppression import soft_nms

if TYPE_CHECKING:
    from tqdm import tqdm

SEARCHED = 56  # cells of the long side in which boxes are searched: finer than the evidence, so that edges lie between
CONTEXT = 1.5  # a candidate is judged with its surroundings, by which a model knows things
LEAST = 12.0  # pixels: a crop of less is a blur


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes [n, 4] in pixels, the place of each one's label [n], scores [n], and the step each came from."""

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    evidence: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def at(self, places: NDArray[np.int64]) -> Candidates:
        """Those at ``places``, in that order."""
        kept = tuple(self.evidence[i] for i in places)
        return Candidates(self.boxes[places], self.labels[places], self.scores[places], kept)


def gathered(rows: list[tuple[NDArray[np.float64], int, float, str]]) -> Candidates:
    """From (box, label, score, evidence)."""
    boxes = np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 4)
    labels = np.array([row[1] for row in rows], dtype=np.int64)
    return Candidates(boxes, labels, np.array([row[2] for row in rows], dtype=np.float64), tuple(r[3] for r in rows))


def proposed(
    evidence: NDArray[np.float32], frame: Frame, levels: list[Level], offsets: tuple[float, ...], per_label: int
) -> Candidates:
    """The best boxes of each label's evidence, over the whole picture and within its two best squares.

    A box is the rectangle with the largest sum of the evidence less an ``offset``, in standard deviations. The score
    of each is that of the squares it lies in: the highest margin of one that holds most of the box.
    """
    grid = _searched(evidence)
    shape = grid.shape[-2:]
    rows = []
    for j, values in enumerate(grid):
        for offset in offsets:
            for found in several(values - offset, per_label):
                rows.append((to_pixels(np.array(found.box), frame, shape), j, 0.0, "map"))
        for number, one in enumerate(levels):
            if len(one.frame.tiles) == 1:
                continue
            for t in np.argsort(-one.margins[:, j], kind="stable")[:2]:
                x0, y0, x1, y1 = whole_cells(square(one.frame, int(t)), frame, shape)
                for offset in offsets:
                    for found in several(values[y0:y1, x0:x1] - offset, 1):
                        box = np.array(found.box) + np.array([x0, y0, x0, y0])
                        rows.append((to_pixels(box, frame, shape), j, 0.0, f"map in a square of level {number}"))
    every = gathered(rows)
    return Candidates(every.boxes, every.labels, of_squares(every, levels), every.evidence)


def _searched(evidence: NDArray[np.float32]) -> NDArray[np.float64]:
    """Maps [P, h, w] on a grid fine enough that an edge may lie between two cells of the model."""
    h, w = evidence.shape[-2:]
    factor = max(1, SEARCHED // max(h, w))
    drawn = F.interpolate(
        torch.from_numpy(evidence)[None], size=(h * factor, w * factor), mode="bilinear", align_corners=False
    )
    return drawn[0].numpy().astype(np.float64)


def square(frame: Frame, t: int) -> NDArray[np.float64]:
    """The square ``t`` of a frame, in pixels of the picture."""
    left, top = frame.tiles[t]
    return frame.to_original([left, top, left + frame.size, top + frame.size], clip=True)


def of_squares(found: Candidates, levels: list[Level]) -> NDArray[np.float64]:
    """For each candidate the highest margin of its label in a square that holds most of it."""
    scores = np.full(len(found), -np.inf)
    for one in levels:
        squares = np.array([square(one.frame, t) for t in range(len(one.frame.tiles))])  # [T, 4]
        for i, box in enumerate(found.boxes):
            low, high = np.maximum(squares[:, :2], box[:2]), np.minimum(squares[:, 2:], box[2:])
            held = np.clip(high - low, 0, None).prod(axis=1) / max((box[2:] - box[:2]).prod(), 1e-12)
            most = held >= 0.8
            if most.any():
                scores[i] = max(scores[i], one.margins[most, found.labels[i]].max())
    missed = ~np.isfinite(scores)
    scores[missed] = levels[0].margins.max(axis=0)[found.labels[missed]]
    return scores


def judged(asked: Asked, picture: Image.Image, found: Candidates, most: int) -> Candidates:
    """The ``most`` best candidates of each label, scored anew by a crop of each with its surroundings."""
    kept = []
    for j in range(len(asked.labels)):
        own = np.flatnonzero(found.labels == j)
        kept += own[np.argsort(-found.scores[own], kind="stable")][:most].tolist()
    chosen = found.at(np.array(kept, dtype=np.int64))
    if not len(chosen):
        return chosen
    margins = of_crops(asked, picture, around(chosen.boxes, picture.size))
    return Candidates(chosen.boxes, chosen.labels, margins[np.arange(len(chosen)), chosen.labels], chosen.evidence)


def around(boxes: NDArray[np.float64], picture: tuple[int, int]) -> NDArray[np.float64]:
    """Squares about boxes [n, 4], half as large again as the longer side, cut off at the picture's border."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1), min(LEAST, *picture)) * CONTEXT / 2
    low = np.clip(middle - side[:, None], 0, None)
    return np.concatenate([low, np.minimum(middle + side[:, None], picture)], axis=1)


def of_crops(
    asked: Asked, picture: Image.Image, boxes: NDArray[np.float64], at_once: int = 32, bar: tqdm[Any] | None = None
) -> NDArray[np.float64]:
    """The margins [n, P] of crops of a picture, each drawn to the model's square; equal boxes are seen once."""
    model = asked.model
    unique, back = np.unique(np.round(boxes, 3), axis=0, return_inverse=True)
    size, mode = model.image_size, Image.Resampling[model.interpolation.upper()]
    parts = []
    if bar is not None:
        bar.reset(total=len(unique))
    for first in range(0, len(unique), at_once):
        part = unique[first : first + at_once]
        squares = [np.asarray(picture.resize((size, size), mode, box=tuple(box)))[None] for box in part]
        units = torch.from_numpy(encode_squares(model, squares, batch_size=at_once))
        parts.append(asked.margins(units.to(model.device)))
        if bar is not None:
            bar.update(len(part))
    return np.concatenate(parts)[back.ravel()]


def kept_apart(found: Candidates, per_label: int, threshold: float) -> Candidates:
    """After class-aware soft non-maximum suppression: at most ``per_label`` of each label, at or above a threshold."""
    if not len(found):
        return found
    scores, kept = found.scores.copy(), []
    for j in np.unique(found.labels):  # each by itself: what else is asked changes no score
        own = np.flatnonzero(found.labels == j)
        # A margin above nothing is multiplied; where all say less than the background, the lowest says nothing.
        ground = min(0.0, float(found.scores[own].min()))
        scores[own], order = soft_nms(found.boxes[own], found.scores[own], method="gaussian", floor=ground)
        kept += [i for i in own[order[:per_label]] if scores[i] >= threshold]
    places = np.array(sorted(kept, key=lambda i: (-scores[i], i)), dtype=np.int64)
    chosen = found.at(places)
    return Candidates(chosen.boxes, chosen.labels, scores[places], chosen.evidence)
