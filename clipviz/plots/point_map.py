"""Points of two dimensions, coloured by what is known about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import QUIET, Canvas, fit
from clipviz.plots.parts import number, place

MOST = 100_000  # points; more are slow to draw and hide each other
_EDGE, _AXIS, _LEGEND, _STEP = 0.18, 0.52, 2.1, 0.23  # inches
# Okabe and Ito's colours, told apart by colour-blind readers; each has a shape of its own besides. Not their yellow,
# which is lost on white paper.
_GROUPS = (
    ("#0072b2", "o"), ("#e69f00", "^"), ("#009e73", "s"), ("#d55e00", "D"), ("#cc79a7", "v"), ("#56b4e9", "P"),
    ("#1d2330", "X"),
)  # fmt: skip
_OTHERS, _NONE = ("#8a929c", "."), ("#b8bec6", "x")
_AREA = {"^": 1.3, "v": 1.3, "D": 0.8, "s": 0.9, "P": 1.25, "X": 1.25}  # so that shapes look equally large
_LAYERS = 12  # groups are drawn in turns, each with a part of its points: the last one would cover the others
_MAP = "cividis"


def scatter(
    points: ArrayLike,
    *,
    groups: Sequence[str | None] | None = None,
    values: ArrayLike | None = None,
    counts: dict[str | None, int] | None = None,
    name: str = "",
    axes_names: tuple[str, str] = ("", ""),
    title: str = "",
    caption: str = "",
    equal: bool = True,
    width: float = 5.2,
) -> Canvas:
    """Draw points [n, 2], coloured by group (with a shape for each) or by value (on one scale, with a bar).

    Parameters
    ----------
    groups : [n], None where not known. The seven largest have a colour, all others share one.
    values : [n] float, NaN where not known. counts : group -> how many there are, where not all are drawn.
    name : what the groups or values are, over the legend. axes_names : of the x and y axis.
    title, caption : wrapped, then cut. width : of the panel, in inches.
    equal : a length means the same on both axes and everywhere; then the groups' means are marked too.

    Raises
    ------
    InputError : no points or more than 100,000, not finite, or groups and values that do not match.

    >>> figure = scatter([[0, 0], [1, 2]], groups=["a", "b"], name="kind")
    """
    array = np.asarray(points, dtype=float)
    if array.ndim != 2 or array.shape[1] != 2 or not 1 <= len(array) <= MOST or not np.isfinite(array).all():
        raise InputError(f"A map has 1 to {MOST:,} finite points [n, 2], got {list(array.shape)}; choose some of them.")
    if groups is not None and values is not None:
        raise InputError("Points are coloured by groups or by values, got both; leave one out.")
    levels = None if values is None else np.asarray(values, dtype=float)
    given = len(array) if groups is None and levels is None else len(groups if groups is not None else levels)  # type: ignore[arg-type]
    if given != len(array):
        raise InputError(f"{len(array)} points want as many groups or values, got {given}.")

    legend = groups is not None or levels is not None
    total = 2 * _EDGE + _AXIS + width + (_LEGEND if legend else 0)
    head, head_height = fit(title, total - 2 * _EDGE, 11, 3)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 8)
    top = _EDGE + (head_height + 0.12 if head else 0)
    tall = 0.82 * width
    figure = Canvas(total, top + tall + 0.62 + (foot_height + 0.06 if foot else 0) + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    left = _EDGE + _AXIS
    axes = place(figure, left, top, width, tall)
    _panel(axes, equal)
    size = float(np.clip(30_000 / len(array), 3, 26))
    beside = left + width + 0.16
    if groups is not None:
        kinds = _kinds(groups, counts)
        _draw_groups(axes, array, groups, kinds, size, means=equal)
        _key(figure, beside, top, name, kinds, means=equal)
    elif levels is not None:
        _draw_values(figure, axes, array, levels, size, beside, top, tall, name)
    else:
        _draw(axes, array, _GROUPS[0], size)
    figure.line(left + width / 2, top + tall + 0.3, axes_names[0], size=8, colour=QUIET, align="center")
    figure.line(_EDGE + 0.06, top + tall / 2, axes_names[1], size=8, colour=QUIET, align="center", valign="center",
                turn=90)  # fmt: skip
    if foot:
        figure.line(_EDGE, top + tall + 0.62, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _panel(axes: Axes, equal: bool) -> None:
    axes.set_facecolor("white")
    axes.margins(0.04)
    if equal:
        axes.set_aspect("equal", adjustable="datalim")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda at, _: number(round(at, 12), signed=False))
    axes.tick_params(which="both", length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7)
    axes.grid(True, color="#e9ecef", linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), linewidth=0.6, edgecolor=QUIET)


def _draw(axes: Axes, points: NDArray[np.float64], look: tuple[str, str], size: float, layer: int = 0) -> None:
    colour, marker = look
    edge = {"linewidths": 0.7} if marker == "x" else {"linewidths": 0.25 * (size > 12), "edgecolors": "white"}
    axes.scatter(points[:, 0], points[:, 1], s=size * _AREA.get(marker, 1), color=colour, marker=marker, alpha=0.75,
                 zorder=2 + layer, **edge)  # fmt: skip


Kind = tuple[str, tuple[str, str], int, set[Any]]  # words, look, how many, the groups meant


def _kinds(groups: Sequence[str | None], counts: dict[str | None, int] | None) -> list[Kind]:
    """The lines of the legend: groups by size, all others, those not known."""
    here = Counter(groups)
    told = here if counts is None else Counter({group: counts.get(group, 0) for group in {*counts, *here}})
    ranked = sorted((group for group in told if group is not None), key=lambda group: (-told[group], group))
    shown = ranked if len(ranked) <= len(_GROUPS) else ranked[: len(_GROUPS)]
    found: list[Kind] = [(group, _GROUPS[i], told[group], {group}) for i, group in enumerate(shown)]
    if rest := ranked[len(shown) :]:
        found.append((f"{len(rest)} others", _OTHERS, sum(told[group] for group in rest), set(rest)))
    if told[None]:
        found.append(("not known", _NONE, told[None], {None}))
    return found


def _draw_groups(
    axes: Axes, points: NDArray[np.float64], groups: Sequence[str | None], kinds: list[Kind], size: float,
    *, means: bool,
) -> None:  # fmt: skip
    number_of = {group: i for i, (_, _, _, members) in enumerate(kinds) for group in members}
    kind = np.array([number_of[group] for group in groups])
    # by chance, and the same every time: data are often sorted by group
    turn = np.random.default_rng(0).permutation(len(points)) % _LAYERS
    for layer in range(_LAYERS):
        for i, (_, look, _, _) in enumerate(kinds):
            if (mine := (kind == i) & (turn == layer)).any():
                _draw(axes, points[mine], look, size, layer)
    for i, (_, look, _, members) in enumerate(kinds):
        if means and len(members) == 1 and None not in members and (kind == i).any():
            _draw_mean(axes, points[kind == i].mean(axis=0), look)


def _draw_mean(axes: Axes, point: NDArray[np.float64], look: tuple[str, str]) -> None:
    colour, marker = look
    axes.plot(*point[:, None], marker=marker, markersize=11, color=colour, markeredgecolor="white", markeredgewidth=1.1,
              linestyle="none", zorder=_LAYERS + 3)  # fmt: skip


def _key(figure: Canvas, x: float, y: float, name: str, kinds: list[Kind], *, means: bool) -> None:
    figure.line(x, y, fit(name, _LEGEND - 0.2, 8.5, 1)[0], size=8.5, weight="bold")
    widths, heights = figure.get_size_inches()
    if means:
        figure.line(x, y + 0.38 + len(kinds) * _STEP, "large: the mean of those drawn", size=7.5, colour=QUIET)
    for i, (words, look, count, _) in enumerate(kinds):
        middle = y + 0.3 + i * _STEP
        box = figure.add_axes((x / widths, 1 - (middle + 0.07) / heights, 0.14 / widths, 0.14 / heights))
        box.set_axis_off()
        box.set(xlim=(-1, 1), ylim=(-1, 1))
        _draw(box, np.zeros((1, 2)), look, 30)
        said, _ = fit(words, _LEGEND - 0.95, 8, 1)
        figure.line(x + 0.21, middle, said, size=8, valign="center_baseline")
        figure.line(x + _LEGEND - 0.2, middle, f"{count:,}", size=8, colour=QUIET, align="right",
                    valign="center_baseline")  # fmt: skip


def _draw_values(
    figure: Canvas, axes: Axes, points: NDArray[np.float64], values: NDArray[np.float64], size: float,
    x: float, y: float, tall: float, name: str,
) -> None:  # fmt: skip
    known = np.isfinite(values)
    if not known.any():
        raise InputError(f"No value of {name or 'the points'} is known; choose another column.")
    if (~known).any():
        _draw(axes, points[~known], _NONE, size)
    low, high = float(values[known].min()), float(values[known].max())
    order = np.random.default_rng(0).permutation(np.flatnonzero(known))
    axes.scatter(points[order, 0], points[order, 1], s=size, c=values[order], cmap=colormaps[_MAP], vmin=low, vmax=high,
                 alpha=0.85, linewidths=0, zorder=3)  # fmt: skip
    figure.line(x, y, fit(name, _LEGEND - 0.2, 8.5, 1)[0], size=8.5, weight="bold")
    bar = place(figure, x, y + 0.28, 0.13, 0.5 * tall)
    bar.imshow(np.linspace(1, 0, 256)[:, None], aspect="auto", cmap=colormaps[_MAP], extent=(0, 1, low, high or low))
    ticks = [low, (low + high) / 2, high] if high > low else [low]
    bar.set_yticks(ticks, [number(tick, signed=False) for tick in ticks])
    bar.tick_params(axis="y", left=False, labelleft=False, right=True, labelright=True, length=2.5, width=0.6,
                    color=QUIET, labelcolor=QUIET, labelsize=7.5)  # fmt: skip
    bar.tick_params(axis="x", bottom=False, labelbottom=False)
    for spine in bar.spines.values():
        spine.set(linewidth=0.6, edgecolor=QUIET)
    said = f"{int(known.sum()):,} known" + (f", {int((~known).sum()):,} not (×)" if (~known).any() else "")
    figure.line(x, y + 0.5 * tall + 0.4, said, size=8, colour=QUIET)
