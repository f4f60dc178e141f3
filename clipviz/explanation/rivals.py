"""Trivial rivals of a map: the centre of the picture, and the same method in a network that has learnt nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ClipvizError
from ..model import Look, Model
from ..text import Prompt
from .heatmap import Heatmap
from .metrics import centre_map, randomised, rank_correlation
from .question import Question
from .ways import Way

# A map that orders the places as a bell over the centre does, to this degree, says that pictures have a middle.
CENTRE_LIMIT = 0.9
# |rank correlation| with the map under random weights, above which a map is of the picture rather than of the model.
# Looser than the 0.3 that a mean over many pictures must keep: a map of 7 x 7 cells reaches 0.3 by chance.
RANDOM_LIMIT = 0.5


@dataclass(frozen=True)
class Rivalry:
    """How near a map comes to its rivals, as rank correlations; NaN where it was not measured or a map is constant."""

    centre: float
    random: float = math.nan

    @property
    def like_centre(self) -> bool:
        return self.centre > CENTRE_LIMIT

    @property
    def like_random(self) -> bool:
        return abs(self.random) > RANDOM_LIMIT

    def notes(self, name: str) -> list[str]:
        """In words, what is to be doubted."""
        found = []
        if self.like_centre:
            found.append(
                f"{name} is no better than the centre: it orders the places as a bell over the middle does "
                f"(rank correlation {self.centre:.2f}, limit {CENTRE_LIMIT})."
            )
        if self.like_random:
            found.append(
                f"{name} is no better than its own map under random weights (rank correlation {self.random:+.2f}, "
                f"limit {RANDOM_LIMIT} either way): it shows the picture, not what the model has learnt."
            )
        return found


def centre_rivalry(heatmap: Heatmap) -> Rivalry:
    """Beside the centre of what the model saw; costs no pass."""
    rows, columns = heatmap.values.shape
    return Rivalry(rank_correlation(heatmap.values, centre_map((rows, columns))))


class RandomCopies:
    """The same question to copies of the models with random weights, of which one is kept at a time."""

    def __init__(self, prompt: Prompt, asked: Mapping[str, Any], seed: int):
        self.prompt, self.asked, self.seed = prompt, asked, seed
        self._of: Model | None = None
        self._look: Look | None = None

    def rivalry(self, way: Way, heatmap: Heatmap, look: Look) -> Rivalry:
        """Beside the centre and the map under random weights, where the method can make one."""
        centre = centre_rivalry(heatmap)
        try:
            if self._look is None or self._of is not way.model:
                copy = randomised(way.model, self.seed)
                self._of, self._look = way.model, copy.look(look.picture, look.frame.view)
            question = Question(self._look.model, self.prompt, way.method, way.options, **self.asked)
            other = question.row(self._look, heatmap.origin)[0]
        except ClipvizError:
            return centre
        return Rivalry(centre.centre, rank_correlation(heatmap.values, other.values))
