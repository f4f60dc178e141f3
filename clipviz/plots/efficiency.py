"""How fast several ways of training learn, against what each of them costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import place

MOST = 6  # ways; more colours would not be told apart
_EDGE, _NAME, _GAP, _TALL = 0.18, 2.05, 0.62, 2.7  # inches
_LOOKS = (("#0b5394", "o"), ("#c4501b", "s"), ("#3f7d20", "^"), ("#7a3b8f", "D"), ("#8a6d00", "v"), ("#444444", "P"))


def efficiency(
    curves: Mapping[str, tuple[Mapping[str, ArrayLike], ArrayLike]],
    *,
    chance: float | None = None,
    title: str = "",
    caption: str = "",
    unit: str = "accuracy",
    width: float = 2.7,
) -> Canvas:
    """Draw one line a way of training, in one panel for each thing that it costs.

    Parameters
    ----------
    curves : name -> (costs, accuracy). costs : name of an axis -> [P] or [S, P], the same axes for all names, in order.
        accuracy : [S, P] from 0 to 1, S seeds at P points; the line is the mean, each seed a faint line of its own.
    chance : a dashed line across. title, caption : wrapped, then cut. unit : what the share is.
    width : of one panel, in inches.

    Raises
    ------
    InputError : no curves or more than six, axes that differ, numbers that do not match or are no shares.

    >>> figure = efficiency({"a": ({"pictures": [1, 2]}, [[0.1, 0.2]])}, chance=0.05)
    """
    read = {name: _read(name, costs, shares) for name, (costs, shares) in curves.items()}
    if not 1 <= len(read) <= MOST:
        raise InputError(f"A figure of efficiency has 1 to {MOST} curves, got {len(read)}; choose some of them.")
    sides = [list(costs) for costs, _ in read.values()]
    if any(axes != sides[0] for axes in sides) or not sides[0]:
        raise InputError(f"All curves need the same axes of costs, got {sides}; name the same ones for each.")

    panels = sides[0]
    total = 2 * _EDGE + 0.55 + len(panels) * width + (len(panels) - 1) * _GAP + 0.1 + _NAME
    head, head_height = fit(title, total - 2 * _EDGE, 11, 3)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 8)
    top = _EDGE + (head_height + 0.12 if head else 0)
    figure = Canvas(total, top + _TALL + 0.6 + (foot_height + 0.06 if foot else 0) + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    highest = 1.08 * max(max(shares.max() for _, shares in read.values()), chance or 0.0, 1e-6)
    for number, side in enumerate(panels):
        left = _EDGE + 0.55 + number * (width + _GAP)
        axes = place(figure, left, top, width, _TALL)
        _panel(axes, {name: (costs[side], shares) for name, (costs, shares) in read.items()}, highest, chance)
        figure.line(left + width / 2, top + _TALL + 0.27, side, size=8, colour=QUIET, align="center")
        if number == 0:
            figure.line(_EDGE + 0.05, top + _TALL / 2, unit, size=8, colour=QUIET, align="center", valign="center",
                        turn=90)  # fmt: skip
    _names(figure, left + width, top, highest, {name: shares.mean(axis=0)[-1] for name, (_, shares) in read.items()},
           chance)  # fmt: skip
    if foot:
        figure.line(_EDGE, top + _TALL + 0.6, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _read(
    name: str, costs: Mapping[str, ArrayLike], shares: ArrayLike
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Costs and shares as [S, P]."""
    values = np.asarray(shares, dtype=float)
    if values.ndim != 2 or not values.size:
        raise InputError(f"The accuracy of {name!r} must be seeds x points, got the shape {list(values.shape)}.")
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise InputError(f"Shares lie from 0 to 1, {name!r} has {values.min():.4g} to {values.max():.4g}.")
    read = {}
    for side, cost in costs.items():
        numbers = np.asarray(cost, dtype=float)
        if numbers.shape not in (values.shape, values.shape[1:]) or not np.isfinite(numbers).all():
            raise InputError(
                f"{side!r} of {name!r} must be finite numbers of the shape {list(values.shape)} or "
                f"{list(values.shape[1:])}, as its accuracy has, got the shape {list(numbers.shape)}."
            )
        read[side] = np.broadcast_to(numbers, values.shape)
    return read, values


def _panel(
    axes: Axes, curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], highest: float,
    chance: float | None,
) -> None:  # fmt: skip
    axes.set_facecolor("white")
    for (colour, marker), (cost, shares) in zip(_LOOKS, curves.values(), strict=False):
        for x, y in zip(cost, shares, strict=True):
            axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.35)
        axes.plot(cost.mean(axis=0), shares.mean(axis=0), color=colour, linewidth=1.8, marker=marker, markersize=4.5)
    if chance is not None:
        axes.axhline(chance, color=INK, linewidth=0.9, linestyle="--")
    furthest = max(cost.max() for cost, _ in curves.values())
    axes.set_xlim(0, 1.04 * furthest)
    axes.set_ylim(0, highest)
    axes.xaxis.set_major_formatter(lambda cost, _: f"{cost:,.0f}")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}" if highest > 0.05 else f"{share:.1%}")
    axes.locator_params(nbins=6)
    axes.tick_params(length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5)
    axes.grid(True, color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), linewidth=0.6, edgecolor=QUIET)


def _names(
    figure: Canvas, x: float, top: float, highest: float, ends: Mapping[str, float], chance: float | None
) -> None:
    """The name of each line to the right of where it ends, moved apart where two ends are close."""
    marks = [(name, share, colour) for (name, share), (colour, _) in zip(ends.items(), _LOOKS, strict=False)]
    if chance is not None:
        marks.append((f"chance {chance:.2%}", chance, INK))
    marks.sort(key=lambda mark: -mark[1])
    step, wanted = 0.19, [top + _TALL * (1 - share / highest) for _, share, _ in marks]
    for i in range(1, len(wanted)):
        wanted[i] = max(wanted[i], wanted[i - 1] + step)
    over = max(0.0, wanted[-1] - (top + _TALL))
    for i in range(len(wanted) - 1, -1, -1):
        limit = wanted[i + 1] - step if i + 1 < len(wanted) else wanted[i] - over
        wanted[i] = min(wanted[i], limit)
    for (name, _, colour), y in zip(marks, wanted, strict=True):
        figure.line(x + 0.1, y, fit(name, _NAME - 0.1, 8, 1)[0], size=8, colour=colour, valign="center")
