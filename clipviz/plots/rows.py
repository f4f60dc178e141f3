"""Paper with one line a name: what figures of intervals, spreads and comparisons have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import INK, PAPER, QUIET, Canvas, fit
from clipviz.plots.parts import place

_EDGE, _HEAD = 0.14, 0.3  # inches

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Texts:
    """What stands around the points: to the right of each line, above some of them, and around the figure."""

    names: Sequence[str]
    notes: Sequence[str] | None = None
    heads: Mapping[int, str] | None = None
    title: str = ""
    caption: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Key:
    """An entry of the legend."""

    said: str
    colour: str
    marker: str
    filled: bool = True


def check_lines(texts: Texts, most: int, *shapes: tuple[int, ...]) -> None:
    """InputError where there is nothing to draw, too much, or numbers that do not match the names."""
    count = len(texts.names)
    if not 1 <= count <= most:
        raise InputError(f"A figure of this kind has 1 to {most} lines, got {count}; choose some of them.")
    wrong = [shape for shape in shapes if not shape or shape[0] != count]
    if wrong or (texts.notes is not None and len(texts.notes) != count):
        got = ", ".join(str(list(shape)) for shape in wrong) or f"{len(texts.notes or ())} notes"
        raise InputError(f"{count} names want as many values, limits, notes and looks; got the shapes {got}.")


def lined(
    texts: Texts, step: float, width: float, seen: Floats, line: float | None, keys: Sequence[Key]
) -> tuple[Canvas, Axes, Floats]:
    """The paper with all of its texts, axes for the points, and the y of each line on them.

    ``step`` is the height of a line and ``width`` that of the axes, in inches. ``seen`` are all values that the axes
    must span, ``line`` one that is drawn across.
    """
    names, notes, heads = texts.names, texts.notes, dict(texts.heads or {})
    wide = min(4.1, max(1.2, 0.073 * max(fonts.width(name) for name in names) + 0.1))
    width = max(min(width, 2.4), width - max(0.0, wide - 3.1))  # long names are whole, and the axes give way
    beside = min(3.2, 0.066 * max(map(fonts.width, notes)) + 0.15) if notes and any(notes) else 0.25
    total = 2 * _EDGE + wide + 0.12 + width + beside
    head, head_height = fit(texts.title, 0.92 * (total - 2 * _EDGE), 11, 3)  # bold letters are wider
    foot, foot_height = fit(texts.caption, total - 2 * _EDGE, 8, 6)
    top = _EDGE + (head_height + 0.1 if head else 0) + (0.24 if keys else 0)
    at, above, y = np.zeros(len(names)), {}, 0.04
    for i in range(len(names)):
        if i in heads:
            above[i] = y + _HEAD - 0.1
            y += _HEAD
        at[i] = y + step / 2
        y += step
    tall = y + 0.04
    under = 0.46 if texts.unit else 0.3
    figure = Canvas(total, top + tall + under + (foot_height + 0.06 if foot else 0) + _EDGE)
    left = _EDGE + wide + 0.12
    axes = place(figure, left, top, width, tall)
    _dress(axes, seen, line, tall)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    for i, name in enumerate(names):
        if i in heads:
            said, _ = fit(heads[i], left - _EDGE + width + beside, 8.5, 1)
            figure.line(_EDGE, top + above[i], said, size=8.5, weight="bold", valign="center")
            figure.texts[-1].set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 1.2})  # over the axes' lines
        figure.line(left - 0.12, top + at[i], fit(name, wide, 8.5, 1)[0], size=8.5, align="right", valign="center")
        if notes and notes[i]:
            note, _ = fit(notes[i], beside - 0.1, 7.5, 1)
            figure.line(left + width + 0.12, top + at[i], note, size=7.5, colour=QUIET, valign="center")
    _legend(figure, left, top - 0.13, keys)
    if texts.unit:
        figure.line(left + width / 2, top + tall + 0.24, texts.unit, size=8, colour=QUIET, align="center")
    if foot:
        figure.line(_EDGE, top + tall + under, foot, size=8, colour=QUIET)
    return figure, axes, at


def _dress(axes: Axes, seen: Floats, line: float | None, tall: float) -> None:
    finite = np.asarray(seen, float)
    finite = finite[np.isfinite(finite)]
    if line is not None:
        finite = np.append(finite, line)
        axes.axvline(line, color=INK, linewidth=0.9, linestyle="--", zorder=0.9)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(tall, 0)
    axes.set_facecolor("white")
    axes.grid(True, axis="x", color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=6)
    axes.tick_params(axis="x", length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5)
    axes.tick_params(axis="y", left=False, labelleft=False)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", linewidth=0.6, edgecolor=QUIET)


def _legend(figure: Canvas, x: float, y: float, keys: Sequence[Key]) -> None:
    width, height = figure.get_size_inches()
    for key in keys:
        figure.add_artist(
            Line2D([(x + 0.05) / width], [1 - y / height], marker=key.marker, markersize=5.5, color=key.colour,
                   markerfacecolor=key.colour if key.filled else "white", markeredgecolor=key.colour, linestyle="none")
        )  # fmt: skip
        figure.line(x + 0.16, y, key.said, size=8, colour=QUIET, valign="center")
        x += 0.38 + 0.066 * fonts.width(key.said)
