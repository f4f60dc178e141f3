"""The task "detection": how well boxes found through words cover what is there, beside rivals that do not look."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..detection import EVERY_BOX, BoxPrior, default_threshold
from ..errors import DataError, InputError
from ..sources import Source, half_of
from .boxes.calibration import METHODS, Calibration, calibration_error, fit_calibration
from .boxes.coco_folder import open_boxes
from .boxes.localisation import RIGHT
from .boxes.matching import match_tables
from .boxes.posing import TRUTH_ONLY, Asked, keys_of, labels_for, pose
from .boxes.result import BoxEvaluation, items_of
from .boxes.rivals import CENTRE, WHOLE, central_boxes, fit_centre
from .boxes.summary import ALL, ECE, summarise_boxes
from .boxes.tables import FOUND, empty, judged
from .boxes.thresholds import best_threshold
from .labels import Labels
from .provenance import about_run
from .registry import Question, register_task
from .result import Evaluation
from .seen import seen_claim
from .vectors import TEMPLATE, class_vectors, encoded_pictures

if TYPE_CHECKING:
    import pandas as pd

_FEWEST = 20  # boxes of dev that are worth a calibration
_MANY = 10  # truths a label, from which on the resampled AP leans little
_OWN = ("model", "versions")  # what the evaluation's provenance tells already


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a detector found in the pictures that were asked, and which of them it could not see."""

    asked: Asked
    found: pd.DataFrame  # with evidence
    failed: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    about: Mapping[str, Any]
    threshold: float


@dataclass(frozen=True, eq=False)
class _Chosen:
    """What was chosen on dev, and on how many of its pictures."""

    pictures: int = 0
    calibration: Calibration | None = None
    threshold: float | None = None
    centre: tuple[float, float] | None = None


def detection(
    question: Question,
    *,
    box: str = "box",
    box_inclusive: bool = False,
    ask: str = TRUTH_ONLY,
    method: Any = None,
    threshold: float | None = None,
    prior: Any = None,
    options: Mapping[str, Any] | None = None,
    calibration: str = "isotonic",
    rivals: bool = True,
    dev: int = 500,
    templates: str | Sequence[str] = TEMPLATE,
    resamples: int = 2_000,
) -> Evaluation:
    """AP and AR, localisation, false alarms and calibration of `clipviz.detect`: a `BoxEvaluation`.

    ``box`` is the column of boxes, one or a list a picture (see `read_boxes`), ``box_inclusive`` where x1 and y1 are
    the last pixel. ``ask`` says which labels are looked for: "truth", those that are there (GT-known); "all"; or a
    column with a list a picture. ``method``, ``prior`` (a `BoxPrior` or the path of one) and ``options`` go to
    `detect`. AP takes every box; precision, recall and false alarms those at or above ``threshold``, and where it is
    named no others are looked at. With half="report", ``dev`` pictures of the other half give the calibration
    ("isotonic" or "platt"), a threshold that is not named (the best F1; else that of `detect`) and the central box.
    The ``rivals``, the whole picture and a central box, are scored by cosine to ``templates``.
    """
    if calibration not in METHODS:
        raise InputError(f"calibration={calibration!r} is not {' or '.join(map(repr, METHODS))}; take one of them.")
    if isinstance(dev, bool) or not isinstance(dev, int) or dev < 0:
        raise InputError(f"dev={dev!r} is no count of pictures: pass a whole number, 0 for none.")
    labels = labels_for(question.labels, question.whole, question.truth)
    how: dict[str, Any] = {"box": box, "truth": question.truth, "inclusive": box_inclusive, "ask": ask}
    if isinstance(prior, str | os.PathLike):
        prior = BoxPrior.load(os.fspath(prior))
    kept_from = EVERY_BOX if threshold is None else threshold
    asking = {"method": method, "threshold": kept_from, "prior": prior, **(options or {})}
    chosen = _choices(question, labels, how, asking, dev, calibration)
    seen = _detected(question, pose(question.source, labels, **how), labels, asking)
    asked = seen.asked
    operating = next((t for t in (threshold, chosen.threshold) if t is not None), default_threshold(question.model))
    name = str(seen.about.get("method", "detect"))
    entrants = {name: seen.found}
    if rivals:
        entrants |= _rivals(question, asked, labels, templates, chosen.centre)
    table = summarise_boxes(
        entrants, asked.truth, asked=asked.pairs, sizes=asked.sizes, candidates=seen.found, threshold=operating,
        resamples=resamples, seed=question.seed,
    )  # fmt: skip
    tables = judged(seen.found, asked.truth, asked.pairs)
    kept = seen.found.merge(asked.pairs, on=["image", "label"], how="inner")  # as `judged` keeps them, row for row
    worth = np.full(len(kept), np.nan) if chosen.calibration is None else chosen.calibration(kept["score"])
    if chosen.calibration is not None and len(kept):
        error = calibration_error(worth, match_tables(tables).right(RIGHT))
        table.loc[len(table)] = {"metric": ECE, "method": name, "boxes": ALL, "value": error, "n": len(kept),
                                 "better": "lower"}  # fmt: skip
    return BoxEvaluation(
        task="detection",
        table=table,
        items=items_of(tables, half_of, kept["evidence"].tolist(), worth),
        labels=tuple((v, _called(k, n)) for v, k, n in zip(labels.values, keys_of(labels).values(), labels.names,
                                                           strict=True)),
        seen=seen_claim(question.model.card, labels.names),
        notes=tuple(dict.fromkeys((*_notes(question, chosen, tables), *asked.notes, *seen.notes))),
        failed=tuple(dict.fromkeys((*asked.bad, *seen.failed))),
        provenance=about_run(
            question, question.source, labels_sha256=labels.fingerprint, labels=len(labels), key=labels.key, box=box,
            box_inclusive=box_inclusive, ask=ask, pictures=len(tables.images), truths=len(tables.truth),
            detection={k: v for k, v in seen.about.items() if k not in _OWN}, threshold=float(operating),
            kept_from=seen.threshold, dev=chosen.pictures, chosen_threshold=chosen.threshold,
            calibration=chosen.calibration.to_dict() if chosen.calibration else None,
            centre=list(chosen.centre) if chosen.centre else None, rivals=list(entrants)[1:],
            templates=[templates] if isinstance(templates, str) else list(templates), resamples=resamples,
        ),
    )  # fmt: skip


def _choices(
    question: Question, labels: Labels, how: Mapping[str, Any], asking: Mapping[str, Any], dev: int, calibration: str
) -> _Chosen:
    """What the half for choices gives, where the figures are of the other one."""
    if question.source.part != "report" or question.whole.part != "all" or not dev:
        return _Chosen()
    half = question.whole.half("dev")
    if not len(half):
        return _Chosen()
    drawn = np.random.default_rng([question.seed, 3]).permutation(len(half))[:dev]
    try:
        seen = _detected(question, pose(half.select(drawn.tolist()), labels, **how), labels, asking)
    except DataError:  # no box on dev that can be used
        return _Chosen()
    tables = judged(seen.found, seen.asked.truth, seen.asked.pairs)
    right = match_tables(tables).right(RIGHT)
    scores = tables.found["score"].to_numpy()
    centre = fit_centre(tables.truth, seen.asked.sizes) if len(tables.truth) else None
    known = len(scores) > 0 and len(tables.truth) > 0
    return _Chosen(
        len(tables.images),
        fit_calibration(scores, right, method=calibration) if len(scores) >= _FEWEST else None,
        best_threshold(scores, right, len(tables.truth)) if known else None,
        centre,
    )


def _detected(question: Question, asked: Asked, labels: Labels, asking: Mapping[str, Any]) -> _Seen:
    """`detect` on every group of pictures that the same labels are asked of."""
    import pandas as pd
    from tqdm.auto import tqdm

    from ..detection import detect

    named = dict(zip(keys_of(labels).values(), (names[0] for names in labels.names), strict=True))
    parts, threshold = [], -np.inf
    failed, notes = list[tuple[str, str]](), list[str]()
    about: Mapping[str, Any] = {}
    groups = asked.groups()
    given = {name: value for name, value in asking.items() if value is not None}
    alone = len(groups) == 1
    for keys, places in tqdm(groups.items(), unit="sets of labels", disable=not question.progress or alone):
        of_text = {named[key]: key for key in keys}
        if len(of_text) < len(keys):
            twice = next(named[key] for key in keys if of_text[named[key]] != key)
            raise InputError(f"Two labels are called {twice!r} and are asked of one picture: give one another name.")
        got = detect(
            asked.source.select(places), list(of_text), model=question.model, progress=question.progress and alone,
            **given,
        )  # fmt: skip
        parts.append(got.table.assign(label=got.table["label"].map(of_text)))
        failed += got.failed
        notes += got.notes
        about, threshold = got.provenance, got.threshold
    filled = [part for part in parts if len(part)]
    found = pd.concat(filled, ignore_index=True) if filled else empty((*FOUND,)).assign(evidence="")
    return _Seen(asked.without([name for name, _ in failed]), found, tuple(failed), tuple(dict.fromkeys(notes)), about,
                 float(threshold))  # fmt: skip


def _rivals(
    question: Question, asked: Asked, labels: Labels, templates: str | Sequence[str],
    centre: tuple[float, float] | None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """The whole picture, and the central box of dev, for every pair that is judged, scored by cosine."""
    texts = class_vectors(question.model, labels.names, templates)
    column = {key: i for i, key in enumerate(keys_of(labels).values())}
    there = set(asked.pairs["image"])
    part = asked.source.select([i for i, name in enumerate(asked.source.ids) if name in there])
    ids, whole, _ = encoded_pictures(question.model, part, question.batch_size, question.progress)
    place = {name: i for i, name in enumerate(ids)}
    pairs = asked.pairs[asked.pairs["image"].isin(place)]
    rows, columns = [place[name] for name in pairs["image"]], [column[key] for key in pairs["label"]]

    def scored(vectors: np.ndarray, share: tuple[float, float]) -> pd.DataFrame:
        cosines = np.einsum("ne,ne->n", vectors[rows], texts[columns])
        return central_boxes(pairs["image"].tolist(), pairs["label"].tolist(), cosines, asked.sizes, share)

    found = {WHOLE: scored(whole, (1.0, 1.0))}
    if centre is not None:
        cut = question.model.encode_images(_middles(part, place, centre), batch_size=question.batch_size)
        found[CENTRE] = scored(cut, centre)
    return found


def _middles(source: Source, wanted: Mapping[str, int], share: tuple[float, float]) -> Iterator[Image.Image]:
    """The central part of each picture, in the order of ``wanted``."""
    for item in source:
        if item.id in wanted:
            size, half = np.array(item.image.size), np.asarray(share) / 2
            x0, y0 = (int(corner) for corner in np.floor(size * (0.5 - half)))
            x1, y1 = (int(corner) for corner in np.ceil(size * (0.5 + half)))
            yield item.image.crop((x0, y0, x1, y1))


def _called(key: str, names: Sequence[str]) -> tuple[str, ...]:
    """All names of a label, the one of the tables first."""
    return tuple(dict.fromkeys((key, *names)))


def _notes(question: Question, chosen: _Chosen, tables: Any) -> list[str]:
    model, notes = question.model, []
    part = question.source.part
    if part == "dev":
        notes.append("The half 'dev' is for choices: a figure to report is taken on half='report'.")
    elif part == "all":
        notes.append("On all pictures, those of the half 'dev' among them: no half is left to fit a calibration, a "
                     "threshold or a central box on.")  # fmt: skip
    elif chosen.calibration is None:
        notes.append(f"The scores were not calibrated: the half 'dev' gave fewer than {_FEWEST} boxes.")
    if (few := tables.truth["label"].value_counts().median()) < _MANY:
        notes.append(f"The labels have {few:g} truths in the median: a picture that is drawn twice helps an AP of so "
                     "few, and its limits lean upwards.")  # fmt: skip
    if not (tables.asked.groupby("image").size() > 1).any():
        notes.append(
            "One label was asked of each picture: top-1 localisation would be GT-known again, and is left out."
        )
    if domain := model.card.get("domain"):
        notes.append(f"{model.name} was trained on {domain}.")
    return notes


register_task(
    "detection",
    detection,
    about="find what is named, as boxes: AP, AR, localisation, false alarms and calibration",
    paper="Lin et al. 2014 (arXiv 1405.0312); Choe et al. 2020 (arXiv 2007.04178); Guo et al. 2017 (arXiv 1706.04599)",
    open=open_boxes,
)
