"""The task "explainers": which map of a model to believe, measured in scenes, on photographs and in mosaics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import ClipvizWarning, DataError, InputError, ModelError, nearest
from ..model import Model
from ..text import PromptSet
from .labels import Labels, read_labels, truth_column
from .league import Entrant, League, Plan, World, entrants, mosaic_world, photograph_world, run, scene_world, summarise
from .league.costs import cost_of
from .league.measures import STEPS
from .provenance import about_run
from .registry import Question, register_task
from .result import Evaluation
from .seen import seen_claim
from .vectors import TEMPLATE


def explainers(
    question: Question,
    *,
    methods: Sequence[Any] | None = None,
    scenes: int = 500,
    photographs: int | None = None,
    mosaics: int = 1000,
    larger_mosaics: int = 0,
    box: str = "box",
    box_inclusive: bool = False,
    templates: str | Sequence[str] = TEMPLATE,
    few: int = 200,
    rare: int = 50,
    checks: int = 100,
    costly: float = 20.0,
    shuffled: Model | None = None,
    tile: int | None = None,
    resamples: int = 10_000,
) -> Evaluation:
    """Every method that serves the model, beside rivals that know nothing: a `League`.

    ``methods`` are names or pairs of a name and options. ``scenes``, ``photographs`` (None: all), ``mosaics`` (2 x 2)
    and ``larger_mosaics`` (3 x 3) say how many; 0 leaves the world out. ``box`` is the column of x0, y0, x1, y1 in
    pixels, ``box_inclusive`` where x1 and y1 are the last pixel. A method of more than ``costly`` passes takes the
    first ``few`` pictures of the same order, one of ten times as many the first ``rare``, and insertion, deletion and
    randomisation take the first ``checks``. ``shuffled`` is a model that was trained on shuffled captions.
    """

    counts = {"scenes": scenes, "mosaics": mosaics, "larger_mosaics": larger_mosaics, "few": few, "rare": rare,
              "checks": checks, "photographs": 0 if photographs is None else photographs}  # fmt: skip
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InputError(f"{name}={count!r} is no count: pass a whole number, 0 for none.")
    model = question.model
    if shuffled is not None and shuffled.grid != model.grid:
        raise InputError(f"shuffled= sees {shuffled.grid} cells and {model.name} {model.grid}: give one of its shape.")
    taking_part = entrants(model, methods)
    worlds, labels, notes = worlds_of(
        question, scenes=scenes, photographs=photographs, mosaics=mosaics, larger_mosaics=larger_mosaics, box=box,
        box_inclusive=box_inclusive, templates=templates, tile=tile,
    )  # fmt: skip
    if not worlds:
        raise InputError(
            f"There is nothing to measure on: {' '.join(notes) or 'ask for scenes, photographs or mosaics.'}"
        )
    plan = Plan(few, rare, checks, min(few, checks), costly, min(32, question.batch_size), question.seed, shuffled)
    items, costs, thresholds = measured(taking_part, worlds, plan, question.progress)
    table = summarise(items, costs, resamples=resamples, seed=question.seed)
    reasons = items[items["reason"] != ""]
    failed = [(str(row.id), f"{row.method}: {row.reason}") for row in reasons.itertuples()]
    left_out = [pair for world in worlds for pair in world.left_out]
    return League(
        task="explainers",
        table=table,
        items=items,
        labels=tuple(zip(labels.values, labels.names, strict=True)) if labels else (),
        seen=seen_claim(model.card, labels.names) if labels else "drawn scenes",
        notes=tuple(dict.fromkeys((*notes, *(note for world in worlds for note in world.notes)))),
        failed=tuple(dict.fromkeys((*left_out, *failed))),
        provenance=about_run(
            question, question.source, labels_sha256=labels.fingerprint if labels else "",
            templates=list(PromptSet.of("x", templates)[0].templates), box=box, box_inclusive=box_inclusive,
            worlds={world.name: {"pictures": len(world.cases), "half": world.half, "image_size": world.model.image_size}
                    for world in worlds},
            methods={e.name: {"method": e.method, **{k: repr(v) for k, v in e.options.items()}} for e in taking_part},
            thresholds=thresholds, few=few, rare=rare, steps=STEPS, checks=checks, costly=costly, resamples=resamples,
            shuffled=dict(shuffled.provenance) if shuffled else None,
        ),
    )  # fmt: skip


def worlds_of(
    question: Question, *, scenes: int = 0, photographs: int | None = 0, mosaics: int = 0, larger_mosaics: int = 0,
    box: str = "box", box_inclusive: bool = False, templates: str | Sequence[str] = TEMPLATE, tile: int | None = None,
) -> tuple[list[World], Labels | None, list[str]]:  # fmt: skip
    """The worlds that are asked for and can be had, the labels where photographs are among them, and notes."""
    model, source, notes, found = question.model, question.source, [], []
    if source.part == "dev":
        notes.append("The half 'dev' is for choices: a figure to report is taken on half='report'.")
    elif source.part == "all":
        notes.append("On all pictures, those of the half 'dev' among them: no overlap is measured, as no half is left "
                     "to choose its threshold on.")  # fmt: skip
    if scenes and (world := scene_world(model, scenes, question.seed)) is not None:
        found.append(world)
    elif scenes:
        notes.append(f"{model.name} never saw the words of the drawn scenes in training: they are left out.")
    if photographs == 0 and not mosaics and not larger_mosaics:
        return found, None, notes
    filled = PromptSet.of("x", templates)[0].templates
    everything = truth_column(question.whole.table(), question.truth, source.where_from)
    distinct = list({str(value): value for value in everything if value is not None}.values())
    labels = read_labels(question.labels, distinct, question.truth)
    unseen = {word for names in labels.names for word in model.unseen(names[0])}
    if unseen:
        notes.append(f"{model.name} never saw {', '.join(sorted(unseen)[:8])} in training: it cannot point at them.")
        warnings.warn(notes[-1], ClipvizWarning, stacklevel=5)
    how: dict[str, Any] = {"templates": filled, "seed": question.seed}
    if photographs != 0:
        if box not in (columns := [str(name) for name in source.table().columns]):
            raise DataError(f"There is no column {box!r} in {source.where_from} with boxes. {nearest(box, columns)}")
        boxes: dict[str, Any] = {**how, "box": box, "inclusive": box_inclusive}
        world = photograph_world(model, source, labels, question.truth, n=photographs, **boxes)
        if source.part == "report" and question.whole.part == "all":
            dev = question.whole.half("dev")
            if len(dev):
                world = replace(world, dev=photograph_world(model, dev, labels, question.truth, n=500, **boxes))
        found.append(world)
    for side, count in ((2, mosaics), (3, larger_mosaics)):
        if not count:
            continue
        try:
            found.append(mosaic_world(
                model, source, labels, question.truth, n=count, side=side, tile=tile, **how,
                batch_size=question.batch_size, progress=question.progress,
            ))  # fmt: skip
        except (InputError, ModelError) as error:
            notes.append(f"No mosaics of {side} x {side}: {error}")
    return found, labels, notes


def measured(
    taking_part: Sequence[Entrant], worlds: Sequence[World], plan: Plan, progress: bool
) -> tuple[Any, dict[str, float], dict[str, dict[str, float | None]]]:
    """The items, the cost of each entrant in passes of the model at its own size, and the thresholds by world."""
    import pandas as pd
    from tqdm.auto import tqdm

    rows: list[dict[str, Any]] = []
    costs: dict[str, float] = {}
    thresholds: dict[str, dict[str, float | None]] = {}
    for entrant in taking_part:
        costs[entrant.name] = cost_of(entrant, worlds[0].model, worlds[0])
    for world in worlds:
        with tqdm(total=len(world.cases) * len(taking_part), unit="maps", desc=world.name, disable=not progress) as bar:
            for entrant in taking_part:
                bar.set_postfix_str(entrant.name)
                found, threshold = run(entrant, world, plan, costs[entrant.name], bar=bar)
                rows += found
                bar.update(len(world.cases) - len(found))  # what a costly method leaves out
                if not world.tiles:
                    at = thresholds.setdefault(world.name, {})
                    at[entrant.name] = None if math.isnan(threshold) else threshold
    items = pd.DataFrame(rows)
    if (items["reason"] != "").all():
        raise DataError(f"No method gave a map of any picture; the first: {items['reason'].iloc[0]}")
    return items, costs, thresholds


register_task(
    "explainers",
    explainers,
    about="measure every explainer of the model against each other, and against rivals that know nothing",
    paper="Zhang et al. 2016 (arXiv 1608.00507); Boehle et al. 2021 (arXiv 2104.00032); Adebayo et al. 2018 "
    "(arXiv 1810.03292); Petsiuk et al. 2018 (arXiv 1806.07421)",
)
