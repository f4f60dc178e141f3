"""What the trainer says about a picture: every text that is true of it, in several wordings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..synth import COLOURS, SHAPES, pairs

CONTEXT = 16


@dataclass(frozen=True)
class Wording:
    """Concepts, each with its wordings: the trained pairs, and, where asked for, colours and shapes alone.

    ``texts`` [concepts][wordings]; ``true_of`` [65, concepts] says which concepts a pair makes true, by its
    index in ``synth.pairs()``; the last row, which index -1 reaches, is that of no object.
    """

    texts: tuple[tuple[str, ...], ...]
    true_of: Tensor

    @cached_property
    def _tokens(self) -> Tensor:
        return tokenize(text for texts in self.texts for text in texts)

    @cached_property
    def seen(self) -> Tensor:
        """The token ids that occur, in rising order."""
        return torch.unique(self._tokens)

    @cached_property
    def rows(self) -> list[Tensor]:
        """The tokens [wordings, L] of each concept as rows of a table that holds the seen tokens alone.

        The order of the ids is kept, so the end of the text is still the highest.
        """
        return list(torch.searchsorted(self.seen, self._tokens).split([len(texts) for texts in self.texts]))

    def say(self, rng: np.random.Generator) -> Tensor:
        """One wording of each concept at random [concepts, L]."""
        return torch.stack([rows[rng.integers(len(rows))] for rows in self.rows])

    def targets(self, labels: Tensor) -> Tensor:
        """Which concepts are true of pictures whose pairs are ``labels`` [N, 4]: bool [N, concepts]."""
        return self.true_of[labels].any(dim=1)


def wording_of_scenes(
    pair_templates: Iterable[str], colour_templates: Iterable[str], shape_templates: Iterable[str]
) -> Wording:
    """The wordings of all trained pairs, and of colours and shapes alone where there are templates for them."""
    every, trained = pairs(), pairs("train")
    said: list[tuple[str, ...]] = []
    truth: list[list[bool]] = []
    for pair in trained:
        said.append(tuple(template.format(*pair) for template in pair_templates))
        truth.append([other == pair for other in every])
    for position, (words, templates) in enumerate(((COLOURS, colour_templates), (SHAPES, shape_templates))):
        for word in words if tuple(templates) else ():
            said.append(tuple(template.format(word) for template in templates))
            truth.append([other[position] == word for other in every])
    true_of = torch.tensor(truth).T  # [64, concepts]
    return Wording(tuple(said), torch.cat([true_of, torch.zeros_like(true_of[:1])]))


def tokenize(texts: Iterable[str]) -> Tensor:
    """CLIP's byte-pair tokens [N, 16] with the ids of the released vocabulary."""
    import open_clip

    return open_clip.get_tokenizer("ViT-B-32", context_length=CONTEXT)(list(texts))
