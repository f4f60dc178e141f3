"""Pictures with labelled boxes: the figure behind `Detections.plot`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from clipviz import fonts
from clipviz.errors import InputError, nearest
from clipviz.plots.blending import as_map, as_pixels, shrink
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import LONGEST, bar, number, paint, place
from clipviz.plots.scale import FloatArray, scale_of
from clipviz.plots.tags import Ruler, free_spot, leader, one_line

# Okabe and Ito 2008, which all common kinds of colour vision tell apart; black is too near to the outlines.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#6b6b6b")
# From the ninth label on the colours come again, in other strokes.
STROKES: tuple[Any, ...] = ("solid", (0, (4, 1.6)), (0, (1.2, 1.2)), (0, (5, 1.6, 1.2, 1.6)))
MOST = 100  # boxes of a picture; more would be a figure that nobody reads
_KEYS = ("picture", "boxes", "labels", "scores", "title", "values")
_EDGE, _GAP, _NAMED = 0.14, 0.16, 24  # inches, and labels in a legend
# Of a picture's area, tags with words take at most the first share, and with the scores alone at most the second.
_WORDS, _SCORES = 0.3, 0.45


@dataclass(frozen=True)
class _Panel:
    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float64]  # [n, 4], highest score first
    labels: NDArray[np.intp]
    scores: NDArray[np.float64]
    title: str
    values: FloatArray | None
    left_out: int  # boxes that are not drawn


@dataclass(frozen=True)
class _Tag:
    text: str
    spot: tuple[float, float]  # its top left corner and its extent, in inches of the picture
    extent: tuple[float, float]
    which: int  # box


def boxed(
    panels: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    *,
    title: str = "",
    caption: str = "",
    unit: str = "",
    alpha: float = 0.5,
    width: float | None = None,
    across: int = 4,
    asked: Sequence[int] | None = None,
) -> Canvas:
    """Draw one picture, or rows of several, with labelled boxes and a legend.

    Each label has one colour (from the ninth on one colour and stroke), whatever picture it is in. A tag with label
    and score stands within the picture and over no other tag; where there is no room it is the score alone, or none,
    and the caption says how many. Labels without a box are named in the legend.

    Parameters
    ----------
    panels : dicts with ``picture``, ``boxes`` [n, 4] (x0, y0, x1, y1) in its pixels, ``labels`` [n] (places in
        ``names``), ``scores`` [n] and, optionally, ``title`` and, where there is one panel, ``values`` [H, W]: a map
        under the boxes. Of more than 100 boxes in a picture the highest are drawn.
    names : every label that was asked for, any language; long ones are cut.
    title, caption : wrapped, then cut. unit, alpha : of the map, as `overlay` takes them.
    width : of one picture, in inches; None for 5.2 alone and 2.7 in rows of at most ``across``.
    asked : the places of the labels that the legend is about, where boxes of the others are left out; None for all.

    Raises
    ------
    InputError : no panel, an unknown key, boxes or labels or scores that do not fit each other or the names.

    >>> panel = {"picture": np.zeros((8, 8, 3), np.uint8), "boxes": [[1, 1, 5, 5]], "labels": [0], "scores": [0.9]}
    >>> figure = boxed([panel], ["a dog", "개"])
    """
    cells = [_panel(panel, len(names)) for panel in panels]
    if not cells:
        raise InputError("A figure of boxes needs at least one picture; give a list of dicts with 'picture'.")
    if len(cells) > 1 and any(cell.values is not None for cell in cells):
        raise InputError(f"A map is drawn under the boxes of one picture, got {len(cells)}; give one panel.")
    wide = width or (5.2 if len(cells) == 1 else 2.7)
    size = 8.0 if wide >= 4 else 6.5
    highest = max((float(np.abs(cell.scores).max()) for cell in cells if len(cell.scores)), default=1.0)
    decimals = 2 if highest >= 0.5 else 3 if highest >= 0.05 else None  # probabilities, cosines, smaller things
    rows = [cells[i : i + across] for i in range(0, len(cells), across)]
    count = max(map(len, rows))
    side = 1.12 if cells[0].values is not None else 0.0
    total = max(2 * _EDGE + count * wide + (count - 1) * _GAP + side, 3.6)
    tall = [max(_extent(cell, wide)[1] for cell in row) for row in rows]
    heads = [max((fit(one_line(c.title), wide, 8, 1)[1] for c in row), default=0.0) for row in rows]

    ruler = Ruler()
    head, head_height = fit(one_line(title), total - 2 * _EDGE, 11, 2)
    top = _EDGE + (head_height + 0.08 if head else 0.0)
    bottom = top + sum(tall) + sum(h + 0.06 if h else 0.0 for h in heads) + (len(rows) - 1) * _GAP
    bottom = max(bottom, top + 1.1) if side else bottom
    written = [_tags(cell, names, _extent(cell, wide), size, decimals, ruler) for cell in cells]
    drawn, left_out = sum(len(cell.boxes) for cell in cells), sum(cell.left_out for cell in cells)
    said = _untold(drawn - sum(map(len, written)), left_out, drawn + left_out)
    legend = _legend(cells, names, range(len(names)) if asked is None else asked, ruler, total - 2 * _EDGE)
    foot, foot_height = fit(" ".join(filter(None, (said, one_line(caption, 2000)))), total - 2 * _EDGE, 8, 5)
    under = bottom + 0.12 + (0.21 * (legend[-1][0] + 1) + 0.04 if legend else 0.0)
    figure = Canvas(total, under + foot_height + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    y = top
    for i, (height, above) in enumerate(zip(tall, heads, strict=True)):
        for j, cell in enumerate(cells[i * across : (i + 1) * across]):
            x = _EDGE + j * (wide + _GAP)
            if above:
                text, _ = fit(one_line(cell.title), wide, 8, 1)
                figure.line(x + wide / 2, y, text, size=8, colour=QUIET, align="center")
            _draw(figure, cell, written[i * across + j], x, y + (above + 0.06 if above else 0.0), wide, size, alpha)
        y += (above + 0.06 if above else 0.0) + height + _GAP
    if cells[0].values is not None:
        bar(figure, _EDGE + wide + 0.12, top, max(tall[0], 1.1), scale_of(cells[0].values, None), alpha, unit)
    _write_legend(figure, legend, bottom + 0.12)
    if foot:
        figure.line(_EDGE, under, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def colour_of(place: int) -> tuple[str, Any, str]:
    """(colour, stroke, colour of words on it) of the label at a place in the list of labels."""
    colour = COLOURS[place % len(COLOURS)]
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    light = float(np.dot(parts, (0.2126, 0.7152, 0.0722)))  # relative luminance of WCAG 2
    words = "#ffffff" if 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 else "#000000"
    return colour, STROKES[place // len(COLOURS) % len(STROKES)], words


def _panel(panel: Mapping[str, Any], known: int) -> _Panel:
    for key in panel:
        if key not in _KEYS:
            raise InputError(f"A panel of boxes has the unknown key {key!r}. {nearest(str(key), _KEYS)}")
    missing = [key for key in _KEYS[:4] if key not in panel]
    if missing:
        raise InputError(f"A panel of boxes has no {missing[0]!r}; give {', '.join(map(repr, _KEYS[:4]))}.")
    pixels = as_pixels(panel["picture"])
    boxes = np.asarray(panel["boxes"], np.float64).reshape(-1, 4)
    scores = np.asarray(panel["scores"], np.float64)
    labels = np.asarray(panel["labels"])
    if labels.shape != (len(boxes),) or scores.shape != (len(boxes),):
        raise InputError(
            f"{len(boxes)} boxes want as many labels and scores, got {list(labels.shape)} and {list(scores.shape)}."
        )
    if len(boxes) and not (labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < known):
        raise InputError(f"The labels of boxes are places in the {known} names, whole numbers from 0.")
    if not (np.isfinite(boxes).all() and (boxes[:, :2] <= boxes[:, 2:]).all()):
        raise InputError("A box to draw is (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, finite; check their order.")
    values = panel.get("values")
    array = None if values is None else as_map(values, pixels.shape[:2])
    order = np.argsort(-scores, kind="stable")[:MOST]
    return _Panel(pixels, boxes[order], labels[order].astype(np.intp), scores[order], str(panel.get("title") or ""),
                  array, len(boxes) - len(order))  # fmt: skip


def _extent(cell: _Panel, wide: float) -> tuple[float, float]:
    """(width, height) of the picture in inches."""
    height, width = cell.pixels.shape[:2]
    tall = wide * height / width
    return (wide, tall) if tall <= 1.4 * wide else (1.4 * wide * width / height, 1.4 * wide)


def _tags(
    cell: _Panel, names: Sequence[str], room: tuple[float, float], size: float, decimals: int | None, ruler: Ruler
) -> list[_Tag]:
    """The tags of a picture of ``room`` inches, the highest box's first; shorter, then none, lest they hide it."""
    boxes = cell.boxes * (room[0] / cell.pixels.shape[1])
    found, taken, covered = list[_Tag](), np.empty((0, 4)), 0.0
    for i, (box, label, score) in enumerate(zip(boxes, cell.labels, cell.scores, strict=True)):
        digits = number(score, signed=False) if decimals is None else f"{score:.{decimals}f}".replace("-", "\u2212")
        width = min(0.6 * room[0], 1.9) - ruler(" " + digits, size)[0]
        words = ruler.cut(one_line(names[label]), size, max(width, 0.3))
        for text, share in ((f"{words} {digits}", _WORDS), (digits, _SCORES)):
            extent = ruler(text, size)[0] + 0.07, 1.32 * size / 72
            if covered + extent[0] * extent[1] > share * room[0] * room[1] and len(found):
                continue
            if (spot := free_spot(box, extent, room, taken, boxes)) is not None:
                found.append(_Tag(text, spot, extent, i))
                taken = np.vstack([taken, (*spot, spot[0] + extent[0], spot[1] + extent[1])])
                covered += extent[0] * extent[1]
                break
    return found


def _draw(
    figure: Canvas, cell: _Panel, tags: Sequence[_Tag], x: float, y: float, wide: float, size: float, alpha: float
) -> None:
    width, height = _extent(cell, wide)
    axes = place(figure, x + (wide - width) / 2, y, width, height)
    small, values, step = shrink(cell.pixels, cell.values, LONGEST if wide >= 4 else 700)
    paint(axes, small, values, alpha, None if values is None else scale_of(values, None), step=step)
    line = 1.8 if wide >= 4 else 1.3
    boxes = cell.boxes / step
    for i in reversed(range(len(boxes))):  # the highest on top
        colour, stroke, words = colour_of(int(cell.labels[i]))
        x0, y0, x1, y1 = boxes[i]
        for edge, thick, style in ((words, line + 1.3, "solid"), (colour, line, stroke)):
            axes.add_patch(
                Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=edge, linewidth=thick, linestyle=style,
                          clip_on=False, zorder=3)
            )  # fmt: skip
    scale = cell.pixels.shape[1] / width / step  # of the axes in an inch
    for tag in tags:
        _write_tag(axes, tag, boxes[tag.which], int(cell.labels[tag.which]), size, scale)


def _write_tag(axes: Axes, tag: _Tag, box: NDArray[np.float64], label: int, size: float, scale: float) -> None:
    colour, _, words = colour_of(label)
    (x, y), (width, height) = ((a * scale, b * scale) for a, b in (tag.spot, tag.extent))
    if line := leader((x, y), (width, height), box):
        for edge, thick in ((words, 1.8), (colour, 0.9)):
            axes.plot(*zip(*line, strict=True), color=edge, linewidth=thick, zorder=4)
    axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor=words, linewidth=0.4, zorder=5))
    axes.text(
        x + width / 2, y + height / 2, tag.text, fontsize=size, color=words, ha="center", va="center_baseline",
        zorder=6, usetex=False,
    )  # fmt: skip


def _legend(
    cells: Sequence[_Panel], names: Sequence[str], asked: Sequence[int], ruler: Ruler, room: float
) -> list[tuple[int, float, int | None, str]]:
    """(line, x, place of the label or None, words) of every entry: labels with boxes, then those without."""
    counts = np.zeros(len(names), np.intp)
    for cell in cells:
        np.add.at(counts, cell.labels, 1)
    with_box, without = [i for i in asked if counts[i]], [i for i in asked if not counts[i]]
    entries: list[tuple[int | None, str]] = [
        (i, f"{ruler.cut(one_line(names[i]), 8, 1.9)} ({counts[i]})") for i in with_box[:_NAMED]
    ]
    if len(with_box) > _NAMED:
        entries.append((None, f"and {len(with_box) - _NAMED} more labels"))
    if len(without):
        entries.append((None, "no box here:"))
        for n, i in enumerate(without[:_NAMED]):
            comma = "," if n + 1 < min(len(without), _NAMED) else ""
            entries.append((None, ruler.cut(one_line(names[i]), 8, 1.9) + comma))
        if len(without) > _NAMED:
            entries.append((None, f"and {len(without) - _NAMED} more"))
    placed, line, x = [], 0, 0.0
    for number_of, words in entries:
        length = (0.27 if number_of is not None else 0.0) + ruler(words, 8)[0]
        if x and x + length > room:
            line, x = line + 1, 0.0
        placed.append((line, x, number_of, words))
        x += length + (0.16 if number_of is not None else 0.06)
    return placed


def _write_legend(figure: Canvas, entries: Sequence[tuple[int, float, int | None, str]], y: float) -> None:
    for line, x, number_of, words in entries:
        left, middle = _EDGE + x, y + 0.21 * line + 0.07
        if number_of is not None:
            colour, stroke, under = colour_of(number_of)
            axes = place(figure, left, middle - 0.055, 0.2, 0.11)
            axes.set_axis_off()
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
            for edge, thick, style in ((under, 3.0, "solid"), (colour, 2.0, stroke)):
                axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=edge, linewidth=thick, linestyle=style,
                                         clip_on=False))  # fmt: skip
            left += 0.27
        colour = INK if number_of is not None else QUIET
        figure.line(left, middle + 0.04, words, size=8, colour=colour, valign="baseline")


def _untold(untold: int, left_out: int, total: int) -> str:
    said = [f"{untold} of {total} boxes have no tag for want of room."] if untold else []
    if left_out:
        said.append(f"The {left_out} lowest of {total} boxes are not drawn.")
    return " ".join(said)
