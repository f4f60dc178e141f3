"""The same figures measured in several ways, one line a figure: under every wording, or crude beside adjusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import Canvas
from clipviz.plots.rows import Key, Texts, check_lines, lined

MOST = 60  # lines
_LOOKS = (("#6b7482", "o"), ("#0b5394", "s"), ("#c4501b", "^"))
_FIRST, _OTHER, _BAR = "#0b5394", "#c4501b", "#c9d8ea"


def spread_chart(
    names: Sequence[str],
    values: ArrayLike,
    first: ArrayLike,
    *,
    notes: Sequence[str] | None = None,
    heads: Mapping[int, str] | None = None,
    percent: bool = True,
    title: str = "",
    caption: str = "",
    unit: str = "",
    said: tuple[str, str] = ("as written (bar: 95 % interval)", "other wordings"),
    width: float = 3.8,
) -> Canvas:
    """Draw a strip of points a name, by seaborn: where the figure lies under each other wording, and as written.

    Parameters
    ----------
    names : any language. values : [n, W] of the other wordings; NaN where a wording has none.
    first : [n, 3], value, low and high as written: a diamond on a bar. said : the two entries of the legend.
    notes : to the right of each line. heads : number of a line -> heading above it.
    percent : values are shares, shown times 100. title, caption, unit : texts. width : of the axis, in inches.

    Raises
    ------
    InputError : no lines or more than 60, numbers that do not match.

    >>> figure = spread_chart(["crime, men"], [[0.03, 0.05]], [[0.04, 0.02, 0.06]])
    """
    import pandas as pd
    import seaborn

    factor = 100.0 if percent else 1.0
    table, written = np.asarray(values, dtype=float) * factor, np.asarray(first, dtype=float) * factor
    texts = Texts(names, notes, heads, title, caption, unit)
    if table.ndim != 2 or written.shape[1:] != (3,):
        raise InputError(f"values want the shape [{len(names)}, wordings] and first [{len(names)}, 3], got "
                         f"{list(table.shape)} and {list(written.shape)}.")  # fmt: skip
    check_lines(texts, MOST, table.shape, written.shape)
    seen = np.concatenate([table.ravel(), written.ravel()])
    keys = (Key(said[0], _FIRST, "D"), Key(said[1], _OTHER, "o"))
    figure, axes, at = lined(texts, 0.27, width, seen, 0.0, keys)
    for y, (_, low, high) in zip(at, written, strict=True):
        axes.plot([low, high], [y, y], color=_BAR, linewidth=7, solid_capstyle="butt", zorder=1)
    strip = pd.DataFrame({"x": table.ravel(), "y": np.repeat(at, table.shape[1])}).dropna()
    seaborn.scatterplot(strip, x="x", y="y", ax=axes, color=_OTHER, s=24, alpha=0.75, linewidth=0, legend=False,
                        zorder=2)  # fmt: skip
    axes.plot(written[:, 0], at, "D", color=_FIRST, markersize=5.5, zorder=3, linestyle="none")
    axes.set(xlabel="", ylabel="")
    fonts.dress(figure)
    return figure


def compared(
    names: Sequence[str],
    ways: Mapping[str, ArrayLike],
    *,
    notes: Sequence[str] | None = None,
    heads: Mapping[int, str] | None = None,
    percent: bool = True,
    title: str = "",
    caption: str = "",
    unit: str = "",
    width: float = 3.8,
) -> Canvas:
    """Draw up to three intervals a name, one above the other: crude, adjusted, and so on.

    Parameters
    ----------
    names : any language. ways : way -> [n, 3], value, low and high; NaN is left out.
    notes, heads, percent, title, caption, unit, width : as of `spread_chart`.

    Raises
    ------
    InputError : no lines or more than 60, no ways or more than three, numbers that do not match.

    >>> figure = compared(["men"], {"crude": [[0.1, 0.0, 0.2]], "adjusted": [[0.05, -0.1, 0.2]]})
    """
    import pandas as pd
    import seaborn

    factor = 100.0 if percent else 1.0
    tables = {name: np.asarray(way, dtype=float) * factor for name, way in ways.items()}
    if not 1 <= len(tables) <= len(_LOOKS):
        raise InputError(f"One to {len(_LOOKS)} ways are compared, got {len(tables)}; leave some out.")
    for name, table in tables.items():
        if table.ndim != 2 or table.shape[1] != 3:
            raise InputError(f"{name!r} wants the shape [{len(names)}, 3], got {list(table.shape)}.")
    texts = Texts(names, notes, heads, title, caption, unit)
    check_lines(texts, MOST, *(table.shape for table in tables.values()))
    seen = np.concatenate([table.ravel() for table in tables.values()])
    keys = [Key(name, *look) for name, look in zip(tables, _LOOKS, strict=False)]
    figure, axes, at = lined(texts, 0.12 + 0.1 * len(tables), width, seen, 0.0, keys)
    for number, ((colour, marker), table) in enumerate(zip(_LOOKS, tables.values(), strict=False)):
        y = at + (number - (len(tables) - 1) / 2) * 0.1
        for line, (_, low, high) in zip(y, table, strict=True):
            axes.plot([low, high], [line, line], color=colour, linewidth=1.4)
        points = pd.DataFrame({"x": table[:, 0], "y": y}).dropna()
        seaborn.scatterplot(points, x="x", y="y", ax=axes, color=colour, marker=marker, s=26, linewidth=0,
                            legend=False, zorder=3)  # fmt: skip
    axes.set(xlabel="", ylabel="")
    fonts.dress(figure)
    return figure
