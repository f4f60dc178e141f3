"""Naming pictures through prompts: the label whose text is nearest wins (section 3.1 of the paper)."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..errors import ClipvizWarning, DataError, InputError
from ..model import Model
from ..sources import Source, half_of
from ..text import PromptSet
from .labels import Labels, Synonyms, Value, listed, read_labels, shared_names, truth_column
from .metrics import rank_labels, scores_of
from .provenance import about_run
from .registry import Question, register_task
from .result import METRICS, Evaluation
from .seen import seen_claim
from .vectors import TEMPLATE, check_apart, class_vectors, encoded_pictures


def zero_shot(
    question: Question,
    *,
    templates: str | Sequence[str] = TEMPLATE,
    synonyms: Synonyms = "all",
    unlisted: Literal["refuse", "skip"] = "refuse",
    strict: bool = False,
) -> Evaluation:
    """Top-1, top-5 and balanced accuracy of naming each picture by its nearest label; options as `evaluate` says."""
    import pandas as pd

    if unlisted not in ("refuse", "skip"):
        raise InputError(f"unlisted={unlisted!r} is not 'refuse' or 'skip'; take one of them.")
    model, source = question.model, question.source
    templates = PromptSet.of("x", templates)[0].templates
    truths = truth_column(source.table(), question.truth, source.where_from)
    everything = truth_column(question.whole.table(), question.truth, source.where_from)
    distinct = list({str(value): value for value in everything if value is not None}.values())
    labels = read_labels(question.labels, distinct, question.truth, synonyms)
    kept, left_out = _listed_only(source, truths, labels, question.truth, unlisted)
    notes = _notes(model, labels, source.part)
    vectors = class_vectors(model, labels.names, templates, strict=strict)  # [C, E]
    check_apart(vectors, labels)

    part = source.select(kept) if left_out else source
    ids, pictures, failed = encoded_pictures(model, part, question.batch_size, question.progress)
    places = labels.places()
    place_of = {source.ids[i]: places[str(truths[i])] for i in kept}
    place = np.array([place_of[name] for name in ids], np.int64)  # [N]
    ranking = rank_labels(pictures, vectors, place)
    items = pd.DataFrame(
        {
            "id": ids,
            "truth": [labels.values[i] for i in place],
            "predicted": [labels.values[i] for i in ranking.predicted],
            "margin": ranking.margin,
            "rank": ranking.rank,
            "half": [half_of(name) for name in ids],
        }
    )
    scores = scores_of(ranking, place, len(labels))
    table = pd.DataFrame([
        {"metric": METRICS[name], "value": row["value"], "n": len(ids), "chance": row["chance"],
         "majority": row["majority"]}
        for name, row in scores.items()
    ])  # fmt: skip
    empty = len(labels) - items["truth"].nunique()
    if empty:
        notes.append(f"{empty} of {len(labels)} labels have no picture here; they compete, and no average counts them.")
    return Evaluation(
        task="zero_shot",
        table=table,
        items=items,
        labels=tuple(zip(labels.values, labels.names, strict=True)),
        seen=seen_claim(model.card, labels.names),
        notes=tuple(notes),
        failed=(*left_out, *failed),
        provenance=about_run(
            question, part, labels_sha256=labels.fingerprint, labels=len(labels), key=labels.key,
            templates=list(templates), synonyms=synonyms, unlisted=unlisted,
        ),
    )  # fmt: skip


register_task(
    "zero_shot",
    zero_shot,
    about="name each picture by its nearest label, through prompts",
    paper="Radford et al. 2021 (arXiv 2103.00020)",
)


def _listed_only(
    source: Source, truths: Sequence[Value | None], labels: Labels, column: str, unlisted: str
) -> tuple[list[int], list[tuple[str, str]]]:
    """Places of the pictures whose truth is a label, and (id, reason) of the others, which are refused or told."""
    known = labels.places()
    strangers = Counter(value for value in truths if value is None or str(value) not in known)
    if not strangers:
        return list(range(len(truths))), []
    count = sum(strangers.values())
    if unlisted == "refuse" or count == len(truths):
        raise DataError(
            f"{count} of {len(truths)} pictures have a {column!r} that is not among the {len(labels)} labels "
            f"({listed(strangers)}; labels such as {listed(labels.values[:3])}); add them"
            + (", or leave those pictures out with unlisted='skip'." if count < len(truths) else ".")
        )
    kept, lost = [], []
    for i, (name, value) in enumerate(zip(source.ids, truths, strict=True)):
        if value is not None and str(value) in known:
            kept.append(i)
        else:
            lost.append((name, f"its {column!r} is {value!r}, which is not among the labels"))
    return kept, lost


def _notes(model: Model, labels: Labels, part: str) -> list[str]:
    """What to keep in mind about these labels for this model, and about the half."""
    notes = []
    told = {name: words for names in labels.names for name in names if (words := model.unseen(name))}
    if told:
        words = list(dict.fromkeys(word for of_name in told.values() for word in of_name))
        note = f"{model.name} never saw {listed(words)} in training: to it such names mean nothing."
        warnings.warn(note, ClipvizWarning, stacklevel=4)
        notes.append(note)
    if shared := shared_names(labels):
        notes.append(f"Several labels share names: {listed(name for name, _ in shared)}.")
    if part == "dev":
        notes.append("The half 'dev' is for choices: a figure to report is taken on half='report'.")
    elif part == "all":
        notes.append("On all pictures, those of the half 'dev' among them, on which choices may have been made.")
    if domain := model.card.get("domain"):
        notes.append(f"{model.name} was trained on {domain}.")
    return notes
