"""Train one objective and look at it on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from ..clip import CLIP
from .batches import Batch, Batches
from .network import seen_tokens
from .objectives import BagContrastive, Classes, Objective, make_objective
from .optim import make_optimizer, rate
from .recipe import Recipe

MOST_SCALE = 100.0  # of the contrastive objective's logits


@dataclass(frozen=True)
class Stop:
    """A stop on the way: pictures seen, processor seconds spent on them (reading left out), the mean loss of late."""

    pictures: int
    seconds: float
    loss: float
    objective: Objective


def vocabulary_of(batches: Batches) -> Tensor:
    """The token ids of all wordings of all captions, in rising order."""
    texts = (text for concept in batches.concepts.every for text in concept.wordings())
    return seen_tokens(texts, batches.recipe.model.context_length)


def learn(recipe: Recipe, name: str, seen: Tensor, batches: Iterable[Batch], at: Collection[int]) -> Iterator[Stop]:
    """Train the objective ``name``, and stop after each number of steps in ``at`` to be looked at.

    ``batches`` are those of the recipe in their order, the same for every objective and learning rate; ``seen`` is
    their `vocabulary_of`. Optimizer and schedule are the trainer's.
    Raises SpecError for a name that is no objective.

    >>> for stop in learn(recipe, "bag-of-words prediction", vocabulary_of(batches), batches, [50]):  # doctest: +SKIP
    ...     print(stop.pictures, stop.loss)
    """
    objective = make_objective(name, recipe, seen).train()
    optimizer = make_optimizer(cast(CLIP, objective), recipe)
    seconds, losses = 0.0, []
    for batch in batches:
        batch = replace(batch, tokens=torch.searchsorted(seen, batch.tokens))
        began = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = rate(recipe, batch.step)
        optimizer.zero_grad(set_to_none=True)
        loss = objective.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(objective.parameters(), recipe.optim.clip_norm or math.inf)
        optimizer.step()
        if isinstance(objective, BagContrastive):
            with torch.no_grad():
                objective.clip.logit_scale.clamp_(max=math.log(MOST_SCALE))
        seconds += time.process_time() - began
        losses.append(loss.item())
        done = batch.step + 1
        if done in at:
            yield Stop(done * recipe.optim.batch, seconds, sum(losses) / len(losses), objective.eval())
            objective.train()
            losses.clear()


@torch.no_grad()
def ranks(
    objective: Objective, pixels: Tensor, truth: Tensor, classes: Classes, at_once: int = 10
) -> dict[str, Tensor]:
    """For each rule of scoring, how many classes score at least as high as the true one [N]; 1 is right.

    ``pixels`` uint8 [N, S, S, 3], ``truth`` int64 [N].
    """
    found: dict[str, list[Tensor]] = {}
    for first in range(0, len(pixels), at_once):
        here = slice(first, first + at_once)
        for rule, scores in objective.scores(pixels[here], classes).items():
            own = scores.gather(1, truth[here, None])
            found.setdefault(rule, []).append((scores >= own).sum(dim=1))
    return {rule: torch.cat(parts) for rule, parts in found.items()}
