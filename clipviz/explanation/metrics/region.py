"""What every metric takes: a map, a region of the picture, a seed; and what each may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...frame import Frame

Map = NDArray[np.float64]
Seed = int | Sequence[int] | np.random.Generator


def as_map(values: Any, what: str = "A map") -> Map:
    """``values`` as [h, w] float64, from an array or a tensor; InputError for another shape or what is not finite."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    try:
        grid = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} is an array [h, w] of numbers; got {type(values).__name__} ({error}).") from error
    if grid.ndim != 2 or grid.size == 0:
        raise InputError(f"{what} is [h, w] with at least one cell, got the shape {list(grid.shape)}; pass one map.")
    if not np.isfinite(grid).all():
        raise InputError(
            f"{what} holds {int((~np.isfinite(grid)).sum())} NaN or infinite values; pass finite ones (with frame= "
            "the values at the model's grid, not those of on_image())."
        )
    return grid


def is_flat(values: Any) -> bool:
    """Whether a map says nothing: every cell the same.

    >>> is_flat(np.zeros((2, 2))), is_flat(np.eye(2))
    (True, False)
    """
    return bool(np.ptp(as_map(values)) == 0)


def on_picture(values: Any, frame: Frame | None) -> Map:
    """The map in the picture's pixels [H, W], as `Frame.on_image` does it: NaN where the model did not look.

    Without a ``frame`` the values are taken to be at the picture's pixels already.
    """
    grid = as_map(values)
    return grid if frame is None else frame.on_image(grid).astype(np.float64)


def as_region(region: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask [H, W] or a box (x0, y0, x1, y1) in original pixels -> the mask [H, W] of a picture of ``shape`` (H, W).

    Coordinates are continuous, pixel i covering [i, i + 1]: a box holds the pixels whose centre it holds, and one that
    names its last pixel (as Tiny ImageNet's do) needs 1 added to x1 and y1. What lies outside of the picture is cut
    off. InputError for a mask of another size, one that is not boolean or 0 and 1, and for a region without a pixel.
    """
    if hasattr(region, "detach"):
        region = region.detach().cpu()
    given = np.asarray(region)
    height, width = shape
    if given.ndim == 1:
        if given.shape != (4,) or given.dtype.kind not in "iuf" or not np.isfinite(given).all():
            raise InputError(f"A box is four finite numbers x0, y0, x1, y1 in pixels; got {given.tolist()}.")
        x0, y0, x1, y1 = given.tolist()
        across, down = np.arange(width) + 0.5, np.arange(height) + 0.5
        mask = ((down >= y0) & (down < y1))[:, None] & ((across >= x0) & (across < x1))
        if not mask.any():
            raise InputError(
                f"The box {given.tolist()} holds no pixel of a picture of {width} x {height}: it is x0, y0, x1, y1 "
                "with x1 and y1 behind the last pixel."
            )
        return mask
    if given.shape != shape:
        raise InputError(
            f"The mask is {list(given.shape)} and the picture [{height}, {width}] (rows, columns): pass a mask at the "
            "picture's own pixels, and frame= with a map at the model's grid."
        )
    if given.dtype != bool:
        if given.dtype.kind not in "iuf" or not np.isin(given, (0, 1)).all():
            raise InputError(f"A mask is boolean or 0 and 1; got {given.dtype}: pass mask > 0, or mask == label.")
        given = given.astype(bool)
    if not given.any():
        raise InputError("The mask is empty: there is nothing to be found, leave the picture out and count it.")
    return given


def chance(seed: Seed) -> np.random.Generator:
    """A generator from a seed, from several numbers (``(seed, picture)`` gives each picture its own), or itself.

    >>> int(chance((0, 3)).integers(10)) == int(chance((0, 3)).integers(10))
    True
    """
    if isinstance(seed, np.random.Generator):
        return seed
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"seed={seed!r} is no seed ({error}): pass a whole number, or several as (seed, i)."
        ) from error


def highest(values: NDArray[np.float64], rng: np.random.Generator) -> int:
    """The place of the highest value in the flat array; one of them at random where several are. NaN is passed over."""
    top = np.flatnonzero(values == np.nanmax(values))
    return int(top[0] if len(top) == 1 else top[rng.integers(len(top))])
