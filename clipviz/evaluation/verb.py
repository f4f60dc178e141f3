"""The verb: `evaluate`."""

from __future__ import annotations

from typing import Any

from ..errors import DataError, InputError, ModelError
from ..model import Model
from ..sources import Source
from . import detection as detection  # each registers its task
from . import explainers as explainers
from . import zero_shot as zero_shot
from .registry import Question, find_task
from .result import Evaluation


def evaluate(
    data: Any,
    labels: Any = None,
    *,
    task: str = "zero_shot",
    model: Model | None = None,
    truth: str = "label",
    half: str | None = None,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> Evaluation:
    """How good is ``model`` at ``task`` on these pictures? An `Evaluation`: a table of metrics, a row a picture.

    ``data`` is what `open_source` takes; its column ``truth`` holds each picture's true value. ``labels`` are names,
    a mapping value -> name or synonyms, or the path of a JSON with either or with rows of them (matched by value);
    by default the values themselves. ``half`` is "dev" for choices, "report" for figures, None for all.
    ``options`` of "zero_shot": ``templates``, ``synonyms`` ("all" or "first"), ``unlisted`` ("refuse" or "skip"
    pictures whose truth is not among the labels), ``strict``; of "explainers", which measures every map of the model:
    ``methods``, ``scenes``, ``photographs``, ``mosaics``, ``box`` (see `clipviz.evaluation.explainers`); of
    "detection", which also reads COCO-format folders: ``box``, ``box_inclusive``, ``ask``, ``method``, ``threshold``
    (see `clipviz.evaluation.detection`). ``seed`` is recorded; zero-shot draws nothing.
    Damaged pictures are listed in ``.failed``. Raises ModelError without a model, else InputError, DataError or
    PromptError. Radford et al. 2021, section 3.1 (arXiv 2103.00020).

        >>> clipviz.evaluate("val/", model=clipviz.load("ViT-B-32", "openai"), half="report")  # doctest: +SKIP
    """
    if model is None:
        raise ModelError("evaluate judges a model, and none is named: pass model=clipviz.load(...).")
    if not isinstance(model, Model):
        raise InputError(
            f"model is a clipviz.Model; got {type(model).__name__}: use clipviz.load(...) or Model.wrap(...)."
        )
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size={batch_size!r} is not a positive whole number, such as 64.")
    found = find_task(task, options)
    whole = found.open(data)
    question = Question(model, _chosen(whole, half), whole, labels, truth, batch_size, seed, progress)
    return found.function(question, **options)


def _chosen(source: Source, half: str | None) -> Source:
    """The half that was asked for; DataError where no picture falls into it."""
    if half is None or half == source.part:
        part = source
    elif half in ("dev", "report"):
        part = source.half(half)  # type: ignore[arg-type]
    else:
        raise InputError(f"half={half!r} is not known; it is 'dev' for choices, 'report' for figures, or None for all.")
    if not len(part):
        raise DataError(f"No picture of {source.where_from} is in the half {half!r}; pass more pictures or half=None.")
    return part
