"""The well-known demonstration: a picture cut into a grid, and windows of its cells scored as crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from ..errors import InputError
from ..frame import Frame
from .asking import Asked
from .candidates import Candidates, of_crops
from .score_maps import ScoreMaps

if TYPE_CHECKING:
    from tqdm import tqdm

GRID = 7
SIZES = (2, 3, 4, 5)  # cells a side of the windows


def grid_windows(grid: int = GRID, sizes: Sequence[int] = SIZES) -> NDArray[np.int64]:
    """Every window of g x g cells of a grid, for each g of ``sizes``: int64 [n, 4] as x0, y0, x1, y1 in cells.

    Raises InputError for a size that does not fit into the grid.

    >>> grid_windows(3, [2]).tolist()
    [[0, 0, 2, 2], [1, 0, 3, 2], [0, 1, 2, 3], [1, 1, 3, 3]]
    """
    if isinstance(grid, bool) or not isinstance(grid, int) or grid < 1:
        raise InputError(f"cells={grid!r} is no number of cells a side: pass a whole number such as 7.")
    given = [sizes] if not isinstance(sizes, Sequence) else list(sizes)
    if not given or any(isinstance(g, bool) or not isinstance(g, int) or not 1 <= g <= grid for g in given):
        raise InputError(f"sizes={sizes!r} are no windows of a grid of {grid}: pass some of 1 to {grid}.")
    return np.array(
        [(x, y, x + g, y + g) for g in given for y in range(grid - g + 1) for x in range(grid - g + 1)], dtype=np.int64
    )


def by_grid(
    asked: Asked, picture: Image, *, grid: int = GRID, sizes: Sequence[int] = SIZES, bar: tqdm[Any] | None = None
) -> tuple[Candidates, ScoreMaps]:
    """Every window as a box with the margin of its crop, and the mean margin of the windows over each cell."""
    cells = grid_windows(grid, sizes)
    step = np.array([*picture.size, *picture.size]) / grid
    margins = of_crops(asked, picture, cells * step, bar=bar)  # [n, P]
    width, height = picture.size
    frame = Frame((width, height), (grid / width, grid / height), (0.0, 0.0), (grid, grid), grid, ((0, 0),), "squash")
    n, labels = margins.shape
    evidence = tuple(f"window of {x1 - x0} x {x1 - x0} cells" for x0, _, x1, _ in cells)
    found = Candidates(
        np.tile(cells * step, (labels, 1)), np.repeat(np.arange(labels), n), margins.T.ravel(), evidence * labels
    )
    return found, ScoreMaps(over_cells(cells, margins, (grid, grid)), frame)


def over_cells(cells: NDArray[np.int64], margins: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The mean margin [P, h, w] of the windows [n, 4] over each cell, from margins [n, P]; 0 where there is none."""
    count, total = np.zeros(shape), np.zeros((margins.shape[1], *shape))
    for (x0, y0, x1, y1), margin in zip(cells, margins, strict=True):
        count[y0:y1, x0:x1] += 1
        total[:, y0:y1, x0:x1] += margin[:, None, None]
    return (total / np.where(count > 0, count, 1)).astype(np.float32)
