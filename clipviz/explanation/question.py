"""`Question`: texts, method and options, asked of any number of pictures alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError, PromptError
from ..model import Look, Model
from ..text import Prompt, PromptSet, as_prompts
from ..versions import versions
from .defaults import default_method, default_options
from .heatmap import Heatmap
from .neutral import NEUTRAL
from .origin import Origin
from .registry import Explainer, check_maps, check_options, find_explainer, options_of, taking
from .target import CONTRASTS, Target

# Of the parts of a unit vector: two texts nearer than that differ by rounding alone.
SAME = 1e-5


class Question:
    """What is asked of every picture alike: made once, then `row` gives the heatmaps of one picture.

    The arguments are those of `explain`. ``notes`` hold, for each text, what a caller is to be warned of.
    """

    @torch.inference_mode(False)  # vectors made within the caller's could not be differentiated through
    def __init__(
        self,
        model: Model,
        texts: str | Prompt | PromptSet | Sequence[str | Prompt],
        method: str | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        against: str | Prompt | Sequence[str | Prompt] | None = None,
        contrast: str = "margin",
        baseline: str | None = None,
        strict: bool = False,
    ):
        if not isinstance(model, Model):
            raise InputError(
                f"model is a clipviz.Model; got {type(model).__name__}: use clipviz.load(...) or Model.wrap(...)."
            )
        options = {**(default_options(model) if method is None else {}), **(options or {})}
        explainer = find_explainer(default_method(model) if method is None else method, model)
        if method is None:
            _check_default(explainer, options, model)
        check_options(explainer, options)
        self.model, self.explainer, self.options = model, explainer, options
        self.prompts = as_prompts(texts)
        others = _others(self.prompts, against, contrast, baseline)
        # The neutral texts are no contrast that anybody named: they are told in the provenance.
        self.against = others.labels if others is not None and baseline is None else ()
        neutral = _unseen_neutral(model, others) if baseline and others else ()
        own = others if baseline is None else None
        self.notes = [(*_unseen(model, prompt, own), *neutral) for prompt in self.prompts]
        vectors = torch.from_numpy(model.encode_prompts(self.prompts, strict=strict))  # [P, E]
        rest = (
            vectors[:0] if others is None else torch.from_numpy(model.encode_prompts(others, strict=strict))
        )  # [K, E]
        if others is not None and baseline is None:
            _check_apart(model, self.prompts, vectors, others, rest)
        self.target = Target(
            vectors.to(model.device), rest.to(model.device), self.prompts.labels,
            others.labels if others is not None else (), contrast, model.logit_scale,
        )  # fmt: skip
        self.about: dict[str, Any] = {
            "model": dict(model.provenance),
            "method": explainer.name,
            "family": explainer.family,
            "paper": explainer.paper,
            "uses_text": explainer.uses_text,
            "signed": explainer.signed,
            "additive": explainer.additive,
            "against": list(self.against),
            "against_templates": [list(prompt.templates) for prompt in others or ()],
            "contrast": contrast if others is not None else None,
            "baseline": list(NEUTRAL) if baseline else None,
            "options": {key: repr(value) for key, value in options.items()},
            "versions": versions(),
        }

    @torch.inference_mode(False)  # within the caller's, nothing could be differentiated
    def row(self, look: Look, origin: Origin) -> tuple[Heatmap, ...]:
        """The heatmaps of one picture; neither the look nor its pixels are kept in them."""
        given = self.explainer.function(self.model, look, self.target, **self.options)
        found = check_maps(given, self.explainer, len(look.pixels), len(self.prompts))
        maps = found.maps.numpy()  # [tiles, P, h, w]
        scores = self.target(F.normalize(look.unit.mean(dim=0), dim=-1)).tolist()  # P
        return tuple(
            self._heatmap(prompt, look.frame.stitch(maps[:, j]), scores[j], look, origin, notes, details)
            for j, (prompt, notes, details) in enumerate(zip(self.prompts, self.notes, found.details, strict=True))
        )

    def _heatmap(
        self, prompt: Prompt, values: np.ndarray, score: float, look: Look, origin: Origin, notes: tuple[str, ...],
        details: Mapping[str, Any],
    ) -> Heatmap:  # fmt: skip
        name, tiles = self.explainer.name, len(look.pixels)
        uses_text = bool(details.get("uses_text", self.explainer.uses_text))
        if not np.isfinite(values).all():
            raise InputError(f"The explainer {name!r} gave NaN or infinite values for {prompt.text!r}.")
        flat = np.ptp(values) == 0
        notes = (*notes, *self.explainer.notes)
        if tiles > 1 and self.explainer.additive:
            notes = (*notes, f"Each of the {tiles} tiles adds up to its own score, not to that of the picture.")
        if tiles > 1 and self.explainer.per_tile:
            notes = (*notes, f"{name} gives each of the {tiles} tiles a scale of its own: compare within a tile only.")
        if not uses_text:
            notes = (*notes, f"{name} does not read the text: its map is the same for every text.")
        if flat:
            notes = (*notes, "The map is the same everywhere: it says nothing.")
        about: dict[str, Any] = {
            "uses_text": uses_text,
            "templates": list(prompt.templates),
            "view": look.frame.view,
            "details": dict(details),
        }
        return Heatmap(
            values=np.zeros_like(values) if flat else np.ascontiguousarray(values),
            frame=look.frame,
            prompt=prompt.text,
            score=score,
            method=name,
            origin=origin,
            against=self.against,
            notes=notes,
            provenance={**self.about, **about},
        )


def _others(prompts: PromptSet, against: Any, contrast: str, baseline: str | None) -> PromptSet | None:
    """The texts whose share is taken off, if any."""
    if contrast not in CONTRASTS:
        raise InputError(f"contrast={contrast!r} is not known; it is one of {', '.join(CONTRASTS)}.")
    if baseline not in (None, "neutral"):
        raise InputError(f"baseline={baseline!r} is not known; it is 'neutral' or None.")
    if baseline is not None:
        if against is not None:
            raise InputError("against= and baseline= each say what is taken off: give one of them.")
        return as_prompts(NEUTRAL)
    others = as_prompts(against) if against is not None else None
    if others is not None and (same := set(prompts) & set(others)):
        raise PromptError(f"{next(iter(same)).text!r} is explained against itself: name another text in `against`.")
    return others


def _check_apart(model: Model, prompts: PromptSet, vectors: Tensor, others: PromptSet, rest: Tensor) -> None:
    """PromptError where a text [P, E] and one of the others [K, E] are one vector to the model."""
    same = torch.nonzero(torch.cdist(vectors, rest, p=float("inf")) < SAME)
    if len(same):
        i, j = same[0].tolist()
        raise PromptError(
            f"{prompts[i].text!r} is explained against itself: {others[j].text!r} is the same text to {model.name}; "
            "name another text in `against`."
        )


def _check_default(explainer: Explainer, options: Mapping[str, Any], model: Model) -> None:
    """InputError for an option that others have and the method that was not named has not."""
    known = options_of(explainer)
    for option in options:
        if known is not None and option not in known and (fit := taking(option, model)):
            raise InputError(
                f"The default method here, {explainer.name!r}, takes no option {option!r}. These do, name one of them "
                f"with method=: {', '.join(fit)}."
            )


def _unseen(model: Model, prompt: Prompt, others: PromptSet | None) -> tuple[str, ...]:
    """What to keep in mind about this text for this model."""
    notes = []
    for one in (prompt, *(others or ())):
        if words := _words(model, one):
            notes.append(f"{model.name} never saw {words} in training: to it {one.text!r} has no such meaning.")
    return tuple(notes)


def _unseen_neutral(model: Model, others: PromptSet) -> tuple[str, ...]:
    """The same of the neutral texts, which nobody named, in one sentence."""
    words = ", ".join(filter(None, (_words(model, one) for one in others)))
    return (f"Of the neutral texts {model.name} never saw the words {words} in training.",) if words else ()


def _words(model: Model, prompt: Prompt) -> str:
    return ", ".join(dict.fromkeys(repr(word) for text in prompt.texts() for word in model.unseen(text)))
