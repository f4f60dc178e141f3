"""The grid pointing game: pictures of different classes side by side, where no method gains by liking the centre."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ...errors import InputError
from ...images import open_image
from .region import Map, Seed, as_map, chance, highest

_DRAWS = 1000  # a mosaic; where not one of so many holds, none will


@dataclass(frozen=True)
class Mosaic:
    """Which pictures stand side by side, row by row, and which of them is ``asked``.

    ``members`` are places in the list that was drawn from, ``classes`` their classes, ``draw`` the number of the draw
    from 0: of ``mosaics[-1].draw + 1`` drawn ``len(mosaics)`` held.
    """

    members: tuple[int, ...]
    classes: tuple[int, ...]
    asked: int
    rows: int
    columns: int
    draw: int

    @property
    def asked_class(self) -> int:
        """The class whose text is asked."""
        return self.classes[self.asked]

    def picture(self, pictures: Sequence[Any] | Callable[[int], Any], side: int = 64) -> Image.Image:
        """The mosaic as one picture of ``columns * side`` x ``rows * side`` pixels.

        ``pictures`` gives by place whatever `open_image` takes; what is not ``side`` x ``side`` is resized (bicubic).
        """
        if side < 1:
            raise InputError(f"side={side!r} is no size of a tile in pixels: pass 1 or more, such as 64.")
        get = pictures if callable(pictures) else pictures.__getitem__
        whole = Image.new("RGB", (self.columns * side, self.rows * side))
        for place, member in enumerate(self.members):
            tile = open_image(get(member))
            if tile.size != (side, side):
                tile = tile.resize((side, side), Image.Resampling.BICUBIC)
            row, column = divmod(place, self.columns)
            whole.paste(tile, (column * side, row * side))
        return whole


def draw_mosaics(
    scores: ArrayLike, classes: ArrayLike, n: int, *, rows: int = 2, columns: int = 2, seed: int = 0
) -> tuple[Mosaic, ...]:
    """``n`` mosaics of pictures of different classes, each told right among those of its mosaic, by ``seed``.

    ``scores`` [N, C] are the cosines of N pictures, each seen alone, with C class texts; ``classes`` [N] their own.
    Pictures are drawn (without repeats within a mosaic) until ``n`` draws hold: all classes differ, and every picture
    scores strictly higher with its own text than with those of the others. The asked one is drawn evenly. Show them to
    a model whose patches end where the tiles end: of patch 8, ``load(path, image_size=112)`` for 2 x 2, 168 for 3 x 3.
    Raises InputError where too few draws hold. Boehle et al. 2021, Convolutional Dynamic Alignment Networks
    (arXiv 2104.00032); Zhang et al. 2016 (arXiv 1608.00507).

    >>> draw_mosaics(np.eye(4), [0, 1, 2, 3], 1)[0].classes
    (3, 2, 0, 1)
    """
    table, own = np.asarray(scores, dtype=np.float64), np.asarray(classes)
    if table.ndim != 2 or own.shape != table.shape[:1] or own.dtype.kind not in "iu":
        raise InputError(
            f"scores are [pictures, classes] and classes [pictures] of whole numbers; got {list(table.shape)} and "
            f"{list(own.shape)} of {own.dtype}."
        )
    if not np.isfinite(table).all() or (len(own) and (own.min() < 0 or own.max() >= table.shape[1])):
        raise InputError("scores must be finite, and every class the number of one of their columns.")
    _check_grid(rows, columns)
    tiles = rows * columns
    if len(np.unique(own)) < tiles:
        raise InputError(f"{len(np.unique(own))} classes make no mosaic of {tiles} different ones: give more pictures.")
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"n={n!r} is no count of mosaics: pass a whole number such as 1000.")
    rng = np.random.default_rng(seed)
    found: list[Mosaic] = []
    for draw in range(n * _DRAWS):
        members = rng.choice(len(own), tiles, replace=False)
        names = own[members]
        if len(set(names.tolist())) < tiles:
            continue
        among = table[np.ix_(members, names)]  # [tiles, tiles]: picture i with the text of picture j
        rest = np.where(np.eye(tiles, dtype=bool), -np.inf, among).max(axis=1)
        if not (among.diagonal() > rest).all():
            continue
        asked = int(rng.integers(tiles))
        found.append(Mosaic(tuple(members.tolist()), tuple(names.tolist()), asked, rows, columns, draw))
        if len(found) == n:
            return tuple(found)
    raise InputError(
        f"Of {n * _DRAWS} draws only {len(found)} hold pictures of different classes that the model tells apart, "
        f"and {n} are asked for: give more pictures, a better model, or a smaller n."
    )


def tile_scores(values: Any, rows: int = 2, columns: int = 2) -> NDArray[np.float64]:
    """The mean of a map [h, w] over each tile: [rows, columns].

    Raises InputError where the tiles do not end between cells.

    >>> tile_scores([[1, 3], [5, 5]], 1, 2).tolist()
    [[3.0, 4.0]]
    """
    return _tiles(values, rows, columns).mean(axis=(1, 3))


def tile_shares(values: Any, rows: int = 2, columns: int = 2) -> NDArray[np.float64]:
    """The share of the positive part of a map [h, w] in each tile: [rows, columns], summing to 1.

    All NaN where nothing is positive. This is the localisation metric of Boehle et al. 2021 (arXiv 2104.00032).

    >>> tile_shares([[1, -3], [3, 0]], 1, 2).tolist()
    [[1.0, 0.0]]
    """
    sums = np.maximum(_tiles(values, rows, columns), 0).sum(axis=(1, 3))
    return sums / sums.sum() if sums.any() else np.full_like(sums, np.nan)


def peak_tile(values: Any, rows: int = 2, columns: int = 2, *, seed: Seed = 0) -> int | None:
    """The tile, counted row by row from 0, that holds the highest cell; None for a constant map. Ties by ``seed``.

    >>> peak_tile([[0, 1], [0, 0]])
    1
    """
    grid = _tiles(values, rows, columns)
    if np.ptp(grid) == 0:
        return None
    rng = chance(seed)
    _, high, tile_columns, wide = grid.shape
    row, column = divmod(highest(grid.reshape(-1), rng), tile_columns * wide)
    return row // high * tile_columns + column // wide


@dataclass(frozen=True)
class Kept:
    """Whether a map keeps to the asked tile: its peak, its largest tile mean, and the ``share`` of its positive part.

    A constant map keeps to none: False, False. ``share`` is NaN where nothing is positive. Chance is 1 / tiles.
    """

    by_peak: bool
    by_mean: bool
    share: float
    constant: bool


def keeps_to_tile(values: Any, asked: int, rows: int = 2, columns: int = 2, *, seed: Seed = 0) -> Kept:
    """Whether a map [h, w] of a mosaic is highest in the tile ``asked``, counted row by row from 0. Ties by ``seed``.

    >>> keeps_to_tile([[0, 1], [0, 0]], asked=1)
    Kept(by_peak=True, by_mean=True, share=1.0, constant=False)
    """
    tiles = rows * columns
    if isinstance(asked, bool) or not isinstance(asked, int | np.integer) or not 0 <= asked < tiles:
        raise InputError(f"asked={asked!r} is no tile of {rows} x {columns}: pass 0 to {tiles - 1}, row by row.")
    rng = chance(seed)
    peak = peak_tile(values, rows, columns, seed=rng)
    share = float(tile_shares(values, rows, columns).flat[asked])
    if peak is None:
        return Kept(False, False, share, True)
    means = tile_scores(values, rows, columns).ravel()
    return Kept(peak == asked, highest(means, rng) == asked, share, False)


def _tiles(values: Any, rows: int, columns: int) -> Map:
    """[h, w] -> [rows, h / rows, columns, w / columns]."""
    grid = as_map(values, "The map of a mosaic")
    _check_grid(rows, columns)
    (h, w) = grid.shape
    if h % rows or w % columns:
        raise InputError(
            f"A map of {h} x {w} cells has no {rows} x {columns} tiles that end between cells: load the model at an "
            f"image_size with a multiple of {math.lcm(rows, columns)} patches a side."
        )
    return grid.reshape(rows, h // rows, columns, w // columns)


def _check_grid(rows: int, columns: int) -> None:
    whole = all(isinstance(x, int) and not isinstance(x, bool) and x > 0 for x in (rows, columns))
    if not whole or rows * columns < 2:
        raise InputError(f"A mosaic of {rows!r} x {columns!r} is none: pass rows=2, columns=2 or more.")
