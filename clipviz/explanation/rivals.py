"""Trivial rivals of a map: the centre of the picture, and the same method in a network that has learnt nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError, PromptError
from ..model import Look, Model
from ..text import Prompt
from .heatmap import Heatmap
from .metrics import centre_map, randomised, rank_correlation
from .metrics.faithfulness import Curves, insertion_deletion
from .question import Question
from .ways import Way

# A map that orders the places as a bell over the centre does, to this degree, says that pictures have a middle.
CENTRE_LIMIT = 0.9
# Mean |rank correlation| with the maps under random weights, above which a map is of the picture and not of the model.
# Looser than the 0.3 that a mean over many pictures must keep: a map of 7 x 7 cells reaches 0.3 by chance.
RANDOM_LIMIT = 0.5


DRAWS = 3  # of random weights: one draw may resemble, or oppose, any map of a few cells
STEPS = 12  # in which the places are put in, most important first


@dataclass(frozen=True)
class Rivalry:
    """How near a map comes to its rivals; NaN where it was not measured, or a map is constant and orders nothing.

    ``centre`` is the rank correlation with a bell over the middle, ``random`` the mean of its absolute value with the
    maps under `DRAWS` draws of random weights;
    ``insertion`` is the area under the score as the places appear, and ``centre_insertion`` from the centre outwards.
    ``unmade`` tells, in sentences, which check was not made and why: there it gives no verdict.
    """

    centre: float
    random: float = math.nan
    insertion: float = math.nan
    centre_insertion: float = math.nan
    unmade: tuple[str, ...] = ()

    @property
    def like_centre(self) -> bool:
        return self.centre > CENTRE_LIMIT or self.insertion <= self.centre_insertion

    @property
    def like_random(self) -> bool:
        return self.random > RANDOM_LIMIT

    def notes(self, name: str) -> list[str]:
        """In words, what is to be doubted."""
        found = []
        if self.centre > CENTRE_LIMIT:
            found.append(
                f"{name} is no better than the centre: it orders the places as a bell over the middle does "
                f"(rank correlation {self.centre:.2f}, limit {CENTRE_LIMIT})."
            )
        elif self.like_centre:
            found.append(
                f"{name} is no better than the centre on this picture: the score rises no faster with its places first "
                f"than from the centre outwards (insertion {self.insertion:.3f}, centre {self.centre_insertion:.3f})."
            )
        if self.like_random:
            found.append(
                f"{name} is no better than its own map under random weights (|rank correlation| {self.random:.2f}, "
                f"limit {RANDOM_LIMIT}): it shows the picture, not what the model has learnt."
            )
        return found


class Rivals:
    """What maps of one picture and text are held against; the random copies of one model are kept at a time."""

    def __init__(self, prompt: Prompt, asked: Mapping[str, Any], seed: int):
        self.prompt, self.asked, self.seed = prompt, asked, seed
        self._of: Model | None = None
        self._copies: list[Look] = []
        self._centres: dict[tuple[Model, tuple[int, ...]], Curves] = {}

    def centre(self, heatmap: Heatmap) -> Rivalry:
        """The centre alone, which costs no pass."""
        return Rivalry(rank_correlation(heatmap.values, _centre(heatmap)))

    def all(self, way: Way, question: Question, heatmap: Heatmap, look: Look) -> Rivalry:
        """The centre, by order and by insertion, and the map under random weights, where each can be had."""
        found = self.centre(heatmap)
        if heatmap.constant:
            return found
        random, no_random = self._random(way, heatmap, look)
        insertions, no_insertion = self._insertions(question, heatmap, look)
        return replace(found, random=random, **insertions, unmade=tuple(filter(None, (no_random, no_insertion))))

    def _insertions(self, question: Question, heatmap: Heatmap, look: Look) -> tuple[dict[str, float], str]:
        """The two areas, or why there are none."""
        if len(look.pixels) > 1:
            return {}, f"Insertion was not measured: {look.model.name} saw the picture in {len(look.pixels)} tiles."
        key = (look.model, heatmap.values.shape)
        if key not in self._centres:
            self._centres[key] = _curves(question, look, _centre(heatmap), self.seed)
        centre = self._centres[key]
        if centre.left_out:  # which no map changes: the areas would be turned over, or all noise
            return {}, (
                f"Insertion was not measured: {look.model.name} scores the picture at {centre.full:+.3f} and its blur "
                f"at {centre.blank:+.3f}, so that no score rises as the places appear."
            )
        insertion = _curves(question, look, heatmap.values, self.seed).insertion_auc
        return {"insertion": insertion, "centre_insertion": centre.insertion_auc}, ""

    def _random(self, way: Way, heatmap: Heatmap, look: Look) -> tuple[float, str]:
        """The mean of its likeness to the maps under random weights, or why there is none."""
        if way.model.kind == "other":
            return math.nan, f"Random weights were not tried: {way.model.name} is run by open_clip."
        if self._of is not way.model:
            copies = (randomised(way.model, self.seed + i) for i in range(DRAWS))
            self._copies = [copy.look(look.picture, look.frame.view) for copy in copies]
            self._of = way.model
        found = []
        try:
            for copy in self._copies:
                question = Question(copy.model, self.prompt, way.method, way.options, **self.asked)
                found.append(abs(rank_correlation(heatmap.values, question.row(copy, heatmap.origin)[0].values)))
        except (InputError, PromptError) as error:  # the method itself cannot be asked of such a network
            return math.nan, f"{way.name} has no map under random weights: {error}"
        if np.isnan(found).any():
            return math.nan, f"{way.name} has a map under random weights that is the same everywhere."
        return float(np.mean(found)), ""


def _curves(question: Question, look: Look, values: np.ndarray, seed: int) -> Curves:
    rows, columns = values.shape if look.model.kind == "other" else look.model.grid  # what is hidden at a time
    steps = min(STEPS, rows * columns)
    return insertion_deletion(look, question.target, values, steps=steps, seed=seed)


def _centre(heatmap: Heatmap) -> np.ndarray:
    rows, columns = heatmap.values.shape
    return centre_map((rows, columns))
