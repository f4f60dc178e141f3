"""Whether the parts of a set of boxes belong together, told before anything is drawn or judged from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .score_maps import ScoreMaps

if TYPE_CHECKING:
    import pandas as pd

    from .detections import Detections

COLUMNS = ("image", "label", "score", "x0", "y0", "x1", "y1", "evidence")
_CORNERS = ["x0", "y0", "x1", "y1"]
_SLACK = 1e-6  # pixels that rounding may put a box beyond the border


def table_of(rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """A table of boxes from (image, label, score, x0, y0, x1, y1, evidence), also from none.

    Words are kept as they are, also a file's name that is no UTF-8, which pandas' own text columns refuse.
    """
    import pandas as pd

    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    kinds = [object if name in ("image", "label", "evidence") else np.float64 for name in COLUMNS]
    parts = zip(COLUMNS, columns, kinds, strict=True)
    return pd.DataFrame({name: pd.Series(list(column), dtype=kind) for name, column, kind in parts})


def checked_maps(detections: Detections) -> tuple[ScoreMaps | None, ...]:
    """The maps, one or None a picture. Raises InputError where names, sizes, origins and maps do not fit each other."""
    labels, images, sizes = detections.labels, detections.images, detections.sizes
    for what, names in (("labels", labels), ("images", images)):
        if not (isinstance(names, tuple) and all(isinstance(name, str) for name in names)):
            raise InputError(f"The {what} of detections are a tuple of str, got {type(names).__name__}.")
        if len(set(names)) < len(names):
            raise InputError(f"The {what} of detections have a name twice: give each once.")
    if not labels:
        raise InputError("Detections have at least one label, that was looked for; got none.")
    maps = tuple(detections.maps) or (None,) * len(images)
    counts = len(images), len(sizes), len(detections.origins), len(maps)
    if len(set(counts)) > 1:
        raise InputError(f"Images, sizes, origins and maps are as many as each other, got {counts}.")
    if not math.isfinite(detections.threshold):
        raise InputError(f"The threshold of detections is a finite score, got {detections.threshold!r}.")
    for name, size, own in zip(images, sizes, maps, strict=True):
        if own is not None and (own.frame.picture != tuple(size) or len(own.values) != len(labels)):
            raise InputError(
                f"The maps of {name!r} are of {len(own.values)} labels on a picture of {own.frame.picture}, and there "
                f"are {len(labels)} labels and a picture of {tuple(size)}."
            )
    return maps


def checked_table(detections: Detections) -> pd.DataFrame:
    """The boxes, picture by picture, the highest score first. Raises InputError where one fits no label or picture."""
    table = detections.table
    if list(table.columns) != list(COLUMNS):
        raise InputError(f"A table of boxes has the columns {', '.join(COLUMNS)}, got {', '.join(map(str, table))}.")
    number = {image: place for place, image in enumerate(detections.images)}
    for column, known in (("image", set(number)), ("label", set(detections.labels))):
        if strange := set(table[column]) - known:
            raise InputError(f"A box has the {column} {next(iter(strange))!r}, which is not among the {column}s.")
    places = np.array([number[image] for image in table["image"]], int)
    boxes, scores = table[_CORNERS].to_numpy(np.float64), table["score"].to_numpy(np.float64)
    limits = np.array(detections.sizes, np.float64).reshape(-1, 2)[places]  # [n, 2]
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    inside = (boxes[:, :2] >= -_SLACK).all(axis=1) & (boxes[:, 2:] <= limits + _SLACK).all(axis=1)
    boxes = np.clip(boxes, 0, np.tile(limits, 2))
    if len(wrong := np.flatnonzero(~(finite & inside & (boxes[:, :2] < boxes[:, 2:]).all(axis=1)))):
        row = table.iloc[int(wrong[0])]
        raise InputError(
            f"A box has the score {row['score']} and the corners {row[_CORNERS].tolist()} on a picture of "
            f"{tuple(detections.sizes[places[wrong[0]]])}: boxes are x0 < x1, y0 < y1, within it, all finite."
        )
    if len(low := np.flatnonzero(scores < detections.threshold)):
        raise InputError(f"A box has the score {scores[low[0]]!r}, under the threshold {detections.threshold!r}.")
    order = np.lexsort((-scores, places))  # stable: of equal scores, as they came
    rows = zip(table["image"], table["label"], scores, *boxes.T, table["evidence"], strict=True)
    return table_of(rows).iloc[order].reset_index(drop=True)
