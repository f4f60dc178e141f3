"""How good several ways are against what each costs: a point a way, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike, NDArray

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import place

MOST = 60  # points; more would be a figure that nobody reads
_EDGE, _AXIS, _TALL, _NAME = 0.18, 0.62, 4.4, 1.75  # inches
_POINT = "#3a6ea5"
_DASHES = ("--", ":", "-.", (0, (1, 4)))
_STEP = 0.155  # inches between two names


def against_cost(
    names: Sequence[str],
    costs: ArrayLike,
    values: ArrayLike,
    *,
    limits: ArrayLike | None = None,
    lines: Mapping[str, float] | None = None,
    title: str = "",
    caption: str = "",
    unit: str = "value",
    cost_unit: str = "cost in forward passes",
    percent: bool = True,
    width: float = 5.4,
) -> Canvas:
    """Draw a point a name, its cost to the right on a logarithmic scale, its value upwards.

    Parameters
    ----------
    names : [n], in any language. costs : [n], above 0. values : [n]. limits : [n, 2], low and high of each value.
    lines : name -> value, drawn across: chance, rivals. percent : values are shares.
    title, caption : wrapped, then cut. unit, cost_unit : what the axes are. width : of the panel, in inches.

    Raises
    ------
    InputError : no points or more than 60, numbers that do not match or are not finite, costs of 0 or less.

    >>> figure = against_cost(["a", "b"], [1, 50], [0.5, 0.6], lines={"chance": 0.25})
    """
    x, y = np.asarray(costs, dtype=float), np.asarray(values, dtype=float)
    ends = np.stack([y, y], axis=1) if limits is None else np.asarray(limits, dtype=float)
    count = len(names)
    if not 1 <= count <= MOST:
        raise InputError(f"A figure has 1 to {MOST} points, got {count}; choose some of them.")
    if x.shape != (count,) or y.shape != (count,) or ends.shape != (count, 2):
        raise InputError(
            f"{count} names want as many costs, values and limits; got {list(x.shape)}, {list(y.shape)} and "
            f"{list(ends.shape)}."
        )
    marks = dict(lines or {})
    ends = np.where(np.isfinite(ends), ends, y[:, None])  # a single picture has no interval
    every = np.concatenate([y, ends.ravel(), list(marks.values())])
    if not (np.isfinite(every).all() and np.isfinite(x).all() and (x > 0).all()):
        raise InputError("Values are finite numbers, and costs finite and above 0 (the scale is logarithmic).")

    total = 2 * _EDGE + _AXIS + width + _NAME
    head, head_height = fit(title, total - 2 * _EDGE, 11, 3)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 6)
    top = _EDGE + (head_height + 0.12 if head else 0)
    figure = Canvas(total, top + _TALL + 0.6 + (foot_height + 0.06 if foot else 0) + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    left = _EDGE + _AXIS
    axes = place(figure, left, top, width, _TALL)
    low, high = float(every.min()), float(every.max())
    room = 0.05 * (high - low or 1.0)
    _panel(axes, x, (low - room, high + room), percent)
    for i in range(count):
        axes.plot([x[i], x[i]], ends[i], color=_POINT, linewidth=1.1, alpha=0.75)
        axes.plot([x[i]], [y[i]], "o", color=_POINT, markersize=4.6, markeredgecolor="white", markeredgewidth=0.6)
    for dash, value in zip(_DASHES * len(marks), marks.values(), strict=False):
        axes.axhline(value, color=INK, linewidth=0.9, linestyle=dash, alpha=0.8)
    span = high - low + 2 * room
    heights = {name: top + _TALL * (1 - (value - low + room) / span) for name, value in marks.items()}
    for (name, value), at in zip(marks.items(), _apart(list(heights.values()), top, top + _TALL), strict=True):
        said = f"{name} {value:.1%}" if percent else f"{name} {value:.3g}"
        figure.line(left + width + 0.1, at, fit(said, _NAME - 0.1, 8, 1)[0], size=8, colour=INK, valign="center")
    _names(figure, axes, list(names), x, y, left, top, width)
    figure.line(left + width / 2, top + _TALL + 0.27, cost_unit, size=8, colour=QUIET, align="center")
    figure.line(_EDGE + 0.06, top + _TALL / 2, unit, size=8, colour=QUIET, align="center", valign="center", turn=90)
    if foot:
        figure.line(_EDGE, top + _TALL + 0.6, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _panel(axes: Axes, costs: NDArray[np.float64], reach: tuple[float, float], percent: bool) -> None:
    axes.set_facecolor("white")
    axes.set_xscale("log")
    axes.set_xlim(costs.min() / 1.6, costs.max() * 3)  # names stand to the right of their points
    axes.set_ylim(*reach)
    axes.xaxis.set_major_formatter(lambda cost, _: f"{cost:,.3g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if percent else f"{value:.3g}")
    axes.tick_params(which="both", length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5)
    axes.grid(True, color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), linewidth=0.6, edgecolor=QUIET)


def _names(
    figure: Canvas, axes: Axes, names: list[str], costs: NDArray[np.float64], values: NDArray[np.float64],
    left: float, top: float, width: float,
) -> None:  # fmt: skip
    """Each name beside its point, or up or down from there where another name stands."""
    (x0, x1), (y0, y1) = np.log(axes.get_xlim()), axes.get_ylim()
    taken: list[tuple[float, float, float]] = []  # left end, right end, middle
    for i in np.argsort(-values, kind="stable"):
        x = left + width * (np.log(costs[i]) - x0) / (x1 - x0) + 0.06
        y = top + _TALL * (1 - (values[i] - y0) / (y1 - y0))
        wide = 0.072 * len(names[i])
        tries = [y + sign * step * _STEP for step in range(12) for sign in ((1,) if step == 0 else (1, -1))]
        free = (at for at in tries if top <= at <= top + _TALL and not any(
            x < b and a < x + wide and abs(at - middle) < 0.9 * _STEP for a, b, middle in taken))  # fmt: skip
        at = next(free, y)
        taken.append((x, x + wide, at))
        figure.line(x, at, fit(names[i], _NAME, 7.5, 1)[0], size=7.5, colour=INK, valign="center")


def _apart(heights: list[float], top: float, bottom: float) -> list[float]:
    """The heights, moved down and then up until no two names touch."""
    order = np.argsort(heights)
    found = np.array(heights)
    for before, after in pairwise(order):
        found[after] = max(found[after], found[before] + 0.18)
    if len(found) and (over := found.max() - bottom) > 0:
        found[order[-1]] -= over
        for after, before in pairwise(order[::-1]):
            found[before] = min(found[before], found[after] - 0.18)
    return [float(np.clip(height, top - 0.2, bottom)) for height in found]
