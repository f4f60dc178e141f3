"""A picture at several sizes, each cut into overlapping squares of the model, so that small things are seen large."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError
from ..frame import Frame, tile_starts
from ..images import cut_tiles, draw_canvas

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..model import Model

MOST_TILES = 256  # of all levels of one picture together
LESS = (0.9, 0.8, 0.7)  # of a level's scale, tried in turn where its squares would be too many
SPAN = 2  # cells that the smallest thing of interest covers at the finest level


class TooManySquares(InputError):
    """A picture so long, or seen so finely, that it takes more squares than are allowed: it alone is left out."""


@dataclass(frozen=True)
class Pyramid:
    """Levels of one picture, the coarsest first, and what there is to say of those that were left out."""

    frames: tuple[Frame, ...]
    notes: tuple[str, ...] = ()

    @property
    def tiles(self) -> int:
        """The number of squares that the model sees."""
        return sum(len(frame.tiles) for frame in self.frames)


def level(picture: tuple[int, int], size: int, cell: int, scale: float, *, most: int = MOST_TILES) -> Frame:
    """The Frame of a picture (W, H) drawn at ``scale`` and covered by squares of ``size`` in two dimensions.

    Both sides of the canvas are multiples of ``cell``, none under ``size``; for a scale up to 1 none is above the
    picture's own but where ``size`` is. Squares begin at whole cells, row by row, and share a quarter or more with the
    next where cells allow, so that `Frame.stitch` joins the maps [T, size / cell, size / cell] of a level into one.

    Raises InputError for a cell that does not divide ``size``, a scale so small that the picture would be stretched to
    fill one square, or more than ``most`` squares.

    >>> frame = level((400, 300), 96, 32, 0.5)
    >>> frame.canvas, len(frame.tiles)
    ((192, 160), 6)
    """
    if cell < 1 or size < 1 or size % cell:
        raise InputError(f"cell={cell} does not divide size={size}; pass the model's patch size.")
    if min(picture) < 1 or not 0 < scale < math.inf:
        raise InputError(
            f"A picture of {picture[0]} x {picture[1]} cannot be drawn at scale={scale}; "
            "a picture has a pixel or more, and a scale is above 0."
        )
    least = size / min(picture)
    if scale < least * (1 - 1e-9) - cell / 2 / min(picture):
        raise InputError(
            f"scale={scale:.4g} draws {picture[0]} x {picture[1]} pixels smaller than a square of {size}; "
            f"give {least:.4g} or more."
        )
    width, height = sides = [_side(length, size, cell, scale) for length in picture]
    columns, rows = (tile_starts(size, side, cell) for side in sides)
    if len(columns) * len(rows) > most:
        raise TooManySquares(
            f"A picture of {picture[0]} x {picture[1]} pixels at scale={scale:.4g} needs {len(columns) * len(rows)} "
            f"squares of {size}, at most {most} are allowed; give a larger most=, or cut the picture."
        )
    tiles = tuple((left, top) for top in rows for left in columns)
    scales = width / picture[0], height / picture[1]
    return Frame(picture, scales, (0.0, 0.0), (width, height), size, tiles, "tiles")


def pyramid(
    picture: tuple[int, int], size: int, cell: int, *, smallest: float | None = None, most: int = MOST_TILES
) -> Pyramid:
    """Levels of a picture (W, H): from its short side at ``size`` to its own pixels, by equal factors of about 2.

    The first level shows the whole picture, larger than it is where it is small; no other goes beyond its own pixels.
    ``smallest`` is the side in pixels of the smallest thing of interest: no level is finer than it takes for that to
    cover two cells. Where the next level would bring the squares beyond ``most`` the last one is as
    fine as fits, and a note says so.

    Raises InputError where the first level alone has more squares than that: a ribbon.

    >>> [frame.canvas for frame in pyramid((2000, 1500), 224, 32).frames]
    [(288, 224), (576, 416), (1056, 800), (1984, 1472)]
    """
    if smallest is not None and not (isinstance(smallest, int | float | np.number) and smallest > 0):
        raise InputError(f"smallest={smallest!r} is no side in pixels; give a number above 0, or leave it out.")
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
        raise InputError(f"most={most!r} is no number of squares; give a whole number of 1 or more.")
    first = size / max(1, min(picture))
    frames = [level(picture, size, cell, first, most=most)]
    finest = 1.0 if smallest is None else min(1.0, SPAN * cell / smallest)
    steps = max(0, round(math.log2(finest / first)))
    for k in range(1, steps + 1):
        scale = first * (finest / first) ** (k / steps)
        left = most - sum(len(frame.tiles) for frame in frames)
        tried = (scale * part for part in (1.0, *LESS))
        fitting = next((at for at in tried if _count(picture, size, cell, at) <= left), None)
        frame = frames[-1] if fitting is None else level(picture, size, cell, fitting, most=left)
        if frame.canvas != frames[-1].canvas:  # a short step may round to the same cells
            frames.append(frame)
        if fitting != scale:
            return Pyramid(tuple(frames), (_bounded(picture, frames[-1], cell, finest, most),))
    return Pyramid(tuple(frames))


def _count(picture: tuple[int, int], size: int, cell: int, scale: float) -> int:
    """The number of squares of a level."""
    return math.prod(len(tile_starts(size, _side(length, size, cell, scale), cell)) for length in picture)


def _bounded(picture: tuple[int, int], last: Frame, cell: int, finest: float, most: int) -> str:
    """What a pyramid says that ended early."""
    return (
        f"A picture of {picture[0]} x {picture[1]} pixels was seen at {last.scale[0]:.2g} of its size and not at "
        f"{finest:.2g}, which takes more than {most} squares: things under {SPAN * cell / last.scale[0]:.0f} pixels "
        "may be missed."
    )


def cut(
    picture: Image.Image, frame: Frame, model: Model, *, at_once: int = 16, bar: tqdm[Any] | None = None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The model's pixels of a picture's squares, a few at a time: (which of ``frame.tiles``, float32 [t, 3, S, S]).

    The canvas is drawn once; beside it only ``at_once`` squares are in memory. Equal to `clipviz.images.prepare` where
    that has the same squares. ``bar`` counts those that were dealt with. InputError where the picture (upright, RGB)
    is not of the frame's size.
    """
    if picture.size != frame.picture:
        raise InputError(
            f"The picture is {picture.width} x {picture.height}, and the frame is of {frame.picture[0]} x "
            f"{frame.picture[1]}; pass the upright picture that the frame was made for."
        )
    if at_once < 1:
        raise InputError(f"at_once={at_once} is no number of squares; give 1 or more.")
    fill = model.fill if frame.view == model.view == "pad" else None
    canvas = draw_canvas(picture, frame, mean=model.mean, interpolation=model.interpolation, fill=fill)
    for first in range(0, len(frame.tiles), at_once):
        which = slice(first, min(first + at_once, len(frame.tiles)))
        yield which, cut_tiles(canvas, frame, which, mean=model.mean, std=model.std)
        if bar is not None:
            bar.update(which.stop - which.start)


def _side(length: int, size: int, cell: int, scale: float) -> int:
    """One side of the canvas: the nearest multiple of ``cell``, not enlarged by rounding, not under ``size``."""
    cells = round(length * scale / cell)
    return cell * max(size // cell, min(cells, length // cell) if scale <= 1 else cells)
