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
from . import gradients as gradients  # registers its explainers
from .heatmap import Heatmap
from .heatmaps import Heatmaps
from .registry import Explainer, check_maps, check_options, find_explainer


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
    view: str | None = None,
    strict: bool = False,
    fail: bool = False,
    progress: bool = False,
    **options: Any,
) -> Heatmaps:
    """Heatmaps of every image and text: ``.values`` [images, prompts, h, w], ``heatmaps[i, j]`` a `Heatmap`.

    One pass a picture, shared by all texts. ``images`` is a list of anything that `open_image` takes, of `Look`s, or
    a `Source`; one image alone counts as a list of one. ``method`` names a registered explainer
    (`list_explainers`), ``options`` go to it. A picture that cannot be opened is listed in ``.failed`` with its
    reason, unless ``fail``. Words that the model never saw in training give a ClipvizWarning and a note.

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
    asked = _Question(model, explainer, prompts, others, strict, options)
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

    def __init__(
        self,
        model: Model,
        explainer: Explainer,
        prompts: PromptSet,
        others: PromptSet | None,
        strict: bool,
        options: dict[str, Any],
    ):
        self.model, self.explainer, self.prompts, self.options = model, explainer, prompts, options
        self.against = others.labels if others is not None else ()
        self.notes = [_notes(model, prompt, others) for prompt in prompts]
        directions = model.encode_prompts(prompts, strict=strict)  # [P, E]
        if others is not None:
            directions = directions - model.encode_prompts(others, strict=strict).mean(axis=0)
        self.directions = directions
        self.about: dict[str, Any] = {
            "model": dict(model.provenance),
            "method": explainer.name,
            "paper": explainer.paper,
            "against": list(self.against),
            "options": {key: repr(value) for key, value in options.items()},
            "versions": _versions(),
        }

    @torch.inference_mode(False)  # within the caller's, nothing could be differentiated
    def row(self, look: Look) -> tuple[Heatmap, ...]:
        """The heatmaps of one picture."""
        name, count = self.explainer.name, len(self.prompts)
        targets = torch.from_numpy(self.directions).to(self.model.device)
        found = self.explainer.function(self.model, look, targets, **self.options)
        maps = check_maps(found, self.explainer, len(look.pixels), count).numpy()  # [tiles, P, h, w]
        unit = F.normalize(F.normalize(look.trace()["embedding"], dim=-1).mean(dim=0), dim=-1).cpu().numpy()  # [E]
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
                    score=float(unit @ self.directions[j]),
                    method=name,
                    picture=look.picture,
                    against=self.against,
                    notes=(*self.notes[j], *(["The map is the same everywhere: it says nothing."] if flat else [])),
                    provenance={**self.about, "templates": list(prompt.templates), "view": look.frame.view},
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
