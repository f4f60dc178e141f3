"""`compare` and `through_depth`: one picture and one text, explained in several ways side by side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ClipvizWarning, InputError, ModelError
from ..model import Look, Model, load
from ..text import Prompt, as_prompt
from . import methods as registered  # noqa: F401  registers its explainers
from .agreeing import SIDE, TOP, agreements, table_of
from .comparison import Comparison
from .heatmap import Heatmap
from .origin import Origin
from .question import Question
from .rivals import CENTRE_LIMIT, RANDOM_LIMIT, Rivalry, Rivals
from .ways import Way, by_layer, by_method, by_model, check_ways


def compare(
    image: Any,
    text: str | Prompt,
    *,
    methods: Sequence[str | tuple[str, Mapping[str, Any]]] | None = None,
    models: Sequence[Model] | None = None,
    model: Model | None = None,
    against: str | Prompt | Sequence[str | Prompt] | None = None,
    contrast: str = "margin",
    baseline: str | None = None,
    view: str | None = None,
    strict: bool = False,
    checks: bool = True,
    seed: int = 0,
) -> Comparison:
    """Explain one picture and one text by several methods, or in several models, and measure how far they agree.

    ``methods`` are names, or pairs of a name and its options; without, some of each family that serve the model.
    ``models`` are compared by the one method in ``methods``, or by each model's default. The rest is as in `explain`.
    ``checks`` holds each map against the centre of the picture (order, and insertion: Petsiuk et al. 2018, arXiv
    1806.07421) and against the same method in a copy of the model with random weights (drawn with ``seed``;
    Adebayo et al. 2018, arXiv 1810.03292), at more than double the cost. What does no better is told in ``.notes``,
    with a ClipvizWarning. Raises as `explain` does.

        >>> clipviz.compare("photo.jpg", "the forest").save("methods.png")  # doctest: +SKIP
    """
    if models is not None and model is not None:
        raise InputError("model= and models= both say what is looked into: give one of them.")
    ways = by_method(_model_for(image, model), methods) if models is None else by_model(models, methods)
    asked = {"against": against, "contrast": contrast, "baseline": baseline, "strict": strict}
    return _compared("method" if models is None else "model", ways, image, text, asked, view, checks, seed)


def through_depth(
    image: Any,
    text: str | Prompt,
    *,
    model: Model | None = None,
    method: str | None = None,
    layers: Sequence[int | str] | None = None,
    against: str | Prompt | Sequence[str | Prompt] | None = None,
    contrast: str = "margin",
    baseline: str | None = None,
    view: str | None = None,
    strict: bool = False,
    checks: bool = False,
    seed: int = 0,
    **options: Any,
) -> Comparison:
    """The map of one method (Grad-CAM) through the depth of the network: a `Comparison` by layer, the first first.

    ``layers`` are what the method takes as ``layer``; without, every block of a ViT, or the four stages of a ResNet.
    ``options`` go to the method, the rest is as in `compare`. Raises InputError for a method that has no layer to
    choose, naming those that have.

        >>> clipviz.through_depth("photo.jpg", "the forest").plot()  # doctest: +SKIP
    """
    ways = by_layer(_model_for(image, model), method, layers, options)
    asked = {"against": against, "contrast": contrast, "baseline": baseline, "strict": strict}
    return _compared("layer", ways, image, text, asked, view, checks, seed)


def _model_for(image: Any, model: Model | None) -> Model:
    if model is None:
        return image.model if isinstance(image, Look) else load()
    if not isinstance(model, Model):
        raise InputError(f"model is a clipviz.Model; got {type(model).__name__}: use clipviz.load(...).")
    return model


def _compared(
    by: str, ways: Sequence[Way], image: Any, text: str | Prompt, asked: dict[str, Any], view: str | None, checks: bool,
    seed: int,
) -> Comparison:  # fmt: skip
    check_ways(ways, by)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed={seed!r} is not a whole number from 0 on.")
    prompt = as_prompt(text)
    looks = {model: _look(model, image, view) for model in dict.fromkeys(way.model for way in ways)}
    against = Rivals(prompt, asked, seed)
    kept, heatmaps, rivals = list[Way](), list[Heatmap](), list[Rivalry]()
    unseen, notes = list[str](), list[str]()
    for way in ways:
        try:
            question = Question(way.model, prompt, way.method, way.options, **asked)
            look = looks[way.model]
            origin = heatmaps[0].origin if heatmaps else Origin.of(image, look.picture)
            heatmap = question.row(look, origin)[0]
        except (InputError, ModelError) as error:
            if way.named:
                raise
            notes.append(f"{way.name} was left out: {error}")
            continue
        unseen += question.notes[0]
        notes += heatmap.notes[:-1] if heatmap.constant else heatmap.notes
        if heatmap.constant:
            notes.append(f"{way.name}: the map is the same everywhere, and says nothing.")
        kept.append(way)
        heatmaps.append(heatmap)
        rivals.append(against.all(way, question, heatmap, look) if checks else against.centre(heatmap))
    if not heatmaps:
        raise InputError(f"No method could explain this: {' '.join(notes)}")
    names = [way.name for way in kept]
    doubted = [note for name, rivalry in zip(names, rivals, strict=True) for note in rivalry.notes(name)]
    for note in dict.fromkeys([*unseen, *doubted]):
        warnings.warn(note, ClipvizWarning, stacklevel=3)
    agreement, overlap = agreements(names, heatmaps)
    return Comparison(
        heatmaps=tuple(heatmaps),
        names=tuple(names),
        by=by,
        table=table_of(by, names, heatmaps, agreement, overlap, rivals),
        agreement=agreement,
        overlap=overlap,
        notes=tuple(dict.fromkeys([*notes, *doubted, *(why for rivalry in rivals for why in rivalry.unmade)])),
        provenance={
            "checks": checks, "seed": seed, "top_share": TOP, "longest_side": SIDE,
            "centre_limit": CENTRE_LIMIT, "random_limit": RANDOM_LIMIT,
        },
    )  # fmt: skip


def _look(model: Model, image: Any, view: str | None) -> Look:
    """The picture as ``model`` sees it; of a Look of another model, its picture."""
    return model.look(image.picture if isinstance(image, Look) and image.model is not model else image, view)
