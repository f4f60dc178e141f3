"""Figures with their intervals, one a line, and a line to hold them against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import place

MOST = 120  # lines; more would be a figure that nobody reads
LOOKS = {  # colour, marker, filled: shape tells what colour tells
    "plain": ("#2b5c94", "o", True),
    "strong": ("#b3361b", "o", True),
    "fragile": ("#b3361b", "D", False),
    "quiet": ("#6b7482", "o", False),
}
_EDGE, _STEP, _HEAD = 0.14, 0.25, 0.3  # inches


def intervals(
    names: Sequence[str],
    values: ArrayLike,
    lows: ArrayLike,
    highs: ArrayLike,
    *,
    notes: Sequence[str] | None = None,
    heads: Mapping[int, str] | None = None,
    looks: Sequence[str] | None = None,
    legend: Mapping[str, str] | None = None,
    line: float | None = 0.0,
    percent: bool = True,
    title: str = "",
    caption: str = "",
    unit: str = "",
    width: float = 3.4,
) -> Canvas:
    """Draw a point with its interval a name, the first on top; a limit that is infinite ends in an arrow.

    Parameters
    ----------
    names : any language; long ones are cut. values, lows, highs : [n]; a NaN is left out.
    notes : a few words to the right of each line. heads : number of a line -> heading above it.
    looks : one of LOOKS a line. legend : look -> what it means.
    line : a value drawn across all lines; None for none. percent : values are shares, shown times 100.
    title, caption : wrapped, then cut. unit : under the axis. width : of the axis, in inches.

    Raises
    ------
    InputError : no lines or more than 120, numbers that do not match, an unknown look.

    >>> figure = intervals(["women", "남자"], [0.1, 0.2], [0.05, 0.1], [0.2, 0.3])
    """
    count = len(names)
    numbers = [np.asarray(part, dtype=float) for part in (values, lows, highs)]
    if any(part.shape != (count,) for part in numbers) or any(
        part is not None and len(part) != count for part in (notes, looks)
    ):
        got = ", ".join(str(list(part.shape)) for part in numbers)
        raise InputError(f"{count} names want as many values, lows, highs, notes and looks; got the shapes {got}.")
    if not 1 <= count <= MOST:
        raise InputError(f"A figure of intervals has 1 to {MOST} lines, got {count}; choose some of them.")
    if looks is not None and (unknown := set(looks) - set(LOOKS)):
        raise InputError(f"The look {sorted(unknown)[0]!r} is not known; there are {', '.join(LOOKS)}.")
    above = dict(heads or {})

    wide = min(3.1, max(1.2, 0.073 * max(fonts.width(name) for name in names) + 0.1))
    beside = min(3.2, 0.066 * max(map(fonts.width, notes)) + 0.15) if notes else 0.25
    total = 2 * _EDGE + wide + 0.12 + width + beside
    head, head_height = fit(title, total - 2 * _EDGE, 11, 3)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 6)
    keys = {look: said for look, said in (legend or {}).items() if looks is not None and look in looks}
    top = _EDGE + (head_height + 0.1 if head else 0) + (0.24 if keys else 0)
    at, y = np.zeros(count), 0.04
    places: dict[int, float] = {}
    for i in range(count):
        if i in above:
            places[i] = y + _HEAD - 0.1
            y += _HEAD
        at[i] = y + _STEP / 2
        y += _STEP
    tall = y + 0.04
    figure = Canvas(total, top + tall + (0.46 if unit else 0.3) + (foot_height + 0.06 if foot else 0) + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    left = _EDGE + wide + 0.12
    axes = place(figure, left, top, width, tall)
    factor = 100.0 if percent else 1.0
    _draw(axes, at, *(part * factor for part in numbers), looks or ["plain"] * count)
    _dress(axes, numbers, factor, None if line is None else line * factor, tall)
    for i, name in enumerate(names):
        if i in above:
            said, _ = fit(above[i], total - 2 * _EDGE, 8.5, 1)
            figure.line(_EDGE, top + places[i], said, size=8.5, weight="bold", valign="center")
        figure.line(left - 0.12, top + at[i], fit(name, wide, 8.5, 1)[0], size=8.5, align="right", valign="center")
        if notes:
            note, _ = fit(notes[i], beside - 0.1, 7.5, 1)
            figure.line(left + width + 0.12, top + at[i], note, size=7.5, colour=QUIET, valign="center")
    if keys:
        _legend(figure, left, top - 0.13, keys)
    if unit:
        figure.line(left + width / 2, top + tall + 0.24, unit, size=8, colour=QUIET, align="center")
    if foot:
        figure.line(_EDGE, top + tall + (0.46 if unit else 0.3), foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _draw(
    axes: Axes, at: NDArray[np.float64], values: NDArray[np.float64], lows: NDArray[np.float64],
    highs: NDArray[np.float64], looks: Sequence[str],
) -> None:  # fmt: skip
    seen = np.concatenate([values, lows, highs])
    seen = seen[np.isfinite(seen)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    reach = max(high - low, 1e-9)
    for y, value, start, end, look in zip(at, values, lows, highs, looks, strict=True):
        colour, marker, filled = LOOKS[look]
        if not (np.isnan(start) and np.isnan(end)):
            ends = (
                start if np.isfinite(start) else low - 0.04 * reach,
                end if np.isfinite(end) else high + 0.04 * reach,
            )
            axes.plot(ends, (y, y), color=colour, linewidth=1.6, solid_capstyle="butt")
            for edge, there, arrow in ((ends[0], start, "<"), (ends[1], end, ">")):
                axes.plot([edge], [y], marker="|" if np.isfinite(there) else arrow, color=colour, markersize=5.5)
        if np.isfinite(value):
            axes.plot([value], [y], marker, markersize=5.5, markerfacecolor=colour if filled else "white",
                      markeredgecolor=colour, markeredgewidth=1.3)  # fmt: skip


def _dress(
    axes: Axes, numbers: Sequence[NDArray[np.float64]], factor: float, line: float | None, tall: float
) -> None:  # fmt: skip
    everything = np.concatenate([*(part * factor for part in numbers), [] if line is None else [line]])
    seen = everything[np.isfinite(everything)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(tall, 0)
    if line is not None:
        axes.axvline(line, color=INK, linewidth=0.9, linestyle="--", zorder=0.9)
    axes.set_facecolor("white")
    axes.grid(True, axis="x", color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=6)
    axes.tick_params(axis="x", length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5)
    axes.tick_params(axis="y", left=False, labelleft=False)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", linewidth=0.6, edgecolor=QUIET)


def _legend(figure: Canvas, x: float, y: float, keys: Mapping[str, str]) -> None:
    width, height = figure.get_size_inches()
    for look, said in keys.items():
        colour, marker, filled = LOOKS[look]
        from matplotlib.lines import Line2D

        figure.add_artist(
            Line2D([(x + 0.05) / width], [1 - y / height], marker=marker, markersize=5.5, color=colour,
                   markerfacecolor=colour if filled else "white", markeredgecolor=colour, linestyle="none")
        )  # fmt: skip
        figure.line(x + 0.16, y, said, size=8, colour=QUIET, valign="center")
        x += 0.38 + 0.066 * fonts.width(said)
