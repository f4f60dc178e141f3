"""Can a probability be trusted? Bins of predicted probability against the share that was right, with counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import place

_EDGE, _LEFT, _COUNTS, _GAP = 0.14, 0.62, 0.75, 0.12  # inches
_POINT, _BAR = "#0b5394", "#9db8d2"


def reliability_diagram(
    predicted: ArrayLike,
    right: ArrayLike,
    counts: ArrayLike,
    limits: ArrayLike | None = None,
    *,
    edges: Sequence[float] | None = None,
    title: str = "",
    caption: str = "",
    unit: str = "box",
    width: float = 3.4,
) -> Canvas:
    """Draw one point a bin over the diagonal of a perfect forecast, and under it how many fell into the bin.

    Parameters
    ----------
    predicted, right : [bins], the mean probability and the share that was right, from 0 to 1; NaN for an empty bin.
    counts : [bins], how many each holds. limits : [bins, 2], drawn as a bar through each point.
    edges : [bins + 1], where the bins begin and end; by default equal steps.
    title, caption : wrapped, then cut. unit : what is counted ("box"). width : of the square, in inches.

    Raises
    ------
    InputError : shapes that do not match, shares outside 0 to 1, counts below 0, no bin with anything in it.

    >>> figure = reliability_diagram([0.1, 0.7], [0.2, 0.6], [10, 30], [[0.05, 0.4], [0.4, 0.8]])
    """
    along, up, many, bars, cuts = _read(predicted, right, counts, limits, edges)
    total = _EDGE + _LEFT + width + 0.3 + _EDGE
    head, head_height = fit(title, total - 2 * _EDGE, 11, 3)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 6)
    top = _EDGE + (head_height + 0.12 if head else 0)
    under = top + width + _GAP
    figure = Canvas(total, under + _COUNTS + 0.48 + (foot_height + 0.08 if foot else 0) + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    left = _EDGE + _LEFT
    axes, below = place(figure, left, top, width, width), place(figure, left, under, width, _COUNTS)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.9, linestyle="--")
    axes.text(0.0, 0.985, "dashed: as promised", ha="left", va="top", fontsize=7.5, color=QUIET, zorder=0)
    some = many > 0
    if bars is not None:
        axes.vlines(along[some], bars[some, 0], bars[some, 1], color=_POINT, linewidth=1.2, alpha=0.75)
    axes.plot(along[some], up[some], "o", color=_POINT, markersize=5, markeredgecolor="white", markeredgewidth=0.7)
    below.bar(cuts[:-1], many, width=np.diff(cuts), align="edge", color=_BAR, edgecolor="white", linewidth=0.8)
    for start, end, count in zip(cuts[:-1], cuts[1:], many, strict=True):
        if count:
            below.text((start + end) / 2, count + 0.03 * many.max(), _short(count), ha="center", va="bottom",
                       fontsize=6.5, color=QUIET)  # fmt: skip
    ticks = [0, 0.25, 0.5, 0.75, 1]
    for part in (axes, below):
        part.set_facecolor("white")
        part.set_xlim(-0.02, 1.02)
        part.tick_params(length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5, bottom=part is below,
                         labelbottom=part is below, left=part is axes, labelleft=part is axes)  # fmt: skip
        for side, spine in part.spines.items():
            spine.set(visible=side == "bottom" or (side == "left" and part is axes), linewidth=0.6, edgecolor=QUIET)
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    below.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    below.set_ylim(0, 1.3 * many.max())
    plural = {"box": "boxes"}.get(unit, f"{unit}s")
    figure.line(_EDGE + 0.06, top + width / 2, f"share of {plural} that are right", size=8, colour=QUIET,
                align="center", valign="center", turn=90)  # fmt: skip
    figure.line(left - 0.12, under + _COUNTS / 2, plural, size=7.5, colour=QUIET, align="right", valign="center")
    figure.line(left + width / 2, under + _COUNTS + 0.26, "predicted probability of being right", size=8, colour=QUIET,
                align="center")  # fmt: skip
    if foot:
        figure.line(_EDGE, under + _COUNTS + 0.48, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _short(count: float) -> str:
    """A count that fits over a bar."""
    if count < 10_000:
        return f"{count:.0f}"
    return f"{count / 1e3:.0f}k" if count < 1e6 else f"{count / 1e6:.1f}M"


Floats = NDArray[np.float64]


def _read(
    predicted: ArrayLike, right: ArrayLike, counts: ArrayLike, limits: ArrayLike | None, edges: Sequence[float] | None
) -> tuple[Floats, Floats, Floats, Floats | None, Floats]:
    along, up, many = (np.asarray(part, np.float64) for part in (predicted, right, counts))
    if along.ndim != 1 or not along.size or not along.shape == up.shape == many.shape:
        raise InputError(
            f"A point a bin wants as many probabilities, shares and counts; got {list(along.shape)}, {list(up.shape)} "
            f"and {list(many.shape)}."
        )
    cuts = np.linspace(0, 1, len(along) + 1) if edges is None else np.asarray(edges, np.float64)
    bars = None if limits is None else np.asarray(limits, np.float64)
    if cuts.shape != (len(along) + 1,) or (bars is not None and bars.shape != (len(along), 2)):
        raise InputError(f"{len(along)} bins have {len(along) + 1} edges and limits [{len(along)}, 2]; got others.")
    if not (many >= 0).all() or not many.any():
        raise InputError("Counts are 0 or more and not all 0: there is nothing to draw.")
    seen = many > 0
    shown = np.concatenate([along[seen], up[seen], *([] if bars is None else [bars[seen].ravel()])])
    if not (np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1):
        raise InputError("Probabilities, shares and limits lie from 0 to 1 wherever a bin is not empty.")
    return along, up, many, bars, cuts
