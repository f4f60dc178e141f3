"""A figure that stands for itself: no pyplot, no global style, the same bytes for the same content."""

from __future__ import annotations

import io

import matplotlib.backends.backend_agg as agg
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from clipviz import fonts

INK, QUIET, PAPER = "#1d2330", "#5b6472", "#ffffff"
DPI = 144
POINT = 1 / 72  # inches


class Canvas(Figure):
    """A matplotlib Figure on white paper that shows itself in a notebook and gives its own PNG.

    Colours and sizes are named by its makers, so that a style sheet of the session does not change a result's looks.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=DPI, facecolor=PAPER, edgecolor=PAPER)
        self.set_layout_engine("none")
        agg.FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        return png(self)

    def line(
        self, x: float, y: float, text: str, *, size: float = 9, colour: str = INK, weight: str = "normal",
        align: str = "left", valign: str = "top", turn: float = 0,
    ) -> None:  # fmt: skip
        """Write ``text`` at (x, y) in inches from the top left corner."""
        width, height = self.get_size_inches()
        self.text(
            x / width, 1 - y / height, text, fontsize=size, color=colour, fontweight=weight, ha=align, va=valign,
            rotation=turn, linespacing=1.25, rotation_mode="default", fontstyle="normal", usetex=False,
        )  # fmt: skip


def png(figure: Figure, dpi: float | None = None) -> bytes:
    """``figure`` as PNG, without a date or a program's name in it: the same figure gives the same bytes.

    Parameters
    ----------
    figure : any matplotlib Figure; it is drawn, not changed.
    dpi : pixels per inch; None for the figure's own.

    >>> png(Canvas(1, 1))[:4]
    b'\\x89PNG'
    """
    own = figure.dpi
    try:
        if dpi is not None:
            figure.dpi = dpi
        canvas = agg.FigureCanvasAgg(figure)
        canvas.draw()
        out = io.BytesIO()
        Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(out, "PNG")  # the paper is opaque
        return out.getvalue()
    finally:
        figure.dpi = own


def columns(inches: float, size: float) -> int:
    """How many columns (see `fonts.width`) of text at ``size`` points fit into ``inches``."""
    return max(4, int(inches / (0.56 * size * POINT)))


def fit(text: str, inches: float, size: float, lines: int) -> tuple[str, float]:
    """``text`` wrapped for ``inches`` and the height that it takes."""
    if not text:
        return "", 0.0
    wrapped = fonts.wrap(text, columns(inches, size), lines)
    return wrapped, (wrapped.count("\n") + 1) * size * 1.3 * POINT
