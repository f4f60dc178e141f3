"""Who takes part: the methods, and rivals that know nothing of picture, weights or text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...explanation.defaults import default_method, default_options
from ...explanation.metrics import centre_map, random_map
from ...explanation.registry import check_maps, check_options, find_explainer, list_explainers
from ...explanation.target import Target
from ...explanation.ways import by_method
from ...model import Look, Model

CENTRE, RANDOM_MAP = "the centre", "a random map"
RANDOM_WEIGHTS, OTHER_TEXT = "random weights", "another text"
RIVALS = (CENTRE, RANDOM_MAP, RANDOM_WEIGHTS, OTHER_TEXT)
Maps = NDArray[np.float64]


@dataclass(frozen=True)
class Entrant:
    """A row of the table: a registered ``method`` with its options, or a rival.

    ``method`` is empty for the centre and the random map, which need no model. The rivals "random weights" and
    "another text" are the default method, with weights that were never trained and with a text that is not asked.
    """

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    uses_text: bool = True

    @property
    def rival(self) -> bool:
        return self.name in RIVALS

    def maps(self, model: Model, pixels: Tensor, texts: Tensor, names: tuple[str, ...], seed: Any) -> Maps:
        """[N, P, h, w] of pictures ``pixels`` [N, 3, S, S], each asked all ``texts`` [P, E]."""
        if not self.method:
            cells = model.grid if model.kind != "other" else (7, 7)
            if self.name == CENTRE and min(cells) < FEW:
                cells = (FINE, FINE)
            shape = (len(pixels), len(texts))
            if self.name == CENTRE:
                return np.broadcast_to(centre_map(cells), (*shape, *cells))
            drawn = np.stack([random_map(cells, [_LOT, *seed, i]) for i in range(len(pixels))])
            return drawn[:, None].repeat(shape[1], 1)
        explainer = find_explainer(self.method, model)
        target = Target(texts, texts[:0], names, (), "margin", model.logit_scale)
        # A Look whose tiles are pictures: a method takes each tile by itself.
        look = Look(model, pixels, _NONE, _NONE)
        with torch.inference_mode(False):
            given = explainer.function(model, look, target, **self.options)
        return check_maps(given, explainer, len(pixels), len(texts)).maps.numpy().astype(np.float64)


# On a grid of fewer cells a bell over the middle is flat, or points off it: the centre is then drawn finer.
FEW, FINE = 5, 28
_LOT = 7401  # in front: a seed with zeros behind it is the same seed

_NONE: Any = None  # the picture of several, and the frame of several: no method asks for them


def entrants(model: Model, methods: Any = None) -> tuple[Entrant, ...]:
    """The rivals, then ``methods`` (names, or pairs of a name and options); all that serve the model where None.

    Raises InputError or ModelError for a method that is not known, cannot serve, or has no such option.
    """
    methods = list(list_explainers(model)["name"]) if methods is None else methods
    found = []
    for way in by_method(model, methods):
        explainer = find_explainer(way.method, model)
        check_options(explainer, way.options)
        found.append(Entrant(way.name, way.method, dict(way.options), explainer.uses_text))
    default, options = default_method(model), default_options(model)
    rivals = [Entrant(CENTRE, "", uses_text=False), Entrant(RANDOM_MAP, "", uses_text=False)]
    if model.kind != "other":  # whose weights cannot be drawn anew
        rivals.append(Entrant(RANDOM_WEIGHTS, default, options))
    rivals.append(Entrant(OTHER_TEXT, default, options))
    return (*rivals, *found)
