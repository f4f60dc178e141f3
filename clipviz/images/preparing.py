"""An upright RGB picture -> the squares and the numbers that a model sees, and the Frame that leads back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipviz.errors import InputError
from clipviz.frame import Frame, layout

from .opening import open_image

_MODES = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def prepare(
    image: Any,
    size: int,
    view: str = "crop",
    *,
    mean: Sequence[float],
    std: Sequence[float],
    interpolation: str = "bicubic",
    cell: int | None = None,
    fill: int | Sequence[int] | None = None,
) -> tuple[NDArray[np.float32], Frame]:
    """A picture -> the model's pixels float32 [T, 3, size, size] and the Frame that leads back.

    Parameters
    ----------
    image : whatever ``open_image`` takes.
    view : "crop", short side to ``size`` and the middle square; "squash", to the square whatever the shape; "pad",
        long side to ``size`` and the rest filled; "tiles", short side to ``size`` and as many overlapping squares as
        cover the long one. The first three equal open_clip's ``resize_mode`` "shortest", "squash" and "longest".
    mean, std : per channel, in 0..1, as the model was trained.
    interpolation : "bicubic" or "bilinear".
    cell : side of a grid cell in model pixels, for "tiles": each tile begins at a multiple of it.
    fill : colour of the padding in 0..255, one number or three; None is the mean colour. open_clip's default is 0.

    >>> pixels, frame = prepare(np.zeros((40, 80, 3)), 32, mean=(0.5,) * 3, std=(0.5,) * 3)
    >>> pixels.shape, frame.tiles
    ((1, 3, 32, 32), ((16, 0),))
    """
    seen, frame = squares(image, size, view, mean=mean, interpolation=interpolation, cell=cell, fill=fill)
    return normalised(seen, mean, std), frame


def squares(
    image: Any,
    size: int,
    view: str = "crop",
    *,
    mean: Sequence[float],
    interpolation: str = "bicubic",
    cell: int | None = None,
    fill: int | Sequence[int] | None = None,
) -> tuple[NDArray[np.uint8], Frame]:
    """The squares [T, size, size, 3] that `prepare` makes numbers of, as bytes to be sent or stored, and the Frame.

    >>> squares(np.zeros((40, 80, 3)), 32, mean=(0.5,) * 3)[0].shape
    (1, 32, 32, 3)
    """
    if interpolation not in _MODES:
        raise InputError(f"interpolation={interpolation!r} is not 'bicubic' or 'bilinear'; take one of them.")
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise InputError(f"size={size!r} is not a side in pixels; pass a whole number of at least 1, such as 224.")
    picture = open_image(image)
    frame = layout(picture.size, int(size), view, cell)
    canvas = draw_canvas(picture, frame, mean=mean, interpolation=interpolation, fill=fill)
    return _cut(canvas, frame), frame


def draw_canvas(
    picture: Image.Image,
    frame: Frame,
    *,
    mean: Sequence[float],
    interpolation: str = "bicubic",
    fill: int | Sequence[int] | None = None,
) -> Image.Image:
    """The canvas of ``frame``: an upright RGB picture resized and, where the frame is, padded; see `prepare`."""
    if isinstance(fill, int | np.integer):
        fill = [int(fill)] * 3
    colour = [round(255 * m) for m in mean] if fill is None else list(fill)
    return _canvas(picture, frame, _MODES[interpolation], colour)


def cut_tiles(
    canvas: Image.Image, frame: Frame, which: slice = slice(None), *, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """The model's pixels float32 [t, 3, size, size] of the tiles ``which`` on a canvas that `draw_canvas` drew."""
    return normalised(_cut(canvas, frame, which), mean, std)


def _cut(canvas: Image.Image, frame: Frame, which: slice = slice(None)) -> NDArray[np.uint8]:
    """The tiles ``which`` [t, size, size, 3] of a canvas."""
    cut = [canvas.crop((left, top, left + frame.size, top + frame.size)) for left, top in frame.tiles[which]]
    return np.stack([np.asarray(square) for square in cut])


def normalised(squares: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """[T, S, S, 3] -> float32 [T, 3, S, S]."""
    # in the order and the precision of torchvision's ToTensor and Normalize
    unit = np.ascontiguousarray(squares.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
    middle, spread = (np.asarray(v, dtype=np.float32).reshape(1, 3, 1, 1) for v in (mean, std))
    return (unit - middle) / spread


def _canvas(picture: Image.Image, frame: Frame, mode: Image.Resampling, colour: Sequence[int]) -> Image.Image:
    """The resized picture, padded where the frame is."""
    limit, (width, height) = Image.MAX_IMAGE_PIXELS, frame.inner
    if limit is not None and width * height > limit:  # a ribbon, one pixel by thousands
        raise InputError(
            f"A picture of {picture.width} x {picture.height} pixels would become {width} x {height} for "
            f"view={frame.view!r}, at most {limit} pixels are drawn; use view='squash' or 'pad', or cut the picture."
        )
    resized = picture.resize(frame.inner, mode)
    if frame.view != "pad":
        return resized
    canvas = Image.new("RGB", frame.canvas, (colour[0], colour[1], colour[2]))
    canvas.paste(resized, (round(frame.shift[0]), round(frame.shift[1])))
    return canvas
