"""One picture with its map: the figure behind `Heatmap.plot`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clipviz import fonts
from clipviz.plots.blending import as_map, as_pixels, shrink
from clipviz.plots.canvas import INK, QUIET, Canvas, fit
from clipviz.plots.parts import LONGEST, bar, number, paint, place, swatch
from clipviz.plots.scale import Limits, Scale, scale_of

UNIT = "contribution to cosine"
_EDGE = 0.12  # inches of paper around everything


def overlay(
    picture: Any,
    values: ArrayLike,
    *,
    title: str = "",
    caption: str = "",
    alpha: float = 0.5,
    limits: Limits = None,
    colorbar: bool = True,
    unit: str = UNIT,
    mark: ArrayLike | None = None,
    box: ArrayLike | None = None,
    width: float = 5.0,
) -> Canvas:
    """Draw a signed map over its picture.

    Warm colours speak for the text, cool ones against it, zero leaves the picture as it is; a thin line (dashed where
    negative) runs at half the strongest colour. Places where the map is NaN are grey and hatched. A map with one value
    everywhere says so under its title.

    Parameters
    ----------
    picture : PIL image or array [H, W, 3], in its original size.
    values : [H, W] signed, on the picture's pixels; NaN where the model saw nothing (see `Frame.on_image`).
    title, caption : any language; long ones are wrapped, then cut.
    alpha : strength of the overlay, 0 to 1.
    limits : None, L for -L to L, or (low, high) around zero: give the same to several pictures to compare them.
    unit : the name of the values, beside the colour bar.
    mark : (x, y) in pixels, a ring: the peak. box : (x0, y0, x1, y1), or a list of boxes.
    width : of the picture, in inches, where it is not a very tall one.

    Raises
    ------
    InputError : shapes that do not fit, infinite values, limits without zero.

    >>> overlay(np.zeros((8, 8, 3), np.uint8), np.eye(8)).get_size_inches().shape
    (2,)
    """
    pixels = as_pixels(picture)
    array = as_map(values, pixels.shape[:2])
    scale = scale_of(array, limits)
    unseen = bool(np.isnan(array).any())
    height = width * pixels.shape[0] / pixels.shape[1]
    if height > 1.4 * width:
        width, height = width * 1.4 * width / height, 1.4 * width

    side = 1.12 if colorbar else 0.0
    room = max(width, 2.6)
    head, head_height = fit(title, room, 11, 3)
    flag, flag_height = fit(warning_of(array, scale, short=False), room, 8.5, 2)
    foot, foot_height = fit(caption, room, 8, 3)
    top = _EDGE + (head_height + 0.07 if head else 0) + (flag_height + 0.06 if flag else 0)
    below = (0.24 if unseen else 0) + (foot_height + 0.08 if foot else 0)
    bar_height = max(height, 1.1) if colorbar else height
    figure = Canvas(2 * _EDGE + max(width + side, room), top + bar_height + below + _EDGE)

    if head:
        figure.line(_EDGE, _EDGE, head, size=11, colour=INK, weight="bold")
    if flag:
        figure.line(_EDGE, top - 0.06 - flag_height, flag, size=8.5, colour="#9a3b00")
    small, shrunk, step = shrink(pixels, array, LONGEST)
    paint(place(figure, _EDGE, top, width, height), small, shrunk, alpha, scale, step=step, mark=mark, box=box)
    if colorbar:
        bar(figure, _EDGE + width + 0.12, top, bar_height, scale, alpha, unit)
    under = top + bar_height + 0.09
    if unseen:
        swatch(figure, _EDGE, under)
        under += 0.2
    if foot:
        figure.line(_EDGE, under, foot, size=8, colour=QUIET)
    fonts.dress(figure)
    return figure


def warning_of(values: ArrayLike, scale: Scale, *, short: bool) -> str:
    """What a reader must know before reading the colours; empty where nothing is odd."""
    array = np.asarray(values)
    seen = array[~np.isnan(array)]
    if not seen.size:
        return "nothing seen" if short else "The model saw no part of this picture."
    if scale.constant:
        value = number(float(seen[0]))
        return f"constant: {value}" if short else f"Constant map: {value} everywhere, no place stands out."
    return ""
