"""Figures with their intervals, one a line, and a line to hold them against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import Canvas
from clipviz.plots.rows import Floats, Key, Texts, check_lines, lined

MOST = 120  # lines; more would be a figure that nobody reads
LOOKS = {  # colour, marker, filled: shape tells what colour tells
    "plain": ("#2b5c94", "o", True),
    "strong": ("#b3361b", "s", True),
    "fragile": ("#b3361b", "D", False),
    "quiet": ("#6b7482", "o", False),
}


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
    numbers = [np.asarray(part, dtype=float) for part in (values, lows, highs)]
    texts = Texts(names, notes, heads, title, caption, unit)
    check_lines(texts, MOST, *(part.shape for part in numbers), *([(len(looks),)] if looks is not None else []))
    if looks is not None and (unknown := set(looks) - set(LOOKS)):
        raise InputError(f"The look {sorted(unknown)[0]!r} is not known; there are {', '.join(LOOKS)}.")
    factor = 100.0 if percent else 1.0
    values_, lows_, highs_ = (part * factor for part in numbers)
    keys = [Key(said, *LOOKS[look]) for look, said in (legend or {}).items() if looks is not None and look in looks]
    seen = np.concatenate([values_, lows_, highs_])
    figure, axes, at = lined(texts, 0.25, width, seen, None if line is None else line * factor, keys)
    _draw(axes, at, values_, lows_, highs_, looks or ["plain"] * len(names))
    fonts.dress(figure)
    return figure


def _draw(axes: Axes, at: Floats, values: Floats, lows: Floats, highs: Floats, looks: Sequence[str]) -> None:
    first, last = axes.get_xlim()
    for y, value, start, end, look in zip(at, values, lows, highs, looks, strict=True):
        colour, marker, filled = LOOKS[look]
        if not (np.isnan(start) and np.isnan(end)):
            low, high = (start if np.isfinite(start) else first), (end if np.isfinite(end) else last)
            axes.plot((low, high), (y, y), color=colour, linewidth=1.6, solid_capstyle="butt")
            for edge, there, arrow in ((low, start, "<"), (high, end, ">")):
                axes.plot([edge], [y], marker="|" if np.isfinite(there) else arrow, color=colour, markersize=5.5)
        if np.isfinite(value):
            axes.plot([value], [y], marker, markersize=5.5, markerfacecolor=colour if filled else "white",
                      markeredgecolor=colour, markeredgewidth=1.3)  # fmt: skip
