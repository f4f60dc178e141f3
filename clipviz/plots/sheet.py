"""Rows and columns of overlays, for comparing texts, pictures, methods and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipviz import fonts
from clipviz.errors import InputError, nearest
from clipviz.plots.blending import as_map, as_pixels, shrink
from clipviz.plots.canvas import QUIET, Canvas, fit
from clipviz.plots.parts import bar, number, paint, place, swatch
from clipviz.plots.picture import UNIT, warning_of
from clipviz.plots.scale import FloatArray, Limits, Scale, scale_of, shared_scale

Sharing = Literal["all", "row", "own"]
_SHARING = ("all", "row", "own")
_KEYS = ("picture", "values", "title", "mark", "box")
_EDGE, _GAP, _SIDE = 0.14, 0.14, 1.12


@dataclass(frozen=True)
class _Cell:
    pixels: NDArray[np.uint8]
    values: FloatArray | None
    title: str
    mark: ArrayLike | None
    box: ArrayLike | None


def grid(
    cells: Sequence[Sequence[Mapping[str, Any] | None]],
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    title: str = "",
    caption: str = "",
    scale: Sharing = "all",
    limits: Limits = None,
    alpha: float = 0.5,
    unit: str = UNIT,
    width: float = 2.1,
) -> Canvas:
    """Draw rows and columns of overlays, and state which of them share a scale.

    Parameters
    ----------
    cells : a list of rows; a cell is None (empty) or a dict with ``picture`` and, optionally, ``values`` [H, W]
        (without: the plain picture), ``title``, ``mark`` (x, y) and ``box``, each as `overlay` takes them.
    rows, columns : names of the rows (left) and of the columns (above).
    scale : "all": one scale and one colour bar; "row": one a row, with its bar; "own": each picture has its own,
        written under it, and colours of different pictures cannot be compared.
    limits : fixes the scale, with ``scale="all"``.
    width : of one column, in inches; taller pictures keep their shape.

    Raises
    ------
    InputError : no cells, an unknown key, names that do not match in number, anything `overlay` refuses.

    >>> cell = {"picture": np.zeros((8, 8, 3), np.uint8), "values": np.eye(8)}
    >>> figure = grid([[cell, None]], columns=["a dog", "개"])
    """
    if scale not in _SHARING:
        raise InputError(f"scale={scale!r} is not known; give 'all', 'row' or 'own'.")
    if limits is not None and scale != "all":
        raise InputError(f"limits={limits!r} fixes one scale for all pictures; leave it out with scale={scale!r}.")
    table = [[None if cell is None else _cell(cell) for cell in row] for row in cells]
    count = max((len(row) for row in table), default=0)
    if not any(cell for row in table for cell in row):
        raise InputError("A grid needs at least one picture; give a list of rows, each a list of dicts with 'picture'.")
    for name, given, wanted in (("rows", rows, len(table)), ("columns", columns, count)):
        if given is not None and len(given) != wanted:
            raise InputError(f"{name} has {len(given)} names for {wanted} {name}; give one name each.")

    scales = _scales(table, scale, limits)
    tall = [max((_height(c, width) for c in row if c), default=0.0) for row in table]
    left = _EDGE + (1.15 if rows else 0.0)
    side = 0.0 if scale == "own" or not any(s for row in scales for s in row) else _SIDE
    inner = count * width + (count - 1) * _GAP
    total = max(left + inner + side + _EDGE, 3.4)

    head, head_height = fit(title, total - 2 * _EDGE, 12, 2)
    heads = [fit(name, width, 9.5, 3) for name in columns or []]
    labels = [
        [_labels(c, s, scale, width) for c, s in zip(r, ss, strict=True)] for r, ss in zip(table, scales, strict=True)
    ]
    feet = [max((height for _, height in row), default=0.0) for row in labels]
    note = _note(scale, bool(side))
    foot, foot_height = fit(" ".join(filter(None, (caption, note))), total - 2 * _EDGE, 8, 4)
    unseen = any(c.values is not None and bool(np.isnan(c.values).any()) for row in table for c in row if c)

    y = _EDGE + (head_height + 0.1 if head else 0.0)
    names_y = y
    y += max((height for _, height in heads), default=0.0) + (0.06 if heads else 0.0)
    bottom = y + sum(tall) + sum(feet) + (len(table) - 1) * _GAP
    tail = (0.22 if unseen else 0.0) + (foot_height + 0.06 if foot else 0.0)
    figure = Canvas(total, bottom + 0.1 + tail + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=12, weight="bold")
    for j, (text, height) in enumerate(heads):
        low = names_y + max(h for _, h in heads)
        figure.line(left + j * (width + _GAP) + width / 2, low - height, text, size=9.5, weight="bold", align="center")

    first = y
    for i, row in enumerate(table):
        if rows:
            text, _ = fit(rows[i], 1.0, 9.5, 6)
            figure.line(_EDGE, y + tall[i] / 2, text, size=9.5, weight="bold", valign="center")
        for j, cell in enumerate(row):
            if cell:
                x = left + j * (width + _GAP)
                _draw(figure, cell, scales[i][j], x, y, width, tall[i], alpha)
                figure.line(x + width / 2, y + tall[i] + 0.05, labels[i][j][0], size=8, colour=QUIET, align="center")
        shown = next((s for s in scales[i] if s), None)
        if scale == "row" and shown:
            bar(figure, left + inner + 0.14, y, tall[i], shown, alpha, unit)
        y += tall[i] + feet[i] + _GAP
    if scale == "all" and side:
        shown = next(s for row in scales for s in row if s)
        length = min(bottom - first - feet[-1], 3.2)
        bar(figure, left + inner + 0.14, first, length, shown, alpha, unit)

    under = bottom + 0.1
    if unseen:
        swatch(figure, _EDGE, under)
        under += 0.22
    if foot:
        figure.line(_EDGE, under, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _cell(cell: Mapping[str, Any]) -> _Cell:
    for key in cell:
        if key not in _KEYS:
            raise InputError(f"A grid cell has the unknown key {key!r}. {nearest(str(key), _KEYS)}")
    if "picture" not in cell:
        raise InputError(
            "A grid cell has no 'picture'; give {'picture': image, 'values': map}, or None for an empty cell."
        )
    pixels = as_pixels(cell["picture"])
    values = cell.get("values")
    array = None if values is None else as_map(values, pixels.shape[:2])
    return _Cell(pixels, array, str(cell.get("title") or ""), cell.get("mark"), cell.get("box"))


def _scales(table: list[list[_Cell | None]], sharing: str, limits: Limits) -> list[list[Scale | None]]:
    """The scale of each cell that has a map; a constant map keeps its flag on a shared scale."""
    every = [c.values for row in table for c in row if c and c.values is not None]
    out: list[list[Scale | None]] = []
    for row in table:
        own = [c.values for c in row if c and c.values is not None]
        common = shared_scale(every if sharing == "all" else own)
        pair = (common.low, common.high) if common.reach else None
        chosen = {"all": limits if limits is not None else pair, "row": pair, "own": None}[sharing]
        out.append([scale_of(c.values, chosen) if c and c.values is not None else None for c in row])
    if sharing == "own":
        return out
    # Values beyond the limits in any picture are told at the one bar that they share.
    groups = [[s for row in out for s in row if s]] if sharing == "all" else [[s for s in row if s] for row in out]
    beyond = [(any(s.under for s in g), any(s.over for s in g)) for g in groups]
    return [
        [s and Scale(s.low, s.high, s.constant, *beyond[0 if sharing == "all" else i]) for s in row]
        for i, row in enumerate(out)
    ]


def _height(cell: _Cell, width: float) -> float:
    return min(width * cell.pixels.shape[0] / cell.pixels.shape[1], 1.5 * width)


def _labels(cell: _Cell | None, scale: Scale | None, sharing: str, width: float) -> tuple[str, float]:
    """The lines under one picture and their height."""
    if not cell:
        return "", 0.0
    lines = [cell.title] if cell.title else []
    if scale is not None and cell.values is not None:
        odd = warning_of(cell.values, scale, short=True)
        if odd:
            lines.append(odd)
        elif sharing == "own":
            lines.append(f"scale {number(scale.low, True)} to {number(scale.high, scale.low < 0)}")
    text, height = fit("\n".join(lines), width, 8, 4)
    return text, height + 0.08 if text else 0.0


def _draw(
    figure: Canvas, cell: _Cell, scale: Scale | None, x: float, y: float, width: float, height: float, alpha: float
) -> None:
    ratio = cell.pixels.shape[0] / cell.pixels.shape[1]
    wide = min(width, height / ratio)
    axes = place(figure, x + (width - wide) / 2, y + (height - wide * ratio) / 2, wide, wide * ratio)
    small, shrunk, step = shrink(cell.pixels, cell.values, 700)
    paint(axes, small, shrunk, alpha, scale, step=step, mark=cell.mark, box=cell.box)


def _note(sharing: str, any_map: bool) -> str:
    if sharing == "own":
        return "Each picture has its own scale: colours cannot be compared between pictures."
    if not any_map:
        return ""
    return "One scale for all pictures." if sharing == "all" else "One scale for each row."
