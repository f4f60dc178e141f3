"""The verbs: `gradcam` for one picture and one text, `explain` for many of each."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from ..errors import ClipvizWarning, InputError, nearest
from ..frame import VIEWS
from ..images import is_one_image
from ..model import Look, Model, load
from ..sources import Item, Source
from ..text import Prompt, PromptSet, as_prompt
from . import methods as methods  # registers its explainers
from .heatmap import Heatmap
from .heatmaps import Heatmaps
from .origin import Holder, Origin
from .question import Question


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
    method: str | None = None,
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

    One pass a picture, shared by all texts. Of paths and a `Source` no picture is kept, so that memory stays flat over
    thousands; arrays, bytes and other objects are kept with their heatmaps, also those that a generator made.
    ``images`` is a list of anything that `open_image` takes, of `Look`s, or a `Source`; one image alone counts as a
    list of one. ``method`` names a registered explainer (`list_explainers`; None takes the one that was measured best
    for this kind of network), ``options`` go to it. With ``against`` the margin to the mean of those texts is
    explained, or with ``contrast="softmax"`` the probability among them; ``baseline="neutral"`` takes off what the
    picture shares with texts that name nothing (`clipviz.explanation.neutral.NEUTRAL`). A picture that cannot be
    opened is listed in ``.failed`` with its reason, and a ClipvizWarning tells; with ``fail``, or where it is the only
    one and no list, its error is raised. Words never seen in training give a
    ClipvizWarning and a note.

        >>> clipviz.explain(["a.jpg", "b.jpg"], ["a dog", "a cat"])  # doctest: +SKIP
        Heatmaps(2 images x 2 prompts)
    """
    if view is not None and view not in VIEWS:
        raise InputError(f"view={view!r} is not known; it is one of {', '.join(VIEWS)}. {nearest(str(view), VIEWS)}")
    alone = isinstance(images, Look) or is_one_image(images)
    if model is None:
        images, first = peeked(images)
        model = first.model if isinstance(first, Look) else load()
    asked = Question(
        model, texts, method, options, against=against, contrast=contrast, baseline=baseline, strict=strict
    )
    for note in dict.fromkeys(note for of_prompt in asked.notes for note in of_prompt):
        warnings.warn(note, ClipvizWarning, stacklevel=3 if fail else 2)
    rows, ids, failed = [], [], []
    for name, image, holder in _each([images] if alone else images, progress):
        try:
            look = model.look(image, view)
        except InputError as error:
            if fail or alone or isinstance(image, Look):  # a Look fails for what was asked of it
                raise
            failed.append((name, str(error)))
            continue
        origin = Origin.of(image if holder is None else name, look.picture, holder)
        rows.append(asked.row(look, origin))
        ids.append(name)
    failed += list(getattr(images, "failed", ()))
    if failed:
        name, why = failed[0]
        warnings.warn(
            f"{len(failed)} of {len(failed) + len(rows)} pictures could not be opened, the first {name!r}: {why} All "
            "are in .failed.", ClipvizWarning, stacklevel=2,
        )  # fmt: skip
    return Heatmaps(tuple(rows), asked.prompts.labels, tuple(ids), tuple(failed), asked.against)


def peeked(images: Any) -> tuple[Any, Any]:
    """``images`` as they were, and the first of them where they are a list, a generator, or one `Look`."""
    if isinstance(images, Look):
        return images, images
    if isinstance(images, Iterator) and not is_one_image(images):  # a file is its own iterator
        first = list(islice(images, 1))
        return chain(first, images), first[0] if first else None
    return images, images[0] if isinstance(images, (list, tuple)) and images else None


def _each(images: Any, progress: bool) -> Iterator[tuple[int | str, Any, Holder | None]]:
    """(place or id, image, what gives it again by that id), whatever holds them."""
    holder = images if isinstance(images, Source) else None
    if progress:
        from tqdm.auto import tqdm

        images = tqdm(images, unit="images")
    for i, image in enumerate(images):
        yield (image.id, image.image, holder) if isinstance(image, Item) else (i, image, None)
