"""Truth from a source's columns: which boxes there are, and which of them cannot be used, with the reason."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ...errors import DataError, InputError, nearest
from ...sources import Source
from ..labels import Value, value_of
from .tables import TRUTH

if TYPE_CHECKING:
    import pandas as pd

SIZE = ("width", "height")  # the columns that tell which picture the boxes were drawn on
CROWD = "crowd"  # the column of a COCO folder that tells groups from single things
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


@dataclass(frozen=True, eq=False)
class BoxTruth:
    """What is there, by `read_boxes`.

    ``table`` has image, label, x0, y0, x1, y1, continuous with x1 and y1 excluded, and labels as text; ``values`` are
    the labels as the data have them. ``bad`` lists (id, reason) of what could not be used; the pair of picture and
    label is in ``unjudged``, (id, None) where no label is told: there a miss or a find means nothing. ``sizes`` are id
    -> (width, height) of the pictures that can be opened, and ``clipped`` counts boxes cut at the picture's edge.
    """

    table: pd.DataFrame
    values: Mapping[str, Value]
    sizes: Mapping[str, tuple[int, int]]
    bad: tuple[tuple[str, str], ...] = ()
    unjudged: frozenset[tuple[str, str | None]] = frozenset()
    clipped: int = 0
    labels_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_boxes(source: Source, *, box: str = "box", truth: str = "label", inclusive: bool = False) -> BoxTruth:
    """The boxes of every picture of ``source``, from its columns ``box`` and ``truth``, by picture.

    A cell of ``box`` is [x0, y0, x1, y1] in pixels with one value in ``truth``, or a list of such with a list of as
    many values (or one for all); text with four numbers or JSON is read as well. An empty list says that nothing is
    there; an empty cell is not known, and listed. ``inclusive``: x1 and y1 name the last pixel, as in Tiny ImageNet,
    so that 1 is added. Boxes that are NaN, of no size or outside of the picture, and crowds of COCO, are listed in
    ``.bad``, those that reach beyond it are cut. Raises DataError for a column that is not there or no box at all.

    >>> read_boxes(open_source("val-00.parquet"), truth="class_id", inclusive=True).table  # doctest: +SKIP
    """
    import pandas as pd

    table = source.table()
    for name, what in ((box, "boxes; name it with box="), (truth, "labels; name it with truth=")):
        if name not in table.columns:
            hint = nearest(name, map(str, table.columns)) if len(table.columns) else "It has no columns."
            raise DataError(f"There is no column {name!r} in {source.where_from} with {what}. {hint}")
    told = table[list(SIZE)].values.tolist() if set(SIZE) <= set(table.columns) else [(None, None)] * len(table)
    crowds = table[CROWD].tolist() if CROWD in table.columns else [None] * len(table)
    sizes: dict[str, tuple[int, int]] = {}
    values: dict[str, Value] = {}
    rows, bad = [], []
    unjudged: set[tuple[str, str | None]] = set()
    clipped, labels_of = 0, {}
    cells = zip(source.ids, table[box].tolist(), table[truth].tolist(), crowds, told, strict=True)
    for place, (name, given, said, crowd, meant) in enumerate(cells):
        size = _size(source, place, meant)
        if isinstance(size, str):
            bad.append((name, size))
            unjudged.add((name, None))
            continue
        sizes[name] = size
        seen = []
        for label, corners, problem in _boxes(given, said, crowd):
            if label is not None:
                values.setdefault(str(label), label)
                seen.append(str(label))
            problem = problem or _problem(corners, size, inclusive)
            if problem:
                bad.append((name, problem))
                unjudged.add((name, None if label is None else str(label)))
                continue
            inside, cut = _inside(corners, size, inclusive)
            clipped += cut
            rows.append((name, str(label), *inside))
        labels_of[name] = tuple(dict.fromkeys(seen))
    if not rows:
        why = f" The first: {bad[0][0]!r}: {bad[0][1]}" if bad else ""
        raise DataError(f"No picture of {source.where_from} has a box in {box!r} that can be used.{why}")
    found = pd.DataFrame(rows, columns=list(TRUTH))
    return BoxTruth(found, values, sizes, tuple(bad), frozenset(unjudged), clipped, labels_of)


def _boxes(given: Any, said: Any, crowd: Any) -> Iterator[tuple[Value | None, Any, str]]:
    """(label, corners, problem) of each box in a row's cells."""
    try:
        boxes, one = _parsed(given)
        if boxes is None:
            label = value_of(said) if not isinstance(said, list | tuple | np.ndarray) else None
            yield label, None, "it has no box"
            return
        labels = list(said) if isinstance(said, list | tuple | np.ndarray) else [said] * len(boxes)
        if len(labels) != len(boxes):
            yield None, None, f"it has {len(boxes)} boxes and {len(labels)} labels"
            return
        groups = list(crowd) if isinstance(crowd, list | tuple | np.ndarray) and not one else [crowd] * len(boxes)
        for corners, label, group in zip(boxes, labels, groups, strict=True):
            value = value_of(label)
            problem = "its box has no label" if value is None else ""
            yield value, corners, problem or ("a crowd, which is no single thing" if group is True else "")
    except (DataError, ValueError, TypeError) as error:
        yield None, None, f"its box cannot be read ({str(error)[:120]})"


def _parsed(cell: Any) -> tuple[list[Any] | None, bool]:
    """(boxes of a cell, whether it held one alone); None for an empty cell."""
    if isinstance(cell, str) and cell.strip():
        try:
            cell = json.loads(cell)
        except ValueError:
            cell = [float(part) for part in cell.replace(",", " ").strip("[]() ").split()]
    if cell is None or isinstance(cell, str | float):
        return None, True
    parts = list(cell)
    alone = bool(parts) and not any(isinstance(part, list | tuple | np.ndarray) for part in parts)
    return ([parts] if alone else parts), alone


def _problem(corners: Any, size: tuple[int, int], inclusive: bool) -> str:
    """Why a box cannot be used, or nothing."""
    try:
        x0, y0, x1, y1 = (float(part) if part is not None else np.nan for part in corners)
    except (TypeError, ValueError):
        return f"its box {str(corners)[:60]} is not four numbers"
    said = f"its box [{x0:g}, {y0:g}, {x1:g}, {y1:g}]"
    if not np.isfinite([x0, y0, x1, y1]).all():
        return f"{said} is not finite"
    more = 1.0 if inclusive else 0.0
    if x1 + more <= x0 or y1 + more <= y0:
        return f"{said} has no size"
    if x0 >= size[0] or y0 >= size[1] or x1 + more <= 0 or y1 + more <= 0:
        return f"{said} is outside of the picture of {size[0]} x {size[1]}"
    return ""


def _inside(corners: Any, size: tuple[int, int], inclusive: bool) -> tuple[tuple[float, ...], bool]:
    box = np.array([float(part) for part in corners])
    if inclusive:
        box[2:] += 1
    kept = np.clip(box, 0, np.tile(size, 2).astype(float))
    return tuple(kept.tolist()), bool((kept != box).any())


def _size(source: Source, place: int, meant: Sequence[Any]) -> tuple[int, int] | str:
    """(width, height) of the upright picture from its header, or why there is none that its boxes fit."""
    try:
        with Image.open(io.BytesIO(source.bytes(place))) as picture:
            width, height = picture.size
            try:
                turned = picture.getexif().get(0x0112, 1) in _TURNED
            except Exception:  # a damaged EXIF block says nothing about the pixels, and open_image passes over it too
                turned = False
            size = (height, width) if turned else (width, height)
            if any(isinstance(a, int | float) and a == a and a != b for a, b in zip(meant, size, strict=True)):
                return f"its boxes are of {meant[0]:g} x {meant[1]:g} pixels, and upright it has {size[0]} x {size[1]}"
            return size
    except (DataError, InputError) as error:
        return str(error)
    except Exception as error:  # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error, ...
        return f"its picture cannot be opened ({str(error)[:120] or type(error).__name__})"
