"""The verbs: `gradcam` for one picture and one text, `explain` for many of each."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import ClipvizWarning, InputError, PromptError
from ..images import is_one_image
from ..model import Look, Model, load
from ..sources import Item
from ..text import Prompt, PromptSet, as_prompt, as_prompts
from . import methods as methods  # registers its explainers
from .heatmap import Heatmap
from .heatmaps import Heatmaps
from .neutral import NEUTRAL
from .registry import Explainer, check_maps, check_options, find_explainer
from .target import CONTRASTS, Target


def gradcam(
    image: Any,
    text: str | Prompt,
    *,
    model: Model | None = None,
    against: str | Prompt | Sequence[str | Prompt] | None = None,
    view: str | None = None,
    strict: bool = False,
) -> Heatmap:
    """Where in ``image`` does this model's score for ``text`` come from? Grad-CAM, signed, at the model's grid.

    ``image`` is anything that `open_image` takes, or a `Look`; ``text`` may be in any language; without ``model``
    the bundled clipviz-tiny answers. ``against`` explains the difference to other texts; ``view`` says how the
    picture meets the model's square ("crop", "pad", "squash", "tiles"). Nothing of the model is changed: no
    ``.grad``, no hooks. Raises InputError, PromptError or ModelError. Selvaraju et al. 2017 (arXiv 1610.02391).

        >>> clipviz.gradcam("photo.jpg", "the forest").save("forest.png")  # doctest: +SKIP
    """
    if isinstance(image, (list, tuple)):
        raise InputError(f"gradcam takes one image and got {len(image)}: use clipviz.explain(images, texts).")
    found = explain(
        [image], [as_prompt(text)], model=model, method="gradcam", against=against, view=view, strict=strict, fail=True
    )
    return found[0, 0]


def explain(
    images: Iterable[Any],
    texts: str | Prompt | PromptSet | Sequence[str | Prompt],
    *,
    model: Model | None = None,
    method: str = "gradcam",
    against: str | Prompt | Sequence[str | Prompt] | None = None,
    contrast: str = "margin",
    baseline: str | None = None,
    view: str | None = None,
    strict: bool = False,
    fail: bool = False,
    progress: bool = False,
    **options: Any,
) -> Heatmaps:
    """Heatmaps of every image and text: ``.values`` [images, prompts, h, w], ``heatmaps[i, j]`` a `Heatmap`.

    One pass a picture, shared by all texts. ``images`` is a list of anything that `open_image` takes, of `Look`s, or
    a `Source`; one image alone counts as a list of one. ``method`` names a registered explainer
    (`list_explainers`), ``options`` go to it. With ``against`` the margin to the mean of those texts is explained, or
    with ``contrast="softmax"`` the probability among them; ``baseline="neutral"`` takes off what the picture shares
    with texts that name nothing (`clipviz.explanation.neutral.NEUTRAL`). A picture that cannot be opened is listed in
    ``.failed`` with its reason, unless ``fail``. Words never seen in training give a ClipvizWarning and a note.

        >>> clipviz.explain(["a.jpg", "b.jpg"], ["a dog", "a cat"])  # doctest: +SKIP
        Heatmaps(2 images x 2 prompts)
    """
    model = _model_of(images) or load() if model is None else model
    if not isinstance(model, Model):
        raise InputError(
            f"model is a clipviz.Model; got {type(model).__name__}: use clipviz.load(...) or Model.wrap(...)."
        )
    explainer = find_explainer(method, model)
    check_options(explainer, options)
    prompts = as_prompts(texts)
    others = as_prompts(against) if against is not None else None
    if others is not None and (same := set(prompts) & set(others)):
        raise PromptError(f"{next(iter(same)).text!r} is explained against itself: name another text in `against`.")
    if contrast not in CONTRASTS:
        raise InputError(f"contrast={contrast!r} is not known; it is one of {', '.join(CONTRASTS)}.")
    if baseline not in (None, "neutral"):
        raise InputError(f"baseline={baseline!r} is not known; it is 'neutral' or None.")
    if baseline is not None:
        if others is not None:
            raise InputError("against= and baseline= each say what is taken off: give one of them.")
        others = as_prompts(NEUTRAL)
    asked = _Question(model, explainer, prompts, others, contrast, baseline, strict, options)
    for note in dict.fromkeys(note for of_prompt in asked.notes for note in of_prompt):
        warnings.warn(note, ClipvizWarning, stacklevel=3 if fail else 2)
    rows, ids, failed = [], [], []
    for name, image in _each(images, progress):
        try:
            look = model.look(image, view)
        except InputError as error:
            if fail:
                raise
            failed.append((name, str(error)))
            continue
        rows.append(asked.row(look))
        ids.append(name)
    failed += list(getattr(images, "failed", ()))
    return Heatmaps(tuple(rows), prompts.labels, tuple(ids), tuple(failed), asked.against)


class _Question:
    """What is asked of every picture alike: texts, method and all that a result records of them."""

    @torch.inference_mode(False)  # vectors made within the caller's could not be differentiated through
    def __init__(
        self,
        model: Model,
        explainer: Explainer,
        prompts: PromptSet,
        others: PromptSet | None,
        contrast: str,
        baseline: str | None,
        strict: bool,
        options: dict[str, Any],
    ):
        self.model, self.explainer, self.prompts, self.options = model, explainer, prompts, options
        # The neutral texts are no contrast that anybody named: they are told in the provenance.
        self.against = others.labels if others is not None and baseline is None else ()
        self.notes = [_notes(model, prompt, others) for prompt in prompts]
        texts = torch.from_numpy(model.encode_prompts(prompts, strict=strict))  # [P, E]
        rest = texts[:0] if others is None else torch.from_numpy(model.encode_prompts(others, strict=strict))  # [K, E]
        self.target = Target(
            texts.to(model.device), rest.to(model.device), prompts.labels, others.labels if others is not None else (),
            contrast, model.logit_scale,
        )  # fmt: skip
        self.about: dict[str, Any] = {
            "model": dict(model.provenance),
            "method": explainer.name,
            "paper": explainer.paper,
            "against": list(self.against),
            "contrast": contrast if others is not None else None,
            "baseline": list(NEUTRAL) if baseline else None,
            "options": {key: repr(value) for key, value in options.items()},
            "versions": _versions(),
        }

    @torch.inference_mode(False)  # within the caller's, nothing could be differentiated
    def row(self, look: Look) -> tuple[Heatmap, ...]:
        """The heatmaps of one picture."""
        name, count = self.explainer.name, len(self.prompts)
        given = self.explainer.function(self.model, look, self.target, **self.options)
        found = check_maps(given, self.explainer, len(look.pixels), count)
        maps = found.maps.numpy()  # [tiles, P, h, w]
        scores = self.target(F.normalize(look.unit.mean(dim=0), dim=-1)).tolist()  # P
        row = []
        for j, prompt in enumerate(self.prompts):
            values = look.frame.stitch(maps[:, j])
            if not np.isfinite(values).all():
                raise InputError(f"The explainer {name!r} gave NaN or infinite values for {prompt.text!r}.")
            flat = np.ptp(values) == 0
            row.append(
                Heatmap(
                    values=np.zeros_like(values) if flat else np.ascontiguousarray(values),
                    frame=look.frame,
                    prompt=prompt.text,
                    score=scores[j],
                    method=name,
                    picture=look.picture,
                    against=self.against,
                    notes=(*self.notes[j], *(["The map is the same everywhere: it says nothing."] if flat else [])),
                    provenance={
                        **self.about,
                        "templates": list(prompt.templates),
                        "view": look.frame.view,
                        "details": dict(found.details[j]),
                    },
                )
            )
        return tuple(row)


def _notes(model: Model, prompt: Prompt, others: PromptSet | None) -> tuple[str, ...]:
    """What to keep in mind about this text for this model."""
    notes = []
    for one in (prompt, *(others or ())):
        unseen = list(dict.fromkeys(word for text in one.texts() for word in model.unseen(text)))
        if unseen:
            words = ", ".join(repr(word) for word in unseen)
            notes.append(f"{model.name} never saw {words} in training: to it {one.text!r} has no such meaning.")
    return tuple(notes)


@cache
def _versions() -> dict[str, str]:
    from importlib.metadata import version

    from .. import __version__

    return {
        "clipviz": __version__,
        "torch": version("torch"),
        "open_clip": version("open_clip_torch"),
        "python": platform.python_version(),
    }


def _model_of(images: Any) -> Model | None:
    """The model of the first Look among ``images``, where they are Looks."""
    first = images if isinstance(images, Look) else images[0] if isinstance(images, (list, tuple)) and images else None
    return first.model if isinstance(first, Look) else None


def _each(images: Any, progress: bool) -> Iterator[tuple[int | str, Any]]:
    """(place or id, image), whatever holds them."""
    if isinstance(images, Look) or is_one_image(images):
        images = [images]
    if progress:
        from tqdm.auto import tqdm

        images = tqdm(images, unit="images")
    for i, image in enumerate(images):
        yield (image.id, image.image) if isinstance(image, Item) else (i, image)
