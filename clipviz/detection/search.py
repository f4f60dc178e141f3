"""Boxes in a map of scores, exactly: the rectangle of cells with the largest sum, and connected regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

_AT_ONCE = 2**13  # strips at a time: what is kept of them stays near the processor


@dataclass(frozen=True)
class BestBox:
    """A rectangle of whole cells (x1 and y1 excluded) and the sum of the values in it."""

    x0: int
    y0: int
    x1: int
    y1: int
    total: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.x0, self.y0, self.x1, self.y1


def best_box(values: ArrayLike) -> BestBox:
    """The rectangle of whole cells of a map [h, w] with the largest sum; at least one cell, whatever the signs.

    Of rectangles with equal sums (to the rounding of float64) the one of fewest cells, then the topmost, leftmost and
    flattest. InputError for a map of another shape, or one with NaN or infinite values.

    >>> best_box([[-1, 2, 3], [-1, 2, -9]]).box
    (1, 0, 3, 1)
    """
    boxes, totals = best_boxes(_map(values)[None])
    x0, y0, x1, y1 = boxes[0].tolist()
    return BestBox(x0, y0, x1, y1, float(totals[0]))


def best_boxes(values: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """`best_box` of many maps [..., h, w] at once -> boxes int64 [..., 4] (x0, y0, x1, y1) and totals [...].

    Kadane's running minimum over the columns, for all pairs of rows at once (Bentley, "Programming pearls: algorithm
    design techniques", CACM 27, 1984): h^2 w sums for each map rather than the h^2 w^2 of all rectangles.
    """
    maps = _finite(values)
    if maps.ndim < 2 or min(maps.shape[-2:]) == 0:
        raise InputError(f"Maps are [..., h, w] with a cell or more, got the shape {list(maps.shape)}; pass such maps.")
    many = maps.reshape(-1, *maps.shape[-2:])
    turned = many.shape[1] > many.shape[2]  # rows are paired: the short side saves work
    boxes = np.empty((len(many), 4), dtype=np.int64)
    step = max(1, 2**20 // (many.shape[1] * many.shape[2]) // min(many.shape[1:]))  # some megabytes of totals
    for first in range(0, len(many), step):
        part = many[first : first + step]
        boxes[first : first + step] = _search(part.swapaxes(1, 2) if turned else part, turned)
    totals = [many[i, y0:y1, x0:x1].sum() for i, (x0, y0, x1, y1) in enumerate(boxes)]
    return boxes.reshape(*maps.shape[:-2], 4), np.asarray(totals, dtype=np.float64).reshape(maps.shape[:-2])


def several(values: ArrayLike, k: int, *, least: float = 0.0) -> list[BestBox]:
    """Up to ``k`` best boxes of a map [h, w], one after another: what was taken is put to the map's lowest value.

    Ends early where the next total would not be above ``least``. ``total`` is the sum when the box was found, so a box
    that crosses an earlier one has paid for it.

    >>> [found.box for found in several([[3, -1, -1, 2]], k=5)]
    [(0, 0, 1, 1), (3, 0, 4, 1)]
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k={k!r} is not a number of boxes; give a whole number of 1 or more.")
    left = _map(values).copy()
    low, found = left.min(), list[BestBox]()
    for _ in range(k):
        best = best_box(left)
        if not best.total > least:
            break
        found.append(best)
        left[best.y0 : best.y1, best.x0 : best.x1] = low
    return found


def regions(values: ArrayLike, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The connected regions of a map [h, w] at or above ``threshold`` -> boxes int64 [n, 4] and mean values [n].

    Cells that share a side are connected. Highest mean first, then the topmost and leftmost box.

    >>> regions([[5, 4, 0, 2]], threshold=2)[0].tolist()
    [[0, 0, 2, 1], [3, 0, 4, 1]]
    """
    from scipy import ndimage

    grid = _map(values)
    if not threshold == threshold:
        raise InputError("threshold is NaN; give a number within the range of the map.")
    marks, count = ndimage.label(grid >= threshold)
    places = ndimage.find_objects(marks)
    boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in places], dtype=np.int64).reshape(-1, 4)
    means = np.asarray(ndimage.mean(grid, marks, np.arange(1, count + 1)), dtype=np.float64)
    order = np.lexsort((boxes[:, 0], boxes[:, 1], -means))
    return boxes[order], means[order]


def _search(maps: NDArray[np.float64], turned: bool) -> NDArray[np.int64]:
    """Boxes [n, 4] of maps [n, h, w]; ``turned`` tells that x and y of the maps are swapped."""
    n, h, w = maps.shape
    sums = np.zeros((w + 1, h + 1, n))  # of all cells above and to the left, by column first
    sums[1:, 1:] = maps.cumsum(1).cumsum(2).transpose(2, 1, 0)
    # Totals this close differ by rounding alone: equal sums are told apart by size and place, not by their last bit.
    slack = np.abs(maps).sum(axis=(1, 2)) * (np.finfo(np.float64).eps * h * w)
    above, below = np.triu_indices(h + 1, 1)  # every strip of whole rows
    best = np.empty((len(above), n))
    step = max(1, _AT_ONCE // n)
    for first in range(0, len(above), step):
        a, b = above[first : first + step], below[first : first + step]
        low, top = np.zeros((len(a), n)), best[first : first + step]
        upto, gain = np.empty_like(low), np.empty_like(low)
        top[...] = -np.inf
        for column in sums[1:]:  # "clip" writes to out directly, and no index is out of bounds
            column.take(b, axis=0, out=upto, mode="clip")
            column.take(a, axis=0, out=gain, mode="clip")
            upto -= gain  # each strip's sum from the left border to this column
            np.subtract(upto, low, out=gain)
            np.maximum(top, gain, out=top)
            np.minimum(low, upto, out=low)
    floor = best.max(axis=0) - slack
    ties = best >= floor
    found = [_smallest(sums[:, :, i], above[ties[:, i]], below[ties[:, i]], floor[i], turned) for i in range(n)]
    return np.array(found)


def _smallest(
    sums: NDArray[np.float64], above: NDArray[np.intp], below: NDArray[np.intp], floor: float, turned: bool
) -> tuple[int, int, int, int]:
    """Of all boxes in these strips with a total at or above ``floor``, the one of fewest cells, topmost, leftmost."""
    found = []
    step = max(1, 2**18 // len(sums) ** 2)
    for first in range(0, len(above), step):
        a, b = above[first : first + step], below[first : first + step]
        strips = (sums[:, b] - sums[:, a]).T  # [strips, w + 1]
        k, x0, x1 = np.nonzero(np.triu(strips[:, None, :] - strips[:, :, None] >= floor, 1))
        y0, y1 = a[k], b[k]
        if turned:
            x0, y0, x1, y1 = y0, x0, y1, x1
        cells = (x1 - x0) * (y1 - y0)
        if len(cells):
            at = np.lexsort((y1, x0, y0, cells))[0]
            found.append((int(cells[at]), int(y0[at]), int(x0[at]), int(y1[at]), int(x1[at])))
    _, top, left, bottom, right = min(found)
    return left, top, right, bottom


def _map(values: ArrayLike) -> NDArray[np.float64]:
    """One map [h, w]."""
    grid = _finite(values)
    if grid.ndim != 2 or grid.size == 0:
        raise InputError(f"A map is [h, w] with a cell or more, got the shape {list(grid.shape)}; pass one such map.")
    return grid


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    """As float64, where a sum of everything is finite: a sum over NaN would make every box NaN, in silence."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"A map of numbers is wanted ({error}); pass an array [h, w].") from error
    with np.errstate(over="ignore"):
        if np.isfinite(np.abs(array).sum()):  # which NaN and infinity are not
            return array
    missing = int(np.isnan(array).sum())
    told = f"NaN in {missing} of {array.size} cells" if missing else "infinite or too large values"
    raise InputError(f"The map holds {told}, and no sum can be taken; replace them, as with np.nan_to_num.")
