"""Boxes in cells of a map <-> boxes in the pixels of the picture that the map is of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..frame import Frame

Grid = tuple[int, int]  # (rows, columns) of a map, as its shape tells them


def to_pixels(boxes: ArrayLike, frame: Frame, grid: Grid) -> NDArray[np.float64]:
    """Boxes [..., 4] in cells of a map [h, w] over ``frame.window`` -> the same in pixels of the original picture.

    Clipped to the picture, and never without area: a box that lies in the padding becomes a sliver of a pixel (of a
    cell, where cells are smaller) at the border nearest to it. InputError for NaN, or a box turned inside out.

    >>> from clipviz.frame import layout
    >>> to_pixels([[0, 0, 2, 1]], layout((400, 200), 100, "crop"), (4, 4)).tolist()
    [[100.0, 0.0, 200.0, 50.0]]
    """
    cells = _checked(boxes, "cells")
    step, start = _cell(frame, grid), np.asarray(frame.window[:2], dtype=np.float64)
    corners = frame.to_original(cells.reshape(*cells.shape[:-1], 2, 2) * step + start)
    least = np.minimum(1.0, step / frame.scale)  # at most the side of a picture, which is a pixel or more
    low, high = corners[..., 0, :], corners[..., 1, :]
    low = np.clip(low, 0.0, frame.picture - least)
    high = np.clip(high, low + least, frame.picture)
    return np.concatenate([low, high], axis=-1)


def to_cells(boxes: ArrayLike, frame: Frame, grid: Grid) -> NDArray[np.float64]:
    """Boxes [..., 4] in pixels of the original picture -> the same in cells of a map [h, w].

    Neither rounded nor clipped: the inverse of `to_pixels` for what lies in the picture. InputError as there.
    """
    pixels = _checked(boxes, "pixels")
    corners = frame.to_canvas(pixels.reshape(*pixels.shape[:-1], 2, 2)) - frame.window[:2]
    return (corners / _cell(frame, grid)).reshape(pixels.shape)


def whole_cells(boxes: ArrayLike, frame: Frame, grid: Grid) -> NDArray[np.int64]:
    """Boxes [..., 4] in pixels of the original picture -> the cells of a map [h, w] with their centres inside.

    At least one cell each, the nearest, also where the box is smaller than a cell or lies beyond what the map covers:
    ``values[y0:y1, x0:x1]`` is never empty.
    """
    h, w = grid
    cells = to_cells(boxes, frame, grid)
    most = np.array([w, h])
    low, high = np.ceil(cells[..., :2] - 0.5), np.ceil(cells[..., 2:] - 0.5)
    middle = np.floor((cells[..., :2] + cells[..., 2:]) / 2)
    thin = np.minimum(high, most) <= np.maximum(low, 0)  # no centre inside: the cell that the box's own centre is in
    low = np.clip(np.where(thin, middle, low), 0, most - 1)
    high = np.clip(np.where(thin, middle + 1, high), low + 1, most)
    return np.concatenate([low, high], axis=-1).astype(np.int64)


def _cell(frame: Frame, grid: Grid) -> NDArray[np.float64]:
    """(width, height) of a cell in canvas pixels."""
    if len(grid) != 2 or min(grid) < 1:
        raise InputError(f"A grid is (rows, columns) of a map, got {grid!r}; pass values.shape[-2:].")
    x0, y0, x1, y1 = frame.window
    return np.array([(x1 - x0) / grid[1], (y1 - y0) / grid[0]])


def _checked(boxes: ArrayLike, unit: str) -> NDArray[np.float64]:
    array = np.asarray(boxes, dtype=np.float64)
    if array.ndim < 1 or array.shape[-1] != 4:
        raise InputError(f"Boxes are [..., 4] (x0, y0, x1, y1) in {unit}, got the shape {list(array.shape)}.")
    if not (np.isfinite(array).all() and (array[..., :2] <= array[..., 2:]).all()):
        raise InputError(f"Boxes in {unit} have x0 <= x1 and y0 <= y1 and no NaN; check which of them have not.")
    return array
