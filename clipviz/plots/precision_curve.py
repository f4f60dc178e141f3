"""Precision over recall: what share of boxes is right while more and more of what is there is found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import QUIET, Canvas, fit
from clipviz.plots.curves import COLOURS
from clipviz.plots.parts import place

_EDGE, _LEFT = 0.14, 0.62  # inches


def precision_recall(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, title: str = "", caption: str = "", width: float = 3.4
) -> Canvas:
    """Draw one curve a name in a square from 0 to 100 %, the names above it in the colours of their curves.

    Parameters
    ----------
    curves : name -> (recall [n], precision [n]), shares from 0 to 1; one to seven of them.
    title, caption : wrapped, then cut. width : of the square, in inches.

    Raises
    ------
    InputError : no curves or more than seven, numbers that do not match or are no shares.

    >>> figure = precision_recall({"IoU 0.5": ([0, 0.5, 1], [1, 0.8, 0.1])})
    """
    if not 1 <= len(curves) <= len(COLOURS):
        raise InputError(f"A figure of precision has 1 to {len(COLOURS)} curves, got {len(curves)}; choose some.")
    read = {name: _read(name, *pair) for name, pair in curves.items()}
    total = _EDGE + _LEFT + width + 0.3 + _EDGE
    head, head_height = fit(title, total - 2 * _EDGE, 11, 3)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 8)
    top = _EDGE + (head_height + 0.12 if head else 0)
    start = top + 0.17 * len(read) + 0.04
    figure = Canvas(total, start + width + 0.5 + (foot_height + 0.06 if foot else 0) + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    left = _EDGE + _LEFT
    axes = place(figure, left, start, width, width)
    axes.set_facecolor("white")
    for i, ((name, (recall, precision)), colour) in enumerate(zip(read.items(), COLOURS, strict=False)):
        figure.line(left, top + 0.17 * i, fit(name, width, 8, 1)[0], size=8, colour=colour)
        axes.plot(recall, precision, color=colour, linewidth=1.5)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.tick_params(length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5, bottom=True, left=True,
                     labelbottom=True, labelleft=True)  # fmt: skip
    axes.grid(visible=True, color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), linewidth=0.6, edgecolor=QUIET)
    figure.line(_EDGE + 0.06, start + width / 2, "precision: boxes that are right", size=8, colour=QUIET,
                align="center", valign="center", turn=90)  # fmt: skip
    figure.line(left + width / 2, start + width + 0.27, "recall: what is there and found", size=8, colour=QUIET,
                align="center")  # fmt: skip
    if foot:
        figure.line(_EDGE, start + width + 0.5, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _read(name: str, recall: ArrayLike, precision: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    along, up = np.asarray(recall, np.float64), np.asarray(precision, np.float64)
    if along.ndim != 1 or not along.size or along.shape != up.shape:
        raise InputError(f"The curve {name!r} wants as many recalls as precisions, got {along.shape} and {up.shape}.")
    both = np.concatenate([along, up])
    if not (np.isfinite(both).all() and both.min() >= 0 and both.max() <= 1):
        raise InputError(f"Recall and precision are shares from 0 to 1; {name!r} has others.")
    return along, up
