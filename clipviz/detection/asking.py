"""What a detection asks: labels and a background as vectors, and what a caller is to be warned of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError, PromptError
from ..explanation.neutral import NEUTRAL
from ..model import Model
from ..text import Prompt, PromptSet, as_prompts
from ..versions import versions

SAME = 1e-6  # labels whose unit vectors differ by less are one label to the model


class Asked:
    """Labels as unit vectors [P, E], the mean of the background's [E], and their notes; made once for all pictures."""

    @torch.inference_mode(False)
    def __init__(self, model: Model, labels: Any, background: Any, strict: bool):
        if not isinstance(model, Model):
            raise InputError(
                f"model is a clipviz.Model; got {type(model).__name__}: use clipviz.load(...) or Model.wrap(...)."
            )
        self.model = model
        self.prompts = _labels(labels)
        self.labels = self.prompts.labels
        self.background = None if background is None else as_prompts(background)
        vectors = torch.from_numpy(model.encode_prompts(self.prompts, strict=strict))  # [P, E]
        _check_apart(model, self.labels, vectors)
        self.vectors = vectors.to(model.device)
        self.ground = torch.zeros_like(self.vectors[0])
        if self.background is not None:
            others = torch.from_numpy(model.encode_prompts(self.background, strict=strict)).to(model.device)
            same = (_apart(self.vectors, others) < SAME).nonzero()
            if len(same):
                i, j = same[0].tolist()
                raise PromptError(
                    f"The label {self.labels[i]!r} is {self.background.labels[j]!r} of the background to {model.name}: "
                    "name other texts in background=."
                )
            self.ground = others.mean(dim=0)
        self.notes = tuple(dict.fromkeys(_unseen(model, [*self.prompts])))

    def margins(self, units: Tensor) -> NDArray[np.float64]:
        """Unit vectors [n, E] -> cosine with each label less the mean cosine with the background [n, P]."""
        with torch.no_grad():
            return (units @ (self.vectors - self.ground).T).cpu().numpy().astype(np.float64)

    @property
    def about(self) -> dict[str, Any]:
        """For the provenance."""
        ground = self.background or ()
        return {
            "model": dict(self.model.provenance),
            "labels": list(self.labels),
            "templates": {prompt.text: list(prompt.templates) for prompt in self.prompts},
            "background": [text for prompt in ground for text in prompt.texts()],
            "score": "cosine less the background's" if self.background else "cosine",
            "versions": versions(),
        }


def _labels(labels: Any) -> PromptSet:
    """At least one label, none twice."""
    if labels is None or (isinstance(labels, Sequence) and not isinstance(labels, str) and not len(labels)):
        raise PromptError("No label is given: pass what to look for, for instance ['a dog', 'a bicycle'].")
    prompts = as_prompts(labels)
    twice = [name for name, count in Counter(prompts.labels).items() if count > 1]
    if twice:
        raise PromptError(f"The label {twice[0]!r} is given twice: give each label once.")
    return prompts


def _check_apart(model: Model, labels: Sequence[str], vectors: Tensor) -> None:
    """PromptError where two labels are one vector to the model, as "Dog" and "dog" are."""
    near = _apart(vectors, vectors) < SAME
    pairs = torch.triu(near, diagonal=1).nonzero()
    if len(pairs):
        i, j = pairs[0].tolist()
        raise PromptError(
            f"The labels {labels[i]!r} and {labels[j]!r} are one and the same text to {model.name}: leave one out."
        )


def _apart(vectors: Tensor, others: Tensor) -> Tensor:
    """Distances; by a matrix product, which torch takes for many, equal texts would lie a thousandth apart."""
    return torch.cdist(vectors, others, compute_mode="donot_use_mm_for_euclid_dist")


def _unseen(model: Model, prompts: Sequence[Prompt]) -> list[str]:
    found = []
    for prompt in prompts:
        words = dict.fromkeys(repr(word) for text in prompt.texts() for word in model.unseen(text))
        if words:
            found.append(
                f"{model.name} never saw {', '.join(words)} in training: boxes for {prompt.text!r} mean nothing."
            )
    return found


BACKGROUND = NEUTRAL
