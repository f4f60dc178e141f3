"""The same figures measured in several ways, one line a figure: under every wording, or crude beside adjusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import place

MOST = 60  # lines
_EDGE, _LOOKS = 0.14, (("#6b7482", "o"), ("#0b5394", "s"), ("#c4501b", "^"))


def spread_chart(
    names: Sequence[str],
    values: ArrayLike,
    first: ArrayLike,
    *,
    notes: Sequence[str] | None = None,
    percent: bool = True,
    title: str = "",
    caption: str = "",
    unit: str = "",
    first_name: str = "as written",
    others: str = "other wordings",
    width: float = 3.8,
) -> Canvas:
    """Draw a strip of points a name, by seaborn: where the figure lies under each other wording, and as written.

    Parameters
    ----------
    names : any language. values : [n, W] of the other wordings; NaN where a wording has none.
    first : [n, 3], value, low and high as written: a diamond on a bar. notes : to the right of each line.
    percent : values are shares, shown times 100. title, caption, unit : texts.

    Raises
    ------
    InputError : no lines or more than 60, numbers that do not match.

    >>> figure = spread_chart(["crime, men"], [[0.03, 0.05]], [[0.04, 0.02, 0.06]])
    """
    import pandas as pd
    import seaborn

    table, written = np.asarray(values, dtype=float), np.asarray(first, dtype=float)
    count = len(names)
    if table.ndim != 2 or len(table) != count or written.shape != (count, 3) or (notes and len(notes) != count):
        raise InputError(f"{count} names want values of the shape [{count}, wordings] and first of [{count}, 3], got "
                         f"{list(table.shape)} and {list(written.shape)}.")  # fmt: skip
    _checked(count)
    factor = 100.0 if percent else 1.0
    figure, axes, finish = _sheet(names, notes, 0.3, title, caption, unit, width)
    at = np.arange(count)
    for y, (_, low, high) in zip(at, written * factor, strict=True):
        axes.plot([low, high], [y, y], color="#c9d8ea", linewidth=7, solid_capstyle="butt", zorder=1)
    strip = pd.DataFrame({"x": (table * factor).ravel(), "y": np.repeat(at, table.shape[1])}).dropna()
    if len(strip):
        seaborn.stripplot(strip, x="x", y="y", orient="h", order=list(at), ax=axes, jitter=False, size=4.6, alpha=0.75,
                          color="#c4501b", native_scale=True, legend=False, zorder=2)  # fmt: skip
    axes.plot(written[:, 0] * factor, at, "D", color="#0b5394", markersize=5.5, zorder=3, linestyle="none")
    _axes(axes, np.concatenate([table.ravel(), written.ravel()]) * factor, count)
    finish([("#0b5394", "D", f"{first_name} (bar: 95 % interval)"), ("#c4501b", "o", others)])
    return figure


def compared(
    names: Sequence[str],
    ways: Mapping[str, ArrayLike],
    *,
    notes: Sequence[str] | None = None,
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
    notes, percent, title, caption, unit, width : as of `spread_chart`.

    Raises
    ------
    InputError : no lines or more than 60, no ways or more than three, numbers that do not match.

    >>> figure = compared(["men"], {"crude": [[0.1, 0.0, 0.2]], "adjusted": [[0.05, -0.1, 0.2]]})
    """
    import pandas as pd
    import seaborn

    count = len(names)
    tables = {name: np.asarray(way, dtype=float) for name, way in ways.items()}
    if not 1 <= len(tables) <= len(_LOOKS):
        raise InputError(f"One to {len(_LOOKS)} ways are compared, got {len(tables)}; leave some out.")
    for name, table in tables.items():
        if table.shape != (count, 3) or (notes and len(notes) != count):
            raise InputError(f"{count} names want [{count}, 3] numbers for {name!r}, got {list(table.shape)}.")
    _checked(count)
    factor = 100.0 if percent else 1.0
    figure, axes, finish = _sheet(names, notes, 0.16 + 0.13 * len(tables), title, caption, unit, width)
    for place_, ((colour, marker), table) in enumerate(zip(_LOOKS, tables.values(), strict=False)):
        y = np.arange(count) + (place_ - (len(tables) - 1) / 2) * 0.26
        for line, (_, low, high) in zip(y, table * factor, strict=True):
            axes.plot([low, high], [line, line], color=colour, linewidth=1.5)
        points = pd.DataFrame({"x": table[:, 0] * factor, "y": y}).dropna()
        seaborn.scatterplot(points, x="x", y="y", ax=axes, color=colour, marker=marker, s=30, linewidth=0,
                            legend=False, zorder=3)  # fmt: skip
    for line in range(1, count):
        axes.axhline(line - 0.5, color="#e9ecf0", linewidth=0.7, zorder=0.5)
    _axes(axes, np.concatenate([table.ravel() for table in tables.values()]) * factor, count)
    finish([(colour, marker, name) for (colour, marker), name in zip(_LOOKS, tables, strict=False)])
    return figure


def _checked(count: int) -> None:
    if not 1 <= count <= MOST:
        raise InputError(f"A figure of this kind has 1 to {MOST} lines, got {count}; choose some of them.")


def _sheet(
    names: Sequence[str], notes: Sequence[str] | None, step: float, title: str, caption: str, unit: str, width: float
):  # type: ignore[no-untyped-def]
    """The paper, its axes, and what writes the legend once the points are there."""
    wide = min(3.1, max(1.2, 0.073 * max(fonts.width(name) for name in names) + 0.1))
    beside = min(2.6, 0.066 * max(map(fonts.width, notes)) + 0.15) if notes else 0.25
    total = 2 * _EDGE + wide + 0.12 + width + beside
    head, head_height = fit(title, total - 2 * _EDGE, 11, 3)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 6)
    top = _EDGE + (head_height + 0.1 if head else 0) + 0.26
    tall = len(names) * step + 0.06
    figure = Canvas(total, top + tall + 0.46 + (foot_height + 0.06 if foot else 0) + _EDGE)
    left = _EDGE + wide + 0.12
    axes = place(figure, left, top, width, tall)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")

    def finish(keys: Sequence[tuple[str, str, str]]) -> None:
        for i, name in enumerate(names):
            y = top + 0.03 + (i + 0.5) * step
            figure.line(left - 0.12, y, fit(name, wide, 8.5, 1)[0], size=8.5, align="right", valign="center")
            if notes:
                figure.line(left + width + 0.12, y, fit(notes[i], beside - 0.1, 7.5, 1)[0], size=7.5, colour=QUIET,
                            valign="center")  # fmt: skip
        x = left
        for colour, marker, said in keys:
            _mark(figure, x + 0.05, top - 0.13, colour, marker)
            figure.line(x + 0.16, top - 0.13, said, size=8, colour=QUIET, valign="center")
            x += 0.38 + 0.066 * fonts.width(said)
        if unit:
            figure.line(left + width / 2, top + tall + 0.24, unit, size=8, colour=QUIET, align="center")
        if foot:
            figure.line(_EDGE, top + tall + 0.46, foot, size=8, colour=QUIET)
        fonts.dress(figure)

    return figure, axes, finish


def _mark(figure: Canvas, x: float, y: float, colour: str, marker: str) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    figure.add_artist(
        Line2D([x / width], [1 - y / height], marker=marker, markersize=5.5, color=colour, linestyle="none")
    )


def _axes(axes: Axes, seen: NDArray[np.float64], count: int) -> None:
    seen = np.append(seen[np.isfinite(seen)], 0.0)
    margin = 0.06 * float(seen.max() - seen.min()) or 0.5
    axes.set_xlim(float(seen.min()) - margin, float(seen.max()) + margin)
    axes.set_ylim(count - 0.5, -0.5)
    axes.axvline(0, color=INK, linewidth=0.9, linestyle="--", zorder=0.9)
    axes.set(xlabel="", ylabel="", facecolor="white")
    axes.grid(True, axis="x", color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=6)
    axes.tick_params(axis="x", length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5)
    axes.tick_params(axis="y", left=False, labelleft=False)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", linewidth=0.6, edgecolor=QUIET)
