"""The ways to find boxes: dense patches, windows that share a pass, and the grid of crops."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.Image import Image

from ..errors import InputError, nearest
from ..model import Model
from .asking import Asked
from .candidates import Candidates, gathered, judged, kept_apart, of_squares, proposed
from .grid import GRID, SIZES, by_grid
from .levels import default_explainer, seen_at, together
from .prior import BoxPrior
from .pyramid import MOST_TILES
from .score_maps import ScoreMaps
from .windows import SHARES, by_windows

if TYPE_CHECKING:
    from tqdm import tqdm


@dataclass(frozen=True)
class Tuning:
    """What an explainer's maps bear, chosen on dev pictures: maps that gather in a few cells want a smaller offset.

    ``offsets`` in standard deviations, ``rescore`` boxes a label seen again as crops, and the smallest thing of
    interest as the ``parts``-th of the picture's short side.
    """

    offsets: tuple[float, ...]
    rescore: int
    parts: int


TUNED = {"head_decomposition": Tuning((0.2,), 0, 12), "relevance": Tuning((0.2,), 0, 12)}
OTHERS = Tuning((0.7,), 5, 8)
Answer = tuple[Candidates, ScoreMaps, tuple[str, ...]]


def patches(
    asked: Asked,
    picture: Image,
    per_label: int,
    prior: BoxPrior | None,
    bar: tqdm[Any] | None = None,
    *,
    explainer: str | None = None,
    explainer_options: Mapping[str, Any] | None = None,
    offsets: Sequence[float] | None = None,
    rescore: int | None = None,
    smallest: float | None = None,
    most: int = MOST_TILES,
) -> Answer:
    """Dense evidence of the picture at several sizes, the best boxes in it, and a crop of the best few of a label."""
    if rescore is not None and (isinstance(rescore, bool) or not isinstance(rescore, int) or rescore < 0):
        raise InputError(f"rescore={rescore!r} is no number of boxes a label: pass 0 for none, or a whole number.")
    if explainer_options is not None and not isinstance(explainer_options, Mapping):
        raise InputError(f"explainer_options={explainer_options!r} are no options by name: pass such as {{'k': 1}}.")
    name = default_explainer(asked.model)  # which refuses a model without patches
    name = name if explainer is None else explainer
    tuned = TUNED.get(str(name), OTHERS)
    chosen = _offsets(tuned.offsets if offsets is None else offsets)
    rescore = tuned.rescore if rescore is None else rescore
    smallest = max(1.0, min(picture.size) / tuned.parts) if smallest is None else smallest
    levels, notes = seen_at(asked, picture, name, explainer_options or {}, smallest, most, bar)
    evidence, frame = together(levels)
    maps = ScoreMaps(evidence, frame)
    if prior is not None:
        return _by_prior(asked, prior, maps, picture, levels, per_label), maps, notes
    found = proposed(evidence, frame, levels, chosen, per_label)
    if rescore:  # what overlaps a better one is not worth a crop; the caller sets the rest apart, once
        found = judged(asked, picture, kept_apart(found, rescore, -np.inf), rescore)
    return found, maps, notes


def _by_prior(
    asked: Asked, prior: BoxPrior, maps: ScoreMaps, picture: Image, levels: Any, per_label: int
) -> Candidates:
    """The boxes that the prior and the evidence make most probable; a second one weighs as much less as it is so."""
    size, rows = np.array([*picture.size, *picture.size]), []
    weights = []
    for j, evidence in enumerate(maps.values):
        boxes, worth = prior.choose(evidence, per_label, asked.labels[j])
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
    bar: tqdm[Any] | None = None,
    *,
    shares: Sequence[float] = SHARES,
    smallest: float | None = None,
    most: int = MOST_TILES,
) -> Answer:
    """Windows of several sizes and shapes that share the passes of the squares they lie in."""
    _no_prior("windows", prior)
    return by_windows(asked, picture, shares=shares, smallest=smallest, most=most, bar=bar)


def grid(
    asked: Asked,
    picture: Image,
    per_label: int,
    prior: BoxPrior | None,
    bar: tqdm[Any] | None = None,
    *,
    cells: int = GRID,
    sizes: Sequence[int] = SIZES,
) -> Answer:
    """The classroom's way: every window of a grid of cells is cut out and asked by itself."""
    _no_prior("grid", prior)
    found, maps = by_grid(asked, picture, grid=cells, sizes=sizes, bar=bar)
    return found, maps, ()


METHODS: dict[str, Callable[..., Answer]] = {"patches": patches, "windows": windows, "grid": grid}


def way_of(name: str | None, options: Mapping[str, Any]) -> Callable[..., Answer]:
    """The method of this name, "patches" for None; InputError for it or an option that it does not take."""
    name = "patches" if name is None else name
    if name not in METHODS:
        raise InputError(f"method={name!r} is no way to find boxes. {nearest(str(name), METHODS)}")
    takes = _defaults(METHODS[name])
    for option in options:
        if option not in takes:
            raise InputError(f"detect with method={name!r} takes no option {option!r}. {nearest(option, takes)}")
    return METHODS[name]


def told(way: Callable[..., Answer], model: Model, options: Mapping[str, Any]) -> dict[str, str]:
    """Every option of a way as it was used, those that nobody named too, for the provenance."""
    used = {**_defaults(way), **options}
    if "explainer" in used:
        used["explainer"] = default_explainer(model) if used["explainer"] is None else used["explainer"]
        tuned = TUNED.get(str(used["explainer"]), OTHERS)
        if used["offsets"] is None:
            used["offsets"] = tuned.offsets
        if used["rescore"] is None:
            used["rescore"] = tuned.rescore
        if used["smallest"] is None:
            used["smallest"] = f"1/{tuned.parts} of the short side"
    return {name: repr(value) for name, value in used.items()}


def _defaults(way: Callable[..., Answer]) -> dict[str, Any]:
    """The options that a way takes, with what they are where nobody names them."""
    return {p.name: p.default for p in inspect.signature(way).parameters.values() if p.kind is p.KEYWORD_ONLY}


def _no_prior(name: str, prior: BoxPrior | None) -> None:
    if prior is not None:
        raise InputError(f"method={name!r} takes no prior: leave prior= out, or take method='patches'.")


def _offsets(offsets: Any) -> tuple[float, ...]:
    values = tuple(offsets) if isinstance(offsets, Sequence | np.ndarray) else (offsets,)
    if not values or not all(isinstance(v, int | float | np.number) and np.isfinite(v) for v in values):
        raise InputError(f"offsets={offsets!r} are standard deviations of the evidence: pass some such as 0.2.")
    return tuple(float(value) for value in values)
