"""Insertion and deletion: does the score follow when the cells appear, or vanish, in the order of the map?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...model import Look
from ..target import Target
from .hiding import hiding, on_cells
from .region import Seed, as_map, chance, is_flat

# Of a cosine: below it picture and blank score about the same, and one quotient outweighs all others. Measured on 60
# photographs with clipviz's test CLIP: a median of 0.2 to 0.3, and with 0.01 single areas of -9 among those of 0.6.
LEAST = 0.05
_STEPS = 100


@dataclass(frozen=True, eq=False)
class Curves:
    """How the score follows the order of a map: ``insertion`` and ``deletion`` [steps + 1] over ``shares`` 0 to 1.

    The curves are (s - blank) / (full - blank) where ``normalised``, else the scores themselves; ``full`` and ``blank``
    are the scores of the picture and of nothing but the baseline. ``left_out``: |full - blank| is too small to divide
    by, the curves and areas are NaN, and the picture is to be counted, not averaged; no map changes that, so that all
    methods leave out the same pictures. A picture below its blank (full < blank) is kept, its curves turned over.
    ``constant``: the map orders nothing, and the order is a random one.
    """

    shares: NDArray[np.float64]
    insertion: NDArray[np.float64]
    deletion: NDArray[np.float64]
    full: float
    blank: float
    normalised: bool
    left_out: bool
    constant: bool

    @property
    def insertion_auc(self) -> float:
        """The area under the insertion curve: higher is better."""
        return float(np.trapezoid(self.insertion, self.shares))

    @property
    def deletion_auc(self) -> float:
        """The area under the deletion curve: lower is better."""
        return float(np.trapezoid(self.deletion, self.shares))


def insertion_deletion(
    look: Look,
    target: Target,
    values: Any,
    *,
    text: int = 0,
    unit: str = "patch",
    baseline: str = "blur",
    steps: int | None = None,
    normalise: bool | None = None,
    least: float = LEAST,
    batch_size: int = 32,
    seed: Seed = 0,
) -> Curves:
    """Show the cells of a picture from the highest of its map on ("insertion"), and hide them so ("deletion").

    ``values`` [h, w] is a map of ``look`` for text number ``text`` of ``target``; `centre_map` and `random_map` are its
    rivals. ``unit`` is "patch" or "pixel" of what the model sees, ``baseline`` "blur" or "mean"; ``steps`` are at most
    100. By default cosines and margins are normalised and the probabilities of ``contrast="softmax"`` are not. Cells of
    equal value come in an order by ``seed``. Costs 2 x steps forward passes, ``batch_size`` at a time.
    Raises InputError. Petsiuk et al. 2018, RISE (arXiv 1806.07421).

    >>> insertion_deletion(look, target, heatmap.values).insertion_auc  # doctest: +SKIP
    """
    grid = as_map(values)
    parts = hiding(look, target, grid.shape, unit=unit, baseline=baseline, text=text, batch_size=batch_size)
    number = min(parts.count, _STEPS) if steps is None else steps
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= parts.count:
        raise InputError(f"steps={steps!r} does not divide {parts.count} cells: pass 1 to {parts.count}.")
    cells = on_cells(grid, parts.cells).ravel()
    place = np.empty(parts.count, np.int64)
    place[np.lexsort((chance(seed).random(parts.count), -cells))] = np.arange(parts.count)
    ends = np.linspace(0, parts.count, number + 1).round().astype(np.int64)
    taken = place[None, :] < ends[:, None]  # [steps + 1, cells]
    # The ends are the same two pictures, for both curves.
    inserted = parts.scores(taken)
    deleted = np.concatenate([inserted[-1:], parts.scores(~taken[1:-1]), inserted[:1]])
    full, blank = float(inserted[-1]), float(inserted[0])
    by_blank = target.linear if normalise is None else normalise
    # Signed: where the blank scores higher, the quotient would praise what speaks against the text.
    left_out = by_blank and full - blank < least
    if left_out:
        inserted, deleted = np.full_like(inserted, math.nan), np.full_like(deleted, math.nan)
    elif by_blank:
        inserted, deleted = ((curve - blank) / (full - blank) for curve in (inserted, deleted))
    return Curves(ends / parts.count, inserted, deleted, full, blank, by_blank, left_out, is_flat(grid))
