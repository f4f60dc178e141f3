"""The three objectives of the paper's efficiency comparison (its figure 2) over one image tower.

Each learns from the same batch of pictures and captions, and each can say how well the text of a class fits a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip import CLIP
from ..clip.vit import VisionTransformer
from ..errors import SpecError, nearest
from ..weights.network import OPENAI_MEAN, OPENAI_STD
from .batches import Batch
from .loss import contrastive_loss
from .network import build
from .recipe import MemoryRecipe, Recipe
from .tokens import tokenize


@dataclass(frozen=True)
class Classes:
    """What is asked of a picture: for each class its words, and the caption that says them.

    ``captions`` and ``words`` int64 [C, L] are rows of the seen tokens, from the start token to the end token;
    what follows the end is padding.
    """

    captions: Tensor
    words: Tensor

    @staticmethod
    def of(names: Sequence[str], template: str, seen: Tensor, context: int) -> Classes:
        """The classes called ``names``, said through a template such as "a photo of a {}."."""
        captions = tokenize([template.replace("{}", name) for name in names], context)
        return Classes(torch.searchsorted(seen, captions), torch.searchsorted(seen, tokenize(names, context)))


class Objective(nn.Module):
    """An image tower and what is asked of it.

    ``loss(batch)`` -> []; the batch's tokens are rows of the seen tokens. ``scores(pixels, classes)`` -> for each
    rule of scoring, by name, how well each class fits each picture [n, C]; the highest wins.
    """

    visual: VisionTransformer

    def loss(self, batch: Batch) -> Tensor:
        raise NotImplementedError

    def scores(self, pixels: Tensor, classes: Classes) -> dict[str, Tensor]:
        raise NotImplementedError


class BagContrastive(Objective):
    """CLIP with a bag of words for its text tower: which caption belongs to which picture."""

    def __init__(self, clip: CLIP, multi_positive: bool):
        super().__init__()
        self.clip, self.visual, self.multi_positive = clip, cast(VisionTransformer, clip.visual), multi_positive

    def loss(self, batch: Batch) -> Tensor:
        images = F.normalize(self.visual.pool(self.visual.embed(colours(batch.pixels), batch.keep)), dim=-1)
        texts = F.normalize(self.clip.text(batch.tokens), dim=-1)
        if self.multi_positive:
            true = (batch.true[:, :, None] == batch.said).any(dim=1)  # [n, n]
        else:
            true = torch.eye(len(images), dtype=torch.bool)
        return contrastive_loss(self.clip.logit_scale.exp() * images @ texts.T, true)

    def scores(self, pixels: Tensor, classes: Classes) -> dict[str, Tensor]:
        images = F.normalize(self.visual(colours(pixels)), dim=-1)
        return {"cosine": images @ F.normalize(self.clip.text(classes.captions), dim=-1).T}


class BagPrediction(Objective):
    """Which words does the picture's caption have? One softmax over all words (Joulin et al. 2016, 1511.02251).

    Their multinomial loss: the cross entropy of the softmax and the caption's distinct words, each with an equal
    share of one. (They found it better than a yes or no for each word.) Stop words stay in, as in the captions.

    A class is scored by the log-probabilities of its words: their "sum", or their "mean", which does not punish
    a name of several tokens. The words around the name are the same for all classes and left out.
    """

    def __init__(self, visual: VisionTransformer, embed_dim: int, vocabulary: int):
        super().__init__()
        self.visual, self.vocabulary = visual, vocabulary
        self.words = nn.Linear(embed_dim, vocabulary - 2)  # the start and the end, the highest two, are no words

    def loss(self, batch: Batch) -> Tensor:
        features = self.visual.pool(self.visual.embed(colours(batch.pixels), batch.keep))
        bag = self._bag(batch.tokens)
        return -(bag * self.words(features).log_softmax(dim=-1)).sum(dim=1).mean()

    def scores(self, pixels: Tensor, classes: Classes) -> dict[str, Tensor]:
        found = self.words(self.visual(colours(pixels))).log_softmax(dim=-1)  # [n, V]
        count = self._count(classes.words)  # [C, V]
        total = found @ count.T
        return {"sum": total, "mean": total / count.sum(dim=1)}

    def _count(self, tokens: Tensor) -> Tensor:
        """How often each word stands in each text, [n, V - 2]."""
        inside = torch.arange(tokens.shape[1]) < tokens.argmax(dim=1, keepdim=True)  # the end is the highest
        count = torch.zeros(len(tokens), self.vocabulary)
        return count.scatter_add_(1, tokens, inside.float())[:, : self.vocabulary - 2]

    def _bag(self, tokens: Tensor) -> Tensor:
        there = (self._count(tokens) > 0).float()
        return there / there.sum(dim=1, keepdim=True)


def colours(pixels: Tensor) -> Tensor:
    """Pixels uint8 [n, S, S, 3] as the network takes them, [n, 3, S, S]."""
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (OPENAI_MEAN, OPENAI_STD))
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


def make_objective(name: str, recipe: Recipe, seen: Tensor) -> Objective:
    """One of `OBJECTIVES` by name, for the ``seen`` token ids; with one seed all begin with the same image tower.

    Raises SpecError for a name that is none, for a recipe whose network is not the small vision transformer with a
    bag of words, and for one that asks for more than the comparison does.

    >>> make_objective("bag-of-words prediction", recipe, seen)  # doctest: +SKIP
    """
    if name not in OBJECTIVES:
        raise SpecError(f"The objective {name!r} is none. {nearest(name, OBJECTIVES)}")
    if recipe.loss.texts != "batch" or recipe.loss.local_weight or recipe.memory != MemoryRecipe():
        raise SpecError(
            'The comparison of objectives gives each picture its caption (loss.texts="batch"), the whole batch at once '
            "in float32: leave loss.local_weight and [memory] out of the recipe."
        )
    clip = build(recipe, seen)
    if recipe.model.text != "cbow" or not isinstance(clip.visual, VisionTransformer):
        raise SpecError(
            'The comparison of objectives needs model.text="cbow" and a vision transformer, '
            f"got text={recipe.model.text!r} and architecture={recipe.model.architecture!r}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed + 1)  # of what an objective has beside the tower
        return OBJECTIVES[name](clip, recipe, len(seen))


def _contrastive(clip: CLIP, recipe: Recipe, vocabulary: int) -> Objective:
    return BagContrastive(clip, recipe.loss.multi_positive)


def _prediction(clip: CLIP, recipe: Recipe, vocabulary: int) -> Objective:
    return BagPrediction(cast(VisionTransformer, clip.visual), recipe.model.embed_dim, vocabulary)


def _language_model(clip: CLIP, recipe: Recipe, vocabulary: int) -> Objective:
    from .objectives_language import LanguageModel

    m = recipe.model
    visual = cast(VisionTransformer, clip.visual)
    return LanguageModel(visual, vocabulary, m.context_length, m.text_width, m.text_layers, m.text_heads)


OBJECTIVES: dict[str, Callable[[CLIP, Recipe, int], Objective]] = {
    "bag-of-words contrastive": _contrastive,
    "bag-of-words prediction": _prediction,
    "Transformer language model": _language_model,
}
