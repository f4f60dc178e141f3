"""The overlay itself, as pixels: a map laid over its picture, without axes or text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from clipviz.errors import InputError
from clipviz.plots.scale import COLOURS, OPACITY, FloatArray, Limits, Scale, scale_of, steps

_SHADE = np.float32(0.4)  # how much of the light and shade below the strongest colour keeps


def rgba(picture: Any, values: ArrayLike, alpha: float = 0.5, limits: Limits = None) -> NDArray[np.uint8]:
    """Lay a signed map over a picture and return the pixels.

    Opacity grows with the magnitude, so that a value of zero leaves the picture as it is. Where the map is NaN, the
    model saw nothing: the picture is grey, dimmed and hatched there.

    Parameters
    ----------
    picture : PIL image or array [H, W], [H, W, 3] or [H, W, 4]; uint8, or float from 0 to 1.
    values : [H, W] signed, in any unit; NaN where the model saw nothing.
    alpha : strength of the overlay, from 0 to 1; the strongest colour has the opacity 1 - (1 - alpha)**2.
    limits : values of the strongest colours (see `scale_of`); None for the largest magnitude of this map.

    Returns
    -------
    uint8 [H, W, 3]

    Raises
    ------
    InputError : shapes that differ, an opacity outside 0 to 1, infinite values.

    >>> rgba(np.full((2, 2, 3), 100, np.uint8), np.zeros((2, 2)))[0, 0].tolist()
    [100, 100, 100]
    """
    base = as_pixels(picture)
    array = as_map(values, base.shape[:2])
    return blend(base, array, alpha, scale_of(array, limits))


def blend(base: NDArray[np.uint8], values: FloatArray, alpha: float, scale: Scale) -> NDArray[np.uint8]:
    """`rgba` for a picture [H, W, 3] and a map [H, W] that were checked, on a given scale."""
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha={alpha!r} is not a strength; give a number from 0 (picture only) to 1.")
    # The picture loses its own colours where the map speaks, or a blue sky would read as a cool value; its light and
    # shade stay in the colour laid over it, so that one still sees what lies there. All three are a table of the value.
    opacity = OPACITY * np.float32(1 - (1 - alpha) ** 2)  # [511]
    faded = (1 - opacity) * np.minimum(1, 1.6 * opacity)
    own = 1 - opacity - faded
    light = faded + _SHADE * opacity
    laid = (COLOURS - 128 * _SHADE) * opacity[:, None]  # [511, 3]

    place = steps(scale, values)
    own, shade = own[place], light[place] * luma(base)
    out = np.empty_like(base)
    for channel in range(3):
        mixed = base[..., channel] * own
        mixed += shade
        mixed += laid[:, channel][place]
        out[..., channel] = np.clip(np.rint(mixed, out=mixed), 0, 255, out=mixed)
    unseen = np.isnan(values)
    if unseen.any():
        out[unseen] = unseen_pixels(base)[unseen]
    return out


def unseen_pixels(base: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How a picture [H, W, 3] looks where the model did not see it: grey, dimmed, hatched at 45 degrees."""
    height, width = base.shape[:2]
    grey = luma(base) * np.float32(0.35) + 62
    period = max(6, round(max(height, width) / 42))
    lines = np.arange(height + width - 1) % period < max(1, round(period * 0.16))
    grey += np.float32(46) * np.lib.stride_tricks.sliding_window_view(
        lines, width
    )  # the pixel (y, x) takes lines[y + x]
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=-1)


def luma(pixels: NDArray[np.uint8]) -> FloatArray:
    """Brightness [H, W], from 0 to 255, of pixels [H, W, 3]."""
    return np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)


def as_pixels(picture: Any) -> NDArray[np.uint8]:
    """A picture as uint8 [H, W, 3]; alpha is laid over white."""
    if isinstance(picture, Image.Image):
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            layer = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        return np.asarray(picture.convert("RGB"))
    array = np.asarray(picture)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=-1)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape or array.dtype.kind not in "uf":
        raise InputError(
            f"A picture to draw on has shape {array.shape} and type {array.dtype}; give a PIL image or an array"
            " [H, W], [H, W, 3] or [H, W, 4], uint8 or float from 0 to 1."
        )
    if array.dtype != np.uint8:
        if array.dtype.kind != "f" or not ((array >= 0) & (array <= 1)).all():  # NaN fails both
            raise InputError(
                f"A picture of type {array.dtype} to draw on needs values from 0 to 1; divide it by its largest value."
            )
        array = np.rint(array * 255).astype(np.uint8)
    if array.shape[2] == 4:
        return as_pixels(Image.fromarray(array))
    return array


def as_map(values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """A map as float32 [H, W], of the picture's shape."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"A map to draw holds {array.dtype}; give real numbers [H, W], NaN where nothing was seen.")
    if array.shape != tuple(shape):
        raise InputError(
            f"A map of shape {array.shape} does not fit its picture of {shape[0]} x {shape[1]} (height x width);"
            " give one value per pixel, as Frame.on_image does."
        )
    return array.astype(np.float32)


def shrink(base: NDArray[np.uint8], values: FloatArray | None, longest: int) -> tuple[Any, Any, int]:
    """Both at 1/k of their size, k whole, the longest side at most ``longest``: a plot needs no 24 megapixels."""
    step = -(-max(base.shape[:2]) // longest)
    if step <= 1:
        return base, values, 1
    small = np.asarray(Image.fromarray(base).reduce(step))
    if values is None:
        return small, None, step
    rows, cols = (
        np.minimum(np.arange(n) * step + step // 2, m - 1) for n, m in zip(small.shape[:2], base.shape[:2], strict=True)
    )
    return small, values[np.ix_(rows, cols)], step
