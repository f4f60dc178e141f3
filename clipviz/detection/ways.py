"""The ways to find boxes: dense patches, windows that share a pass, and the grid of crops."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL.Image import Image

from ..errors import InputError, nearest
from .asking import Asked
from .candidates import Candidates, gathered, judged, kept_apart, of_squares, proposed
from .grid import GRID, SIZES, by_grid
from .levels import default_explainer, seen_at, together
from .prior import BoxPrior
from .pyramid import MOST_TILES
from .score_maps import ScoreMaps
from .windows import SHARES, by_windows

# Standard deviations that are taken off the evidence before the best box is searched: chosen on dev pictures.
OFFSETS = (0.2, 1.0)
RESCORED = 2
Answer = tuple[Candidates, ScoreMaps | None, tuple[str, ...]]


def patches(
    asked: Asked,
    picture: Image,
    per_label: int,
    prior: BoxPrior | None,
    *,
    explainer: str | None = None,
    explainer_options: Mapping[str, Any] | None = None,
    offsets: Sequence[float] = OFFSETS,
    rescore: int = RESCORED,
    smallest: float | None = None,
    most: int = MOST_TILES,
) -> Answer:
    """Dense evidence of the picture at several sizes, the best boxes in it, and a crop of the best few of a label."""
    chosen = _offsets(offsets)
    if isinstance(rescore, bool) or not isinstance(rescore, int) or rescore < 0:
        raise InputError(f"rescore={rescore!r} is no number of boxes a label: pass 0 for none, or a whole number.")
    name = default_explainer(asked.model) if explainer is None else explainer
    levels, notes = seen_at(asked, picture, name, explainer_options or {}, smallest, most)
    evidence, frame = together(levels)
    maps = ScoreMaps(evidence, frame)
    if prior is not None:
        return _by_prior(asked, prior, maps, picture, levels, per_label), maps, notes
    found = proposed(evidence, frame, levels, chosen, per_label)
    found = kept_apart(found, max(per_label, rescore), -np.inf)
    return judged(asked, picture, found, max(rescore, 1)) if rescore else found, maps, notes


def _by_prior(
    asked: Asked, prior: BoxPrior, maps: ScoreMaps, picture: Image, levels: Any, per_label: int
) -> Candidates:
    """The boxes that the prior and the evidence make most probable; a second one weighs as much less as it is so."""
    size, rows = np.array([*picture.size, *picture.size]), []
    weights = []
    for j, evidence in enumerate(maps.values):
        boxes, worth = prior.choose(evidence, per_label)
        rows += [(box * size, j, 0.0, "map and prior") for box in boxes]
        weights += (worth / worth[0]).tolist()
    found = gathered(rows)
    scores = of_squares(found, levels)
    scores = np.where(scores > 0, scores * weights, scores)
    return Candidates(found.boxes, found.labels, scores, found.evidence)


def windows(
    asked: Asked,
    picture: Image,
    per_label: int,
    prior: BoxPrior | None,
    *,
    shares: Sequence[float] = SHARES,
    smallest: float | None = None,
    most: int = MOST_TILES,
) -> Answer:
    """Windows of several sizes and shapes that share the passes of the squares they lie in."""
    _no_prior("windows", prior)
    found, notes = by_windows(asked, picture, shares=shares, smallest=smallest, most=most)
    return found, None, notes


def grid(
    asked: Asked,
    picture: Image,
    per_label: int,
    prior: BoxPrior | None,
    *,
    cells: int = GRID,
    sizes: Sequence[int] = SIZES,
) -> Answer:
    """The classroom's way: every window of a grid of cells is cut out and asked by itself."""
    _no_prior("grid", prior)
    found, maps = by_grid(asked, picture, grid=cells, sizes=sizes)
    return found, maps, ()


METHODS: dict[str, Callable[..., Answer]] = {"patches": patches, "windows": windows, "grid": grid}


def way_of(name: str | None, options: Mapping[str, Any]) -> Callable[..., Answer]:
    """The method of this name, "patches" for None; InputError for it or an option that it does not take."""
    name = "patches" if name is None else name
    if name not in METHODS:
        raise InputError(f"method={name!r} is no way to find boxes. {nearest(str(name), METHODS)}")
    takes = [p.name for p in inspect.signature(METHODS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        if option not in takes:
            raise InputError(f"detect with method={name!r} takes no option {option!r}. {nearest(option, takes)}")
    return METHODS[name]


def _no_prior(name: str, prior: BoxPrior | None) -> None:
    if prior is not None:
        raise InputError(f"method={name!r} takes no prior: leave prior= out, or take method='patches'.")


def _offsets(offsets: Any) -> tuple[float, ...]:
    values = (offsets,) if isinstance(offsets, int | float) else tuple(offsets)
    if not values or not all(isinstance(v, int | float) and np.isfinite(v) for v in values):
        raise InputError(f"offsets={offsets!r} are standard deviations of the evidence: pass some such as 0.2.")
    return tuple(float(value) for value in values)
