"""Frame: the map between the square that a model saw and the picture that the person gave.

Two coordinate systems, both continuous, x to the right and y down, pixel ``i`` covering ``[i, i + 1]``:

- *original*: pixels of the upright picture, ``picture = (W, H)``;
- *canvas*: model pixels, the resized (and perhaps padded) picture of which the model saw one or more squares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipviz.errors import InputError

VIEWS = ("crop", "pad", "squash", "tiles")
MAX_TILES = 64  # beyond this a picture is a ribbon, and one call would need gigabytes
_FIELDS = ("picture", "scale", "shift", "canvas", "size", "tiles", "view")


@dataclass(frozen=True)
class Frame:
    """How the model's squares lie in the original picture.

    Parameters
    ----------
    picture : (W, H) of the upright original, in pixels.
    scale, shift : ``canvas_xy = original_xy * scale + shift``, per axis.
    canvas : (width, height) of the canvas in model pixels.
    size : side of the model's square in model pixels.
    tiles : (left, top) of each square on the canvas.
    view : "crop", "pad", "squash" or "tiles".

    >>> frame = Frame((400, 200), (0.5, 0.5), (0.0, 0.0), (200, 100), 100, ((50, 0),), "crop")
    >>> frame.seen
    (100.0, 0.0, 300.0, 200.0)
    >>> frame.to_original([[50, 0, 150, 100]]).tolist()
    [[100.0, 0.0, 300.0, 200.0]]
    """

    picture: tuple[int, int]
    scale: tuple[float, float]
    shift: tuple[float, float]
    canvas: tuple[int, int]
    size: int
    tiles: tuple[tuple[int, int], ...]
    view: str

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise InputError(f"view={self.view!r} is not one of {', '.join(map(repr, VIEWS))}; take one of them.")
        if not self.tiles or min(self.picture) < 1 or min(self.scale) <= 0 or self.size < 1:
            raise InputError(
                f"A Frame needs a picture of at least 1 x 1 pixels, positive scales and sizes and one tile or more, "
                f"got picture={self.picture}, scale={self.scale}, size={self.size} and {len(self.tiles)} tiles; "
                "take the one that clipviz.images.prepare returns."
            )

    @property
    def window(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) on the canvas, the bounding box of the tiles: a map covers exactly this."""
        lefts, tops = zip(*self.tiles, strict=True)
        return min(lefts), min(tops), max(lefts) + self.size, max(tops) + self.size

    @property
    def inner(self) -> tuple[int, int]:
        """(width, height) of the resized picture on the canvas: all of it but for the padding."""
        return round(self.picture[0] * self.scale[0]), round(self.picture[1] * self.scale[1])

    @property
    def seen(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) of the window in original pixels, clipped to the picture."""
        x0, y0, x1, y1 = self.to_original(np.asarray(self.window, np.float64), clip=True).tolist()
        return x0, y0, x1, y1

    def to_canvas(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Points [..., 2] or boxes [..., 4] (x0, y0, x1, y1) in original pixels -> the same in canvas pixels."""
        pairs, shape = _pairs(xy)
        return (pairs * self.scale + self.shift).reshape(shape)

    def to_original(self, xy: ArrayLike, *, clip: bool = False) -> NDArray[np.float64]:
        """Points [..., 2] or boxes [..., 4] in canvas pixels -> original pixels, kept inside with ``clip``."""
        pairs, shape = _pairs(xy)
        pairs = (pairs - self.shift) / self.scale
        return (np.clip(pairs, 0.0, self.picture) if clip else pairs).reshape(shape)

    def on_image(self, values: ArrayLike) -> NDArray[np.float32]:
        """A map [h, w] over the window -> [H, W] float32 in the original's pixels, NaN where the model did not look.

        Bilinear between the centres of the cells, constant from the outermost centres to the border. Signs and
        magnitude survive: no value lies outside the range of ``values``, and a constant stays that constant.
        """
        grid = np.asarray(values, dtype=np.float32)
        if grid.ndim != 2 or grid.size == 0:
            raise InputError(
                f"A map must be [h, w] with at least one cell, got the shape {list(grid.shape)}; "
                "for several tiles use frame.on_image(frame.stitch(maps))."
            )
        (width, height), (x0, y0, x1, y1) = self.picture, self.window
        columns, left, right, across = _axis(width, self.scale[0], self.shift[0], x0, x1, grid.shape[1])
        rows, above, below, down = _axis(height, self.scale[1], self.shift[1], y0, y1, grid.shape[0])
        # a + f (b - a) rather than (1 - f) a + f b: exact for a constant, whatever f
        wide = grid[:, left]  # [h, seen columns]
        wide = wide + across * (grid[:, right] - wide)
        out = np.full((height, width), np.nan, dtype=np.float32)
        inside = out[rows, columns]
        inside[...] = wide[below]
        inside -= (base := wide[above])
        inside *= down[:, None]
        inside += base
        return out

    def stitch(self, maps: ArrayLike) -> NDArray[np.float32]:
        """The tiles' maps [T, h, w] -> one map [H', W'] over the window, the mean where tiles overlap."""
        stack = np.asarray(maps, dtype=np.float32)
        if stack.ndim != 3 or len(stack) != len(self.tiles) or stack.size == 0:
            raise InputError(
                f"stitch takes one map a tile, [{len(self.tiles)}, h, w], got the shape {list(stack.shape)}; "
                "pass the maps of all tiles of this picture."
            )
        if len(stack) == 1:
            return stack[0]
        _, h, w = stack.shape
        x0, y0, x1, y1 = self.window
        offsets = [((top - y0) * h / self.size, (left - x0) * w / self.size) for left, top in self.tiles]
        if any(abs(at - round(at)) > 1e-6 for pair in offsets for at in pair):
            raise InputError(
                f"Maps of {h} x {w} cells do not fit tiles of {self.size} px at {self.tiles}: every tile must begin at "
                f"a cell; call prepare with cell={self.size // w}."
            )
        shape = round((y1 - y0) * h / self.size), round((x1 - x0) * w / self.size)
        total, count = np.zeros(shape), np.zeros(shape)
        for tile, (row, column) in zip(stack, offsets, strict=True):
            spot = np.s_[round(row) : round(row) + h, round(column) : round(column) + w]
            total[spot] += tile
            count[spot] += 1
        return (total / count).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, for JSON."""
        return {
            "picture": list(self.picture),
            "scale": list(self.scale),
            "shift": list(self.shift),
            "canvas": list(self.canvas),
            "size": self.size,
            "tiles": [list(tile) for tile in self.tiles],
            "view": self.view,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Frame:
        """The Frame that ``to_dict`` wrote; InputError where a key is missing, unknown or not of its kind."""
        if not isinstance(data, Mapping) or set(data) != set(_FIELDS):
            got = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
            raise InputError(f"A Frame has the keys {', '.join(_FIELDS)}, got {got}; pass what Frame.to_dict() gave.")
        try:
            (pw, ph), (sx, sy), (tx, ty), (cw, ch) = (data[key] for key in ("picture", "scale", "shift", "canvas"))
            tiles = tuple((int(left), int(top)) for left, top in data["tiles"])
            return cls(
                picture=(int(pw), int(ph)),
                scale=(float(sx), float(sy)),
                shift=(float(tx), float(ty)),
                canvas=(int(cw), int(ch)),
                size=int(data["size"]),
                tiles=tiles,
                view=str(data["view"]),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"A Frame cannot be read ({error}); pass what Frame.to_dict() gave.") from error


def layout(picture: tuple[int, int], size: int, view: str, cell: int | None = None) -> Frame:
    """The Frame of a picture (W, H) for a model of ``size`` px; see ``images.prepare`` for the views.

    Rounded as torchvision and open_clip round, so that the pixels come out the same.
    """
    width, height = picture
    short, long = sorted(picture)
    if view == "squash":
        inner = (size, size)
    elif view == "pad":  # as open_clip's ResizeKeepRatio, but never to nothing
        ratio = long / size
        inner = (max(1, round(width / ratio)), max(1, round(height / ratio)))
    elif view in VIEWS:  # cut off as torchvision's Resize
        side = int(size * long / short)
        if view == "tiles":
            side = _tile_side(size, side, cell, picture)
        inner = (size, side) if width <= height else (side, size)
    else:
        raise InputError(f"view={view!r} is not one of {', '.join(map(repr, VIEWS))}; take one of them.")

    canvas, shift = inner, (0.0, 0.0)
    tiles: tuple[tuple[int, int], ...] = ((round((inner[0] - size) / 2.0), round((inner[1] - size) / 2.0)),)
    if view == "pad":
        canvas, tiles = (size, size), ((0, 0),)
        shift = (float((size - inner[0]) // 2), float((size - inner[1]) // 2))
    elif view == "tiles":
        starts = tile_starts(size, max(inner), cell or size)
        tiles = tuple((at, 0) if inner[0] >= inner[1] else (0, at) for at in starts)
    return Frame((width, height), (inner[0] / width, inner[1] / height), shift, canvas, size, tiles, view)


def _tile_side(size: int, side: int, cell: int | None, picture: tuple[int, int]) -> int:
    """The long side of the canvas of tiles: the multiple of ``cell`` nearest to ``side``, not under ``size``."""
    if cell is None or cell < 1 or size % cell:
        raise InputError(
            f"view='tiles' needs cell=, the side of a grid cell in pixels, which divides size={size}, got {cell!r}; "
            "pass the model's patch size."
        )
    side = max(size, round(side / cell) * cell)
    count = len(tile_starts(size, side, cell)) if side <= MAX_TILES * size else side // size
    if count > MAX_TILES:
        raise InputError(
            f"A picture of {picture[0]} x {picture[1]} pixels needs {count} tiles, at most {MAX_TILES} are allowed; "
            "use view='crop' or 'squash', or cut the picture."
        )
    return side


def tile_starts(size: int, side: int, cell: int) -> list[int]:
    """Where tiles begin on the long side: evenly spread cells; tiles share a quarter or more where cells allow."""
    cells, room = size // cell, (side - size) // cell
    if room == 0:
        return [0]
    count = math.ceil(room / max(1, cells * 3 // 4))
    return [cell * round(i * room / count) for i in range(count + 1)]


def _pairs(xy: ArrayLike) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Points or boxes as [..., k, 2], and the shape to go back to."""
    array = np.asarray(xy, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] not in (2, 4):
        raise InputError(
            f"Points must be [..., 2] (x, y) and boxes [..., 4] (x0, y0, x1, y1), got the shape {list(array.shape)}; "
            "put x and y on the last axis."
        )
    return array.reshape(*array.shape[:-1], array.shape[-1] // 2, 2), array.shape


def _axis(
    length: int, scale: float, shift: float, start: int, stop: int, cells: int
) -> tuple[slice, NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """One axis of ``on_image``: the seen pixels, their two nearest cells and the weight of the second."""
    centre = (np.arange(length) + 0.5) * scale + shift
    # the tolerance keeps a centre that lies on the border, and would be lost by rounding, inside
    inside = np.flatnonzero((centre >= start - 1e-9 * length) & (centre <= stop + 1e-9 * length))
    at = (centre[inside] - start) * (cells / (stop - start)) - 0.5
    at = np.clip(at, 0, cells - 1)
    first = np.floor(at).astype(np.intp)
    second = np.minimum(first + 1, cells - 1)
    seen = slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)
    return seen, first, second, (at - first).astype(np.float32)
