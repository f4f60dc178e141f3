"""Horizontal bars of shares, one a name, with lines to compare them to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import place

MOST = 200  # bars; more would be a figure that nobody reads
_EDGE, _NAME, _NOTE, _STEP = 0.14, 2.0, 1.9, 0.24  # inches
_BAR = "#3a6ea5"
_DASHES = ("--", ":", "-.")
_STROKES = ("dashed:", "dotted:", "dash-dotted:")


def bars(
    names: Sequence[str],
    shares: ArrayLike,
    *,
    notes: Sequence[str] | None = None,
    lines: Mapping[str, float] | None = None,
    title: str = "",
    caption: str = "",
    unit: str = "share",
    width: float = 3.6,
) -> Canvas:
    """Draw one bar a name, from 0 to 100 %, the first on top.

    Parameters
    ----------
    names : any language; long ones are cut. shares : [n], each from 0 to 1.
    notes : a few words to the right of each bar.
    lines : name -> share, drawn across all bars: chance, a mean.
    title, caption : wrapped, then cut. unit : what the shares are, under the axis.
    width : of the longest possible bar, in inches.

    Raises
    ------
    InputError : no bars or more than 200, numbers that do not match, shares outside 0 to 1.

    >>> figure = bars(["a dog", "개"], [0.4, 0.9], lines={"chance": 0.5})
    """
    values = np.asarray(shares, dtype=float)
    count = len(names)
    if values.shape != (count,) or (notes is not None and len(notes) != count):
        raise InputError(f"{count} names want as many shares and notes, got shares of the shape {list(values.shape)}.")
    if not 1 <= count <= MOST:
        raise InputError(f"A figure has 1 to {MOST} bars, got {count}; choose some of them.")
    marks = dict(lines or {})
    everything = np.concatenate([values, list(marks.values())])
    if not (np.isfinite(everything).all() and everything.min() >= 0 and everything.max() <= 1):
        raise InputError(f"Shares lie from 0 to 1, got {everything.min():.4g} to {everything.max():.4g}.")

    total = 2 * _EDGE + _NAME + 0.1 + width + (_NOTE if notes else 0.3)
    head, head_height = fit(title, total - 2 * _EDGE, 11, 3)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 4)
    top = _EDGE + (head_height + 0.08 if head else 0) + (0.22 if marks else 0)
    tall = count * _STEP + 0.08
    figure = Canvas(total, top + tall + 0.45 + (foot_height + 0.06 if foot else 0) + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    left = _EDGE + _NAME + 0.1
    axes = place(figure, left, top, width, tall)
    axes.set_facecolor("white")
    at = np.arange(count)
    axes.barh(at, values, height=0.7, color=_BAR, linewidth=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(count - 0.5 + 0.04 / _STEP, -0.5 - 0.04 / _STEP)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.tick_params(axis="x", length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5)
    axes.tick_params(axis="y", left=False, labelleft=False)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), linewidth=0.6, edgecolor=QUIET)
    for dash, share in zip(_DASHES * len(marks), marks.values(), strict=False):
        axes.axvline(share, color=INK, linewidth=1, linestyle=dash)
    if marks:
        said = ", ".join(f"{_STROKES[i % 3]} {name} {share:.1%}" for i, (name, share) in enumerate(marks.items()))
        figure.line(left, top - 0.06, fit(said, total - left - _EDGE, 8, 1)[0], size=8, colour=QUIET, valign="bottom")
    for i in range(count):
        middle = top + 0.04 + (i + 0.5) * _STEP
        name, _ = fit(names[i], _NAME, 8.5, 1)
        figure.line(_EDGE + _NAME, middle, name, size=8.5, align="right", valign="center")
        if notes:
            note, _ = fit(notes[i], _NOTE - 0.1, 7.5, 1)
            figure.line(left + width + 0.1, middle, note, size=7.5, colour=QUIET, valign="center")
    figure.line(left + width / 2, top + tall + 0.24, unit, size=8, colour=QUIET, align="center")
    if foot:
        figure.line(_EDGE, top + tall + 0.45, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure
