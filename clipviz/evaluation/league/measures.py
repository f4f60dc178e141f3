"""What is measured of one map, by name; the metrics themselves are in `clipviz.explanation.metrics`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from ...explanation.metrics import (
    insertion_deletion,
    iou_at,
    is_flat,
    keeps_to_tile,
    mass_inside,
    pixel_precision,
    points_into,
    rank_correlation,
    text_sensitivity,
)
from ...explanation.target import Target
from ...frame import Frame
from ...model import Look


@dataclass(frozen=True)
class Measure:
    """A column of the items: what it is called in the table, whether more is better, and what its number is."""

    label: str
    better: str  # "higher" or "lower"
    about: str
    share: bool = True  # from 0 to 1, and shown in percent


# In the order of the table.
MEASURES = {
    "peak": Measure("mosaic peak", "higher", "the highest cell is in the tile that was asked for"),
    "tile": Measure("mosaic tile mean", "higher", "the tile that was asked for has the highest mean"),
    "pointing": Measure("pointing", "higher", "the peak is inside the mask or box, tolerance 0; a flat map misses"),
    "inside": Measure("mass inside", "higher", "share of the positive part inside; chance is the region's area"),
    "precision": Measure("pixel average precision", "higher", "pixels in falling order; chance is the region's area"),
    "iou": Measure("IoU, threshold of dev", "higher", "overlap at one threshold that was chosen on other pictures"),
    "insertion": Measure("insertion", "higher", "area under the normalised cosine as patches appear on a blur", False),
    "deletion": Measure("deletion", "lower", "area under the normalised cosine as patches are blurred", False),
    "weights": Measure("parameter randomisation", "lower", "|rank correlation| with its map at random weights", False),
    "labels": Measure("label randomisation", "lower", "|rank correlation| with a model of shuffled captions", False),
    "moved": Measure("text sensitivity", "higher", "another text moves the peak"),
}  # fmt: skip
STEPS = 16  # of insertion and deletion: each is as many passes a picture and method
LABELS = {name: measure.label for name, measure in MEASURES.items()}


def in_tile(values: Any, asked: int, tiles: tuple[int, int], lot: Sequence[int]) -> dict[str, float]:
    """Of a mosaic."""
    kept = keeps_to_tile(values, asked, *tiles, seed=lot)
    return {"peak": kept.by_peak, "tile": kept.by_mean}


def in_region(values: Any, region: Any, frame: Frame, lot: Sequence[int], *, precise: bool) -> dict[str, float]:
    """Of a picture with a mask; ``precise`` adds what sorts every pixel.

    A map without anything positive has its mass spread evenly, as if it were constant: it says nothing, and to leave
    its picture out would compare the methods on different pictures.
    """
    mass = mass_inside(values, region, frame=frame)
    found = {"area": float(region.mean()), "pointing": float(points_into(values, region, frame=frame, seed=lot)),
             "inside": mass.area if math.isnan(mass.inside) else mass.inside}  # fmt: skip
    if precise:
        found["precision"] = pixel_precision(values, region, frame=frame)
    return found


def overlap(values: Any, region: Any, frame: Frame, threshold: float) -> dict[str, float]:
    return {"iou": iou_at(values, region, threshold, frame=frame)}


def faithfulness(look: Look, target: Target, values: Any, lot: Sequence[int], batch_size: int) -> dict[str, float]:
    """NaN where the picture scores no higher than its blank, and for a flat map, whose order would be chance."""
    if is_flat(values):
        return {"insertion": math.nan, "deletion": math.nan}
    cells = math.prod(look.model.grid) if look.model.kind != "other" else values.size
    curves = insertion_deletion(look, target, values, steps=min(STEPS, cells), seed=lot, batch_size=batch_size)
    return {"insertion": curves.insertion_auc, "deletion": curves.deletion_auc}


def about_text(values: Any, other: Any, frame: Frame, lot: Sequence[int]) -> dict[str, float]:
    """Whether another text moves the peak; NaN where a map is flat."""
    found = text_sensitivity(values, other, frame=frame, seed=lot)
    return {"moved": math.nan if math.isnan(found.peak_moved) else float(found.moved)}


def likeness_of(values: Any, other: Any) -> float:
    """|rank correlation| with the map of another model; NaN where one of them is flat."""
    if values.shape != other.shape:
        raise InputError(
            f"The other model's map is {list(other.shape)}, not {list(values.shape)}: give one of its shape."
        )
    return abs(rank_correlation(values, other))
