"""Curves that share one axis across, a panel for each quantity: what a training run writes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from clipviz import fonts
from clipviz.errors import InputError, nearest
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import place

SCALES = ("linear", "log", "share")
# Okabe and Ito's, without the yellow that white paper swallows: told apart by any eye
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000", "#e69f00")
_KEYS = ("name", "lines", "levels", "level", "scale")
_EDGE, _LEFT, _UNDER, _GAP = 0.14, 0.52, 0.26, 0.22  # inches
_FEW = 12  # points that are marked one by one

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class _Panel:
    name: str
    lines: dict[str, tuple[FloatArray, FloatArray]]
    levels: dict[str, float]
    level: str
    scale: str

    @property
    def legend(self) -> list[str]:
        """A line of words for each curve, where there are several or one is compared to a level."""
        if len(self.lines) < 2 and not self.levels:
            return []
        said = []
        for name, (_, y) in self.lines.items():
            beside = f" ({self.level} {_value(self.levels[name], self.scale)})" if name in self.levels else ""
            said.append(f"{name} {_last(y, self.scale)}{beside}")
        return said


def lines(
    panels: Sequence[Mapping[str, Any]], *, x: str, title: str = "", caption: str = "", columns: int = 2,
    width: float = 3.1, height: float = 1.5,
) -> Canvas:  # fmt: skip
    """Draw panels of curves over one common axis, each with its last value in words.

    Parameters
    ----------
    panels : dicts with ``name`` and ``lines`` (name -> (x [n], y [n]); NaN leaves a gap) and, optionally, ``levels``
        (name of a line -> value, drawn dashed in that line's colour), ``level`` (what a level is: "chance") and
        ``scale``: "linear", "log", or "share" for 0 to 1 written as per cent.
    x : what the common axis counts. title, caption : wrapped, then cut.
    columns : panels side by side. width, height : of one panel's axes, in inches.

    Raises
    ------
    InputError : no panels, an unknown key or scale, numbers that do not match.

    >>> figure = lines([{"name": "loss", "lines": {"loss": ([0, 1, 2], [3.0, 2.0, 1.5])}}], x="pairs seen")
    """
    if not panels:
        raise InputError("A figure of curves needs at least one panel; give dicts with 'name' and 'lines'.")
    read = [_panel(panel) for panel in panels]
    columns = max(1, min(columns, len(read)))
    every = np.concatenate([xs for panel in read for xs, _ in panel.lines.values()])
    reach = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    rows = [read[i : i + columns] for i in range(0, len(read), columns)]

    total = _EDGE + columns * (_LEFT + width) + (columns - 1) * _GAP + _EDGE + 0.1
    head, head_height = fit(title, total - 2 * _EDGE, 11, 2)
    foot, foot_height = fit(caption, total - 2 * _EDGE, 8, 4)
    tops = [0.22 + 0.15 * max(len(panel.legend) for panel in row) for row in rows]
    y = _EDGE + (head_height + 0.1 if head else 0)
    tall = y + sum(tops) + len(rows) * (height + _UNDER + _GAP) + (foot_height + 0.06 if foot else 0)
    figure = Canvas(total, tall + _EDGE)
    if head:
        figure.line(_EDGE, _EDGE, head, size=11, weight="bold")
    for row, top in zip(rows, tops, strict=True):
        for j, panel in enumerate(row):
            left = _EDGE + _LEFT + j * (_LEFT + width + _GAP)
            figure.line(left, y, fit(panel.name, width, 8.5, 1)[0], size=8.5, weight="bold")
            if not panel.legend:
                for _, values in panel.lines.values():
                    figure.line(left + width, y, _last(values, panel.scale), size=8.5, colour=QUIET, align="right")
            for k, words in enumerate(panel.legend):
                colour = COLOURS[k % len(COLOURS)]
                figure.line(left, y + 0.18 + 0.15 * k, fit(words, width, 7.5, 1)[0], size=7.5, colour=colour)
            axes = place(figure, left, y + top, width, height)
            _draw(axes, panel, reach)
            figure.line(left + width, y + top + height + 0.2, x, size=7.5, colour=QUIET, align="right")
        y += top + height + _UNDER + _GAP
    if foot:
        figure.line(_EDGE, y, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def _draw(axes: Axes, panel: _Panel, reach: tuple[float, float]) -> None:
    axes.set_facecolor("white")
    for k, (name, (xs, ys)) in enumerate(panel.lines.items()):
        colour = COLOURS[k % len(COLOURS)]
        few = np.isfinite(ys).sum() <= _FEW
        axes.plot(xs, ys, color=colour, linewidth=1.3, marker="o" if few else "", markersize=2.6)
        if name in panel.levels:
            axes.axhline(panel.levels[name], color=colour, linewidth=0.9, linestyle="--")
    pad = 0.02 * (reach[1] - reach[0]) or 0.5
    axes.set_xlim(reach[0] - pad, reach[1] + pad)
    if panel.scale == "log":
        axes.set_yscale("log")
    elif panel.scale == "share":
        axes.set_ylim(-0.02, 1.02)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.tick_params(
        which="both", length=2.5, width=0.6, color=QUIET, labelcolor=QUIET, labelsize=7.5, bottom=True, left=True,
        top=False, right=False, labelbottom=True, labelleft=True,
    )  # fmt: skip
    axes.grid(visible=True, axis="y", color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), linewidth=0.6, edgecolor=INK if side == "bottom" else QUIET)


def _panel(given: Mapping[str, Any]) -> _Panel:
    for key in given:
        if key not in _KEYS:
            raise InputError(f"A panel of curves has the unknown key {key!r}. {nearest(str(key), _KEYS)}")
    name, scale = str(given.get("name", "")), given.get("scale", "linear")
    if scale not in SCALES:
        raise InputError(f"The panel {name!r} has scale={scale!r}; give {', '.join(map(repr, SCALES))}.")
    found: dict[str, tuple[FloatArray, FloatArray]] = {}
    for label, (xs, ys) in dict(given.get("lines") or {}).items():
        along, up = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
        if along.ndim != 1 or along.shape != up.shape or not np.isfinite(along).all():
            raise InputError(
                f"The line {label!r} of {name!r} wants as many finite x as y, got {along.size} and {up.size}."
            )
        found[str(label)] = (along, np.where(np.isfinite(up), up, np.nan))
    if not found:
        raise InputError(f"The panel {name!r} has no lines; give lines={{name: (x, y)}}.")
    levels = {str(label): float(value) for label, value in dict(given.get("levels") or {}).items()}
    for label in levels:
        if label not in found:
            raise InputError(f"The panel {name!r} has a level for {label!r}, which is no line. {nearest(label, found)}")
    return _Panel(name, found, levels, str(given.get("level", "level")), scale)


def _last(values: FloatArray, scale: str) -> str:
    there = values[np.isfinite(values)]
    return _value(float(there[-1]), scale) if there.size else "–"


def _value(value: float, scale: str) -> str:
    return f"{value:.1%}" if scale == "share" else _short(value)


def _short(value: float) -> str:
    """Four digits at most: 1.25M, 40k, 0.8341, 1e-05."""
    for size, letter in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.4g}{letter}".replace("-", "\u2212")
    return f"{value:.4g}".replace("-", "\u2212")
