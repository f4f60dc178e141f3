"""Look before a run: what the pictures and captions of a recipe are, and what training on them will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..errors import DataError
from ..sources import half_of
from .batches import Batch, Batches
from .captions import Captions, Concepts
from .checked import Check
from .data_recipe import SourceRecipe
from .glimpse import Glimpse
from .network import seen_tokens, shape_of
from .pictures import Stored
from .reading import read_recipe
from .recipe import Recipe
from .tokens import token_count, tokens_text
from .trial import Trial, available, needed, try_out

SHOWN, READ, FREQUENT = 24, 2000, 10  # pictures on the sheet; captions that are counted; captions that are named
BUSY = 0.6  # of the time asked for: with less, others work beside us
REPEATING = 0.05  # of a batch's captions: from there on it matters


def check(recipe: Recipe | str | Path | Mapping[str, Any], *, changes: Iterable[str] = (), steps: bool = True) -> Check:
    """Read a few batches of a recipe, and say what is in them and what the run will take; nothing is written.

    ``recipe`` and ``changes`` are those of `train`. With ``steps`` a few real steps are trained, on a network that is
    then thrown away, and time and memory are estimated from them. Pictures that the run decodes or draws into its
    cache at first are only decoded where they are looked at, and a few drawn ones stand for all.

    Raises SpecError for a recipe that is wrong, DataError for data that cannot be read or do not fit it.

    >>> check("train/tiny.toml").save("tiny.html")  # doctest: +SKIP
    """
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe, changes)
    before = torch.get_num_threads()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    try:
        return _check(recipe, steps)
    finally:
        torch.set_num_threads(before)


def _check(recipe: Recipe, steps: bool) -> Check:
    shape = shape_of(recipe)
    pictures = [Glimpse(source, shape.image_size) for source in recipe.data.sources]
    batches = Batches(recipe, Path(), pictures=pictures, shape=shape)
    batches.world = max(1, recipe.optim.batch // SHOWN)
    batch = batches[0]
    captions, frequent = _captions(batches)
    notes = _notes(recipe, batches, pictures, captions)
    notes += [_dev(source) for source in recipe.data.dev]
    trial = None
    if steps:
        wanted, there = needed(recipe), available()
        if there is not None and wanted > there:
            notes.append(
                f"No step was tried: weights, gradients and Adam's statistics take {wanted / 2**30:.1f} GiB, and this "
                f"machine has {there / 2**30:.1f} GiB free."
            )
        else:
            trial = try_out(recipe, batches, _seen(recipe, batches))
            if trial.share < BUSY and not torch.cuda.is_available():
                notes.append(
                    f"This machine is busy: the trial got {trial.share:.0%} of its threads' time; alone, the run is "
                    "quicker than is said here."
                )
    rows = [p.facts(len(k)) for p, k in zip(pictures, batches.places, strict=True)]
    lost = [(p.recipe.label, name, reason) for p in pictures for name, reason in p.lost]
    damaged = {(source, name): reason for source, name, reason in [*lost, *batch.skipped]}
    return Check(
        name=recipe.name,
        sources=tuple(rows),
        captions=captions,
        frequent=tuple(frequent),
        damaged=tuple((*key, reason) for key, reason in damaged.items()),
        run=_run(recipe, pictures, trial),
        memory={} if trial is None else trial.memory,
        pictures=batch.pixels[:SHOWN].numpy(),
        shown=tuple(_said(batches, batch)[:SHOWN]),
        notes=tuple(notes),
        provenance={
            "clipviz": __version__, "torch": torch.__version__, "seed": recipe.seed, "recipe": recipe.to_dict(),
            "data": {p.recipe.label: p.stored.fingerprint for p in pictures if p.stored is not None},
        },
    )  # fmt: skip


def _captions(batches: Batches) -> tuple[dict[str, Any], list[tuple[str, float]]]:
    """Counts over some 2,000 captions as training draws them, and the most frequent things that are said."""
    recipe, every = batches.recipe, batches.concepts.every
    batch = recipe.optim.batch
    count = min(recipe.steps, -(-READ // batch))
    said: Counter[int] = Counter()
    texts, repeating = [], []
    for step in np.unique(np.linspace(0, recipe.steps - 1, count).astype(int)):
        rng = np.random.default_rng([recipe.seed, 6, int(step)])
        numbers = []
        for s, _, place in batches.plan.rows(int(step))[:READ]:
            numbers.append(batches.captions[s].draw(int(batches.places[s][place]), rng))
            texts.append(every[numbers[-1]].say(rng))
        times = Counter(numbers)
        repeating.append(np.mean([times[n] > 1 for n in numbers]))
        said.update(numbers)
    tokens = np.array([token_count(text) for text in texts])
    found = {
        "pictures with a caption": sum(len(places) for places in batches.places),
        "distinct things said": len(every),
        "captions counted": len(texts),
        "distinct among them": len(set(texts)),
        "tokens, least": int(tokens.min()),
        "tokens, median": float(np.median(tokens)),
        "tokens, most": int(tokens.max()),
        "context length": batches.context,
        "cut at the context length": float((tokens > batches.context).mean()),
        "empty, dropped": sum(batches.empty_captions.values()),
        "say the same as another of their batch": float(np.mean(repeating)),
    }
    total = sum(said.values())
    return found, [(every[n].first, times / total) for n, times in said.most_common(FREQUENT)]


def _said(batches: Batches, batch: Batch) -> list[str]:
    """What each picture of a batch is shown with, as the text tower reads it; where all is said, what is true of it."""
    if batches.recipe.loss.texts == "batch":
        return [tokens_text(row) for row in batch.tokens]
    every = batches.concepts.every
    return ["; ".join(every[n].first for n in row if n >= 0) for row in batch.true.tolist()]


def _notes(recipe: Recipe, batches: Batches, pictures: list[Glimpse], captions: dict[str, Any]) -> list[str]:
    notes = []
    cut, same = captions["cut at the context length"], captions["say the same as another of their batch"]
    if cut:
        notes.append(
            f"{cut:.1%} of the captions are longer than the {batches.context} tokens of model.context_length, "
            "and lose their end."
        )
    if same > REPEATING and not recipe.loss.multi_positive:
        notes.append(
            f"{same:.0%} of a batch's captions say the same as another of that batch, which the loss takes for wrong: "
            "set loss.multi_positive = true."
        )
    for label, n in batches.empty_captions.items():
        notes.append(f"{n} pictures of {label!r} have an empty caption and are left out.")
    for p in pictures:
        if p.drawn and p.drawn < len(p):
            notes.append(f"Of {p.recipe.label!r} the first {p.drawn} of {len(p)} were drawn, and stand for all.")
    return notes


def _dev(source: SourceRecipe) -> str:
    """What the dev half of a source will be scored on."""
    if source.kind != "pictures":
        return f"{source.label!r} is drawn for dev, and was not looked at."
    stored, concepts = Stored(source), Concepts()
    own = Captions(source, stored.rows, concepts).own[:, 0]
    here = (own >= 0) & np.array([half_of(name) == "dev" for name in stored.ids])
    things = len(np.unique(own[here]))
    if things < 2:
        raise DataError(f"The dev half of {source.label!r} shows {things} concepts; scoring takes two or more.")
    return f"Dev: {int(here.sum())} pictures of {source.label!r} in its dev half, {things} things to tell apart."


def _seen(recipe: Recipe, batches: Batches) -> torch.Tensor | None:
    if recipe.model.vocabulary != "seen":
        return None
    texts = (text for concept in batches.concepts.every for text in concept.wordings())
    return seen_tokens(texts, batches.context)


def _run(recipe: Recipe, pictures: list[Glimpse], trial: Trial | None) -> dict[str, Any]:
    """Numbers of the whole run; seconds are those of this machine, with one process."""
    found: dict[str, Any] = {"steps": recipe.steps, "pairs a step": recipe.optim.batch}
    if trial is None:
        return found
    workers = recipe.data.workers
    # workers read while the network computes; without them the one waits for the other
    step = (
        max(trial.compute_seconds, trial.read_seconds / workers)
        if workers
        else trial.compute_seconds + trial.read_seconds
    )
    ready = sum(
        len(p) * p.seconds / p.looked / (max(1, workers) if p.stored is None else 1)
        for p in pictures
        if p.prepared and p.looked
    )
    return found | {
        "pairs tried a step": trial.measured,
        "seconds to read a step": trial.read_seconds,
        "seconds to compute a step": trial.compute_seconds,
        "seconds a step": step,
        "seconds of decoding and drawing at first": ready,
        "seconds in all": ready + recipe.steps * step,
    }
