"""What one overlay and a sheet of them have in common: the picture, the colour bar, the note on unseen places."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from clipviz.errors import InputError
from clipviz.plots.blending import blend, unseen_pixels
from clipviz.plots.canvas import INK, QUIET, Canvas
from clipviz.plots.scale import FloatArray, Scale

UNSEEN = "hatched: not seen by the model"
LONGEST = 1400  # pixels of a picture inside a figure


def place(figure: Canvas, x: float, y: float, width: float, height: float) -> Axes:
    """Axes at (x, y) from the top left corner, all in inches."""
    w, h = figure.get_size_inches()
    return figure.add_axes((x / w, 1 - (y + height) / h, width / w, height / h))


def paint(
    axes: Axes,
    base: NDArray[np.uint8],
    values: FloatArray | None,
    alpha: float,
    scale: Scale | None,
    *,
    step: int = 1,
    mark: ArrayLike | None = None,
    box: ArrayLike | None = None,
) -> None:
    """Draw the overlay; ``mark`` and ``box`` are in the pixels of the picture before it was shrunk by ``step``."""
    height, width = base.shape[:2]
    pixels = base if values is None or scale is None else blend(base, values, alpha, scale)
    axes.imshow(pixels, interpolation="antialiased", interpolation_stage="data", aspect="equal", origin="upper",
                extent=(0, width, height, 0))  # fmt: skip
    axes.set_axis_off()
    if values is not None and scale is not None and scale.reach > 0 and not scale.constant and alpha > 0:
        _contour(axes, values, scale)
    for x0, y0, x1, y1 in _boxes(box) / step:
        for colour, line in ((INK, 3.2), ("white", 1.6)):
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=line))
    if mark is not None:
        x, y = (_point(mark) + 0.5) / step  # a pixel's number is its corner, its middle is half a pixel on
        for colour, line in ((INK, 3.4), ("white", 1.6)):
            axes.plot([x], [y], "o", markersize=9, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=line)
        axes.plot([x], [y], "o", markersize=2.2, color="white", markeredgecolor=INK, markeredgewidth=0.6)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _contour(axes: Axes, values: FloatArray, scale: Scale) -> None:
    # The line of half the strongest colour: shape without colour, for print and for any eye.
    levels = [level for level in (scale.low / 2, scale.high / 2) if level]
    stride = max(1, max(values.shape) // 500)
    thin = values[::stride, ::stride]
    if min(thin.shape) < 2 or not any(np.nanmin(thin) < level < np.nanmax(thin) for level in levels):
        return
    height, width = values.shape
    x = np.minimum(np.arange(thin.shape[1]) * stride + 0.5, width)
    y = np.minimum(np.arange(thin.shape[0]) * stride + 0.5, height)
    styles = ["dashed" if level < 0 else "solid" for level in levels]
    for colour, line in (("#00000066", 1.8), ("#ffffffd0", 0.8)):
        axes.contour(x, y, thin, levels=levels, colors=[colour], linewidths=line, linestyles=styles)  # type: ignore[arg-type]


def bar(figure: Canvas, x: float, y: float, height: float, scale: Scale, alpha: float, label: str) -> None:
    """A colour bar at (x, y), 0.13 inch wide: the colours as they look over a grey picture, with ticks and a name."""
    axes = place(figure, x, y, 0.13, height)
    if scale.reach > 0:
        ramp = np.linspace(scale.high, scale.low, 256, dtype=np.float32)[:, None]
        axes.imshow(blend(np.full((256, 1, 3), 205, np.uint8), ramp, alpha, scale), aspect="auto",
                    extent=(0, 1, scale.low, scale.high), interpolation="nearest", origin="upper")  # fmt: skip
        ticks = sorted({scale.low, scale.low / 2, 0.0, scale.high / 2, scale.high})
    else:
        axes.set_facecolor("#cdcdcd")
        axes.set_ylim(-1, 1)
        ticks = [0.0]
    beyond = {scale.high: "≥ " if scale.over else "", scale.low: "≤ " if scale.under else ""}
    signed = scale.low < 0
    axes.set_yticks(ticks, [beyond.get(t, "") + number(t, signed) for t in ticks], fontsize=7.5, color=QUIET)
    axes.tick_params(axis="y", left=False, labelleft=False, right=True, labelright=True, length=2.5, width=0.6,
                     color=QUIET, labelcolor=QUIET, pad=2, labelsize=7.5)  # fmt: skip
    axes.tick_params(axis="x", bottom=False, labelbottom=False, top=False, labeltop=False)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, edgecolor=QUIET)
    for half in {scale.low / 2, scale.high / 2} - {0.0}:
        axes.axhline(half, color="white", linewidth=0.8, linestyle="--" if half < 0 else "-")
    figure.line(x + 0.9, y + height / 2, label, size=8, colour=QUIET, align="center", valign="center", turn=90)


def swatch(figure: Canvas, x: float, y: float) -> float:
    """The legend of unseen places at (x, y); returns the x where it ends."""
    axes = place(figure, x, y, 0.24, 0.13)
    axes.imshow(unseen_pixels(np.full((26, 48, 3), 120, np.uint8)), aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    figure.line(x + 0.31, y + 0.065, UNSEEN, size=7.5, colour=QUIET, valign="center")
    return x + 0.31 + len(UNSEEN) * 0.056


def number(value: float, signed: bool = True) -> str:
    """Three digits and, where both signs occur, the sign: ``+0.0124``."""
    if value == 0:
        return "0"
    text = f"{value:.3g}"
    if "e" in text and 1e-5 <= abs(value) < 1e5:
        text = f"{value:.7f}".rstrip("0")
    if signed and value > 0:
        text = "+" + text
    return text.replace("-", "\u2212")


def _point(mark: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(mark, dtype=float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (2,) or not np.isfinite(array).all():
        raise InputError(f"mark={mark!r} is not a place; give (x, y) in pixels of the picture.")
    return array


def _boxes(box: Any) -> NDArray[np.float64]:
    if box is None:
        return np.empty((0, 4))
    try:
        array = np.atleast_2d(np.asarray(box, dtype=float))
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.size == 0 and array.ndim == 2:
        return np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise InputError(
            f"box={box!r} is not a box; give (x0, y0, x1, y1) in pixels of the picture, or a list of such."
        )
    return array
