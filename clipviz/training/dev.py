"""Prompt accuracy while training: pictures of the `dev` half, named through the first wording of their concepts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..evaluation import zero_shot_metrics
from ..sources import half_of
from .captions import Captions, Concepts
from .data_recipe import SourceRecipe
from .pictures import open_pictures
from .tokens import tokenize
from .towers import Towers

ROWS = 256  # pictures that run at once


class Dev:
    """One source of the recipe's ``data.dev``: its `dev` half, decoded once, and the texts of its concepts.

    A picture's concept is what the first caption of its source says of it. Choices may be made on these figures;
    they are not to be reported.
    """

    def __init__(self, source: SourceRecipe, size: int, context: int, cache: Path, quiet: bool):
        pictures = open_pictures(source, size, cache, quiet=quiet)
        concepts = Concepts()
        own = Captions(source, pictures.rows, concepts).own[:, 0]
        names, self.damaged, pixels = [], 0, []
        for i in np.flatnonzero((own >= 0) & [half_of(name) == "dev" for name in pictures.ids]):
            try:
                image = pictures.image(int(i))
            except DataError:
                self.damaged += 1
                continue
            side = min(image.size)
            x, y = (image.width - side) / 2, (image.height - side) / 2
            small = image.resize((size, size), 3, box=(x, y, x + side, y + side))  # 3: bicubic
            pixels.append(np.asarray(small))
            names.append(own[i])
        classes, self.truth = np.unique(names, return_inverse=True)
        if len(classes) < 2:
            raise DataError(
                f"The dev half of {source.label!r} shows {len(classes)} concepts; scoring takes two or more."
            )
        self.label, self.fingerprint = source.label, pictures.fingerprint
        self.pixels = torch.from_numpy(np.stack(pixels))
        self.tokens = tokenize([concepts.every[c].first for c in classes], context)

    def check(self, seen: Tensor) -> None:
        """DataError where a text has a token that is not among those ``seen``, the only ones with a row."""
        _rows(self.tokens, seen)

    @torch.no_grad()
    def score(self, towers: Towers, seen: Tensor | None) -> dict[str, float]:
        """``top1``, ``chance`` and the others of `clipviz.evaluation.zero_shot_metrics`."""
        device = towers.clip.logit_scale.device
        tokens = self.tokens if seen is None else _rows(self.tokens, seen)
        mode = towers.training
        towers.eval()
        texts = towers(tokens=tokens.to(device))["texts"]
        pieces = self.pixels.split(math.ceil(ROWS))
        images = torch.cat([towers(pixels=piece.to(device))["images"] for piece in pieces])
        towers.train(mode)
        return zero_shot_metrics(images.float().cpu().numpy(), texts.float().cpu().numpy(), self.truth)


def _rows(tokens: Tensor, seen: Tensor) -> Tensor:
    """Ids as rows of a table of the seen ones alone; DataError for one that has no row."""
    rows = torch.searchsorted(seen, tokens).clamp(max=len(seen) - 1)
    inside = torch.arange(tokens.shape[1]) <= tokens.argmax(dim=1, keepdim=True)
    if bool(((seen[rows] != tokens) & inside).any()):
        raise DataError('A dev caption has words that no training caption has; give model.vocabulary = "all".')
    return rows
