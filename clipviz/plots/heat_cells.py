"""A table of numbers whose cells are coloured by them, drawn by seaborn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import ArrayLike

from clipviz import fonts
from clipviz.errors import InputError
from clipviz.plots.canvas import QUIET, Canvas, fit
from clipviz.plots.parts import place

MOST = 60  # rows, and columns
_EDGE, _CELL, _STEP = 0.14, 0.78, 0.3  # inches


def heat_table(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    texts: Sequence[Sequence[str]] | None = None,
    percent: bool = True,
    title: str = "",
    caption: str = "",
) -> Canvas:
    """Draw a table [rows, columns]; a cell is the darker the higher its value, and each has its number in it.

    Parameters
    ----------
    values : [R, C]; a NaN stays white with a dash. rows, columns : their names, in any language.
    texts : [R][C], what stands in the cells; the values, times 100 where ``percent``, by default.
    title, caption : wrapped, then cut.

    Raises
    ------
    InputError : nothing or more than 60 rows or columns, numbers that do not match.

    >>> figure = heat_table([[0.1, 0.4]], ["crime"], ["women", "men"])
    """
    import seaborn

    table = np.asarray(values, dtype=float)
    if table.shape != (len(rows), len(columns)):
        raise InputError(f"{len(rows)} rows and {len(columns)} columns want as many values, got {list(table.shape)}.")
    if not (1 <= len(rows) <= MOST and 1 <= len(columns) <= MOST):
        raise InputError(
            f"A heat table has 1 to {MOST} rows and columns, got {list(table.shape)}; choose some of them."
        )
    if texts is None:
        shown = [["–" if np.isnan(v) else f"{100 * v:.1f}" if percent else f"{v:.3g}" for v in line] for line in table]
    else:
        shown = [list(line) for line in texts]
        if [len(line) for line in shown] != [len(columns)] * len(rows):
            raise InputError(f"The texts of a heat table of {list(table.shape)} cells have another shape.")

    cell = max(_CELL, 0.068 * max(fonts.width(text) for line in shown for text in line) + 0.12)
    wide = min(2.6, max(0.9, 0.073 * max(map(fonts.width, rows)) + 0.12))
    turned = max(map(fonts.width, columns)) * 0.07 > cell - 0.06  # names that are wider than a cell stand slanted
    names = [fit(name, 2.2 if turned else cell, 8.5, 1)[0] for name in columns]
    reach = max(map(fonts.width, names)) * 0.07
    lifted = 0.2 + (0.62 * reach if turned else 0.06)
    tail = 0.7 * reach if turned else 0.0
    total = 2 * _EDGE + wide + 0.1 + cell * len(columns) + max(tail - cell / 2, 0.0)
    total = max(total, 4.2)
    head, head_height = fit(title, 0.92 * (total - 2 * _EDGE), 11, 3)  # bold letters are wider
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 6)
    top = _EDGE + (head_height + 0.1 if head else 0) + lifted
    tall = len(rows) * _STEP
    figure = Canvas(total, top + tall + 0.1 + (foot_height + 0.06 if foot else 0) + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    left = _EDGE + wide + 0.1
    axes = place(figure, left, top, cell * len(columns), tall)
    seen = table[np.isfinite(table)]
    highest = float(seen.max()) if seen.size and seen.max() > 0 else 1.0
    lowest = min(0.0, float(seen.min()) if seen.size else 0.0)
    colours = seaborn.light_palette("#1f5a99", as_cmap=True) if lowest == 0 else seaborn.color_palette(
        "vlag", as_cmap=True
    )  # fmt: skip
    reach_of = max(highest, -lowest)
    seaborn.heatmap(
        np.where(np.isfinite(table), table, np.nan), ax=axes, cmap=colours, cbar=False, linewidths=1.2,
        linecolor="white", vmin=0.0 if lowest == 0 else -reach_of, vmax=highest if lowest == 0 else reach_of,
        annot=np.array(shown, dtype=object), fmt="", annot_kws={"fontsize": 8}, xticklabels=False, yticklabels=False,
    )  # fmt: skip
    axes.set_facecolor("white")
    for number in axes.texts:  # seaborn's own choice leaves white letters on light cells
        column, row = (int(place) for place in number.get_position())
        low = 0.0 if lowest == 0 else -reach_of
        paper = colours((table[row, column] - low) / ((highest if lowest == 0 else reach_of) - low))[:3]
        number.set_color(max(("#000000", "#ffffff"), key=lambda ink: _contrast(to_rgb(ink), paper)))
    for i, name in enumerate(rows):
        figure.line(left - 0.1, top + (i + 0.5) * _STEP, fit(name, wide, 8.5, 1)[0], size=8.5, align="right",
                    valign="center")  # fmt: skip
    for j, name in enumerate(names):
        x = left + (j + 0.5) * cell
        if turned:
            width, height = figure.get_size_inches()
            figure.text((x - 0.05) / width, 1 - (top - 0.05) / height, name, fontsize=8.5, ha="left", va="bottom",
                        rotation=38, rotation_mode="anchor")  # fmt: skip
        else:
            figure.line(x, top - 0.06, name, size=8.5, align="center", valign="bottom")
    for i, j in zip(*np.nonzero(~np.isfinite(table)), strict=True):  # seaborn writes nothing into an empty cell
        figure.line(left + (j + 0.5) * cell, top + (i + 0.5) * _STEP, shown[i][j], size=8, colour=QUIET,
                    align="center", valign="center")  # fmt: skip
    if foot:
        figure.line(_EDGE, top + tall + 0.1, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """The contrast of two colours, 1 to 21, as the Web Content Accessibility Guidelines define it."""
    low, high = sorted(_luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Sequence[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
