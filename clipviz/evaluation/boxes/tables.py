"""The two tables that every metric of boxes takes, checked once: what was found, and what is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

CORNERS = ("x0", "y0", "x1", "y1")
FOUND = ("image", "label", "score", *CORNERS)
TRUTH = ("image", "label", *CORNERS)
ASKED = ("image", "label")


@dataclass(frozen=True, eq=False)
class Judged:
    """Tables that belong together: boxes and truth of the pairs of picture and label that were asked, no others.

    ``images`` and ``labels`` are all that take part, in a fixed order; ``asked`` are the pairs.
    """

    found: pd.DataFrame
    truth: pd.DataFrame
    asked: pd.DataFrame
    images: tuple[str, ...]
    labels: tuple[str, ...]


def judged(found: Any, truth: Any, asked: Any = None, images: Iterable[str] | None = None) -> Judged:
    """Check the tables and keep the pairs that were asked.

    ``found`` has the columns image, label, score, x0, y0, x1, y1 and ``truth`` the same without score; boxes are
    continuous, x1 and y1 excluded. ``asked`` (image, label) are the questions: of a label that was not asked of a
    picture, neither truth nor boxes count there, as it could be neither found nor missed. By default every label of
    either table was asked of every picture of ``images``, by default those of both tables. Raises InputError for a
    column or a box that is none, DataError for a picture outside ``images``.
    """
    import pandas as pd

    boxes, there = _table(found, FOUND, "found"), _table(truth, TRUTH, "truth")
    if asked is None:
        labels = list(dict.fromkeys([*there["label"], *boxes["label"]]))
        everything = list(dict.fromkeys([*there["image"], *boxes["image"]] if images is None else map(str, images)))
        strangers = {*there["image"], *boxes["image"]} - set(everything)
        if strangers:
            name = sorted(strangers)[0]
            raise DataError(f"The picture {name!r} has boxes and is not among images=. {nearest(name, everything)}")
        pairs = pd.DataFrame({"image": np.repeat(np.array(everything, object), len(labels)),
                              "label": np.tile(np.array(labels, object), len(everything))})  # fmt: skip
    else:
        pairs = _columns(asked, ASKED, "asked").drop_duplicates(ignore_index=True)
        everything = list(dict.fromkeys(pairs["image"] if images is None else map(str, images)))
        pairs = pairs[pairs["image"].isin(everything)].reset_index(drop=True)
        labels = list(dict.fromkeys(pairs["label"]))
        boxes, there = (part.merge(pairs, on=list(ASKED), how="inner") for part in (boxes, there))
    if not everything:
        raise DataError("There is no picture to judge: pass truth, or images= where nothing is there.")
    return Judged(boxes, there, pairs, tuple(everything), tuple(labels))


def one_box_each(images: Sequence[str], labels: Sequence[str], scores: Any, boxes: Any) -> pd.DataFrame:
    """A table of found boxes from columns: images and labels [n], scores [n], boxes [n, 4]."""
    import pandas as pd

    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    return pd.DataFrame(
        {"image": list(images), "label": list(labels), "score": np.asarray(scores, np.float64),
         **dict(zip(CORNERS, corners.T, strict=True))}
    )  # fmt: skip


def empty(columns: Sequence[str]) -> pd.DataFrame:
    """A table without rows."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series([], dtype=object if name in ASKED else float) for name in columns})


def _columns(table: Any, names: Sequence[str], what: str) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise InputError(
            f"{what} is a DataFrame with the columns {', '.join(names)}; got {type(table).__name__}: for detections "
            "pass their .table."
        )
    for name in names:
        if name not in table:
            raise InputError(f"{what} has no column {name!r}. {nearest(name, map(str, table.columns))}")
    kept = table[list(names)].reset_index(drop=True)
    return kept.assign(image=kept["image"].astype(str).astype(object), label=kept["label"].astype(str).astype(object))


def _table(table: Any, names: Sequence[str], what: str) -> pd.DataFrame:
    kept = _columns(table, names, what)
    numbers = [name for name in names if name not in ASKED]
    try:
        kept = kept.astype(dict.fromkeys(numbers, np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} holds what is no number ({error}): pass corners in pixels and scores.") from error
    bad = ~np.isfinite(kept[numbers].to_numpy()).all(axis=1)
    bad |= ((kept["x1"] <= kept["x0"]) | (kept["y1"] <= kept["y0"])).to_numpy()
    if bad.any():
        row = kept[bad].iloc[0]
        raise InputError(
            f"{int(bad.sum())} of {len(kept)} boxes of {what} are none, the first of {row['image']!r}: "
            f"{[row[name] for name in numbers]}: finite numbers with x1 > x0 and y1 > y0 are wanted; list them apart."
        )
    return kept
