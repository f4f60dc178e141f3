"""From vectors and wordings to decisions: every text is read once, and every picture meets it once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..text import Prompt, PromptSet
from .tally import Floats, Scored

if TYPE_CHECKING:
    from ..embedding import Embeddings
    from ..model import Model
    from .wordings import Wording

_BLOCK = 65_536  # pictures whose probabilities are held at once


def score(embeddings: Embeddings, wordings: Iterable[Wording], model: Model) -> tuple[Scored, ...]:
    """A `Scored` for each wording, in their order.

    Texts that wordings share, as when one label is left out, are read and multiplied once. Of equal cosines the first
    label counts, and the picture is among the ``ties``.
    """
    wordings = tuple(wordings)
    prompts: dict[Prompt, int] = {}
    columns = [[prompts.setdefault(prompt, len(prompts)) for prompt in prompts_of(one)] for one in wordings]
    if not prompts:
        return ()
    cosines = embeddings.similarity(model.encode_prompts(PromptSet(tuple(prompts))))  # [N, texts]
    scale = model.logit_scale
    return tuple(_scored(one, cosines[:, places], scale) for one, places in zip(wordings, columns, strict=True))


def prompts_of(wording: Wording) -> list[Prompt]:
    """What a wording's labels are asked as, one prompt a label."""
    return [Prompt(label.text, wording.templates) for label in wording.labels]


def _scored(wording: Wording, cosines: NDArray[np.float32], scale: float) -> Scored:
    decision = cosines.argmax(axis=1).astype(np.int16)
    highest = np.take_along_axis(cosines, decision[:, None].astype(np.intp), axis=1)
    ties = int((np.count_nonzero(cosines == highest, axis=1) > 1).sum())
    return Scored(wording, cosines, decision, scale * (wording.logit_scale or 1.0), ties)


def probabilities(scored: Scored) -> Floats:
    """The softmax [N, L] of the labels against each other, at the wording's scale."""
    found = np.empty(scored.cosines.shape)
    for start in range(0, len(found), _BLOCK):
        logits = scored.scale * scored.cosines[start : start + _BLOCK].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        np.divide(logits, logits.sum(axis=1, keepdims=True), out=found[start : start + _BLOCK])
    return found


def margins(cosines: Floats, members: NDArray[np.bool_]) -> Floats:
    """Cosines [N, K] of the best member of each of K names minus the best label that is none; ``members`` [K, L].

    NaN for a name that holds every label.

    >>> margins(np.array([[0.3, 0.1, 0.2]]), np.eye(3, dtype=bool)).round(1).tolist()
    [[0.1, -0.2, -0.1]]
    """
    found = np.full((len(cosines), len(members)), np.nan)
    for name, own in enumerate(members):
        if not own.all():
            found[:, name] = cosines[:, own].max(axis=1) - cosines[:, ~own].max(axis=1)
    return found
