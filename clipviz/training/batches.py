"""The batch of each step: pixels, what is true of each picture, and the texts of the step."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .augment import shown
from .captions import Captions, Concepts
from .network import Shape, shape_of
from .pictures import Pictures, open_pictures
from .plan import Plan
from .recipe import Recipe
from .tokens import tokenize

MOST_TRIES = 100  # damaged pictures in a row before a source counts as broken


@dataclass
class Batch:
    """What one process sees of a step.

    ``pixels`` uint8 [n, S, S, 3]; ``true`` int64 [n, M], the concepts that each picture shows, -1 for none;
    ``tokens`` int64 [k, L], this process's share of the step's texts, and ``said`` int64 [k], the concept of
    each; ``keep`` int64 [n, patches kept] or None; ``skipped``: (source, id, reason) of damaged pictures.
    """

    step: int
    pixels: Tensor
    true: Tensor
    tokens: Tensor
    said: Tensor
    keep: Tensor | None
    skipped: list[tuple[str, str, str]]


class Batches(torch.utils.data.Dataset[Batch]):
    """``batches[step]``: the rows of process ``rank`` of ``world``, every ``world``-th of the step's batch.

    Every number in it depends on the recipe, the data and the step alone: not on the processes, on the workers
    that read ahead, nor on what was read before. So a run can go on at any step.
    """

    def __init__(
        self,
        recipe: Recipe,
        cache: Path,
        *,
        rank: int = 0,
        world: int = 1,
        quiet: bool = True,
        pictures: Sequence[Pictures] | None = None,
        shape: Shape | None = None,
    ):
        """``pictures`` are those of the sources where they are open already; otherwise they go through ``cache``.

        ``shape``: what `shape_of` says of the recipe, where that is known already.
        """
        self.recipe, self.rank, self.world = recipe, rank, world
        data = recipe.data
        self.concepts = Concepts()
        self.shape = shape or shape_of(recipe)
        self.size, self.context = self.shape.image_size, self.shape.context_length
        opened = pictures or [open_pictures(s, self.size, cache, data.workers, quiet) for s in data.sources]
        self.pictures = opened
        self.captions = [Captions(s, p.rows, self.concepts) for s, p in zip(data.sources, opened, strict=True)]
        self.places = [np.flatnonzero(c.useful) for c in self.captions]  # those with a caption
        for source, places in zip(data.sources, self.places, strict=True):
            if not len(places):
                raise DataError(f"No picture of {source.label!r} has a caption; check the caption column or templates.")
        self.plan = Plan(recipe, [len(places) for places in self.places])

    @property
    def empty_captions(self) -> dict[str, int]:
        """How many pictures of each source were dropped because nothing is said about them."""
        counts = [len(p) - len(k) for p, k in zip(self.pictures, self.places, strict=True)]
        return {s.label: n for s, n in zip(self.recipe.data.sources, counts, strict=True) if n}

    @property
    def training_classes(self) -> list[str]:
        """Every name, synonyms included, that a template puts into a caption; free captions name no classes."""
        closed = [c for c, s in zip(self.captions, self.recipe.data.sources, strict=True) if s.captions]
        numbers = {int(n) for captions in closed for n in np.unique(captions.of) if n >= 0}
        return sorted({name for n in numbers for _, names in self.concepts.every[n].names for name in names})

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Batch:
        recipe = self.recipe
        rows = self.plan.rows(step)
        mine = range(self.rank, len(rows), self.world)
        skipped: list[tuple[str, str, str]] = []
        pixels, true, said, texts = [], [], [], []
        for number in mine:
            s, place, _ = rows[number]
            rng = np.random.default_rng([recipe.seed, 3, step, number])
            i, image = self._image(s, place, skipped)
            pixels.append(shown(image, self.size, recipe.data.sources[s], rng))
            captions = self.captions[s]
            true.append(captions.of[i])
            if recipe.loss.texts == "batch":
                said.append(captions.draw(i, rng))
                texts.append(self.concepts.every[said[-1]].say(rng))
        if recipe.loss.texts == "all":
            rng = np.random.default_rng([recipe.seed, 4, step])
            wordings = [concept.say(rng) for concept in self.concepts.every]
            said = list(range(self.rank, len(wordings), self.world))
            texts = wordings[self.rank :: self.world]
        width = max(len(of) for of in true)
        padded = np.stack([np.pad(of, (0, width - len(of)), constant_values=-1) for of in true])
        return Batch(
            step,
            torch.from_numpy(np.stack(pixels)),
            torch.from_numpy(padded),
            tokenize(texts, self.context),
            torch.tensor(said, dtype=torch.long),
            self._kept(step, mine),
            skipped,
        )

    def _image(self, s: int, place: int, skipped: list[tuple[str, str, str]]) -> tuple[int, Any]:
        """The picture at a place of a source's walk, or the next whole one after it."""
        for further in range(MOST_TRIES):
            i = int(self.places[s][self.plan.picture(s, place + further)])
            try:
                return i, self.pictures[s].image(i)
            except DataError as error:
                skipped.append((self.recipe.data.sources[s].label, self.pictures[s].ids[i], str(error)))
        label, _, reason = skipped[-1]
        raise DataError(f"{MOST_TRIES} pictures in a row of {label!r} are damaged, the last: {reason}")

    def _kept(self, step: int, mine: Sequence[int]) -> Tensor | None:
        """Which patches of each picture stay [n, k] (FLIP, Li et al. 2023, arXiv 2212.00794), or None for all."""
        o, grid = self.recipe.optim, self.shape.grid
        if grid is None or o.keep_patches == 1 or step >= o.full_from * self.recipe.steps:
            return None
        patches = grid**2
        order = np.random.default_rng([self.recipe.seed, 5, step]).random((o.batch, patches)).argsort(axis=1)
        return torch.from_numpy(np.sort(order[list(mine), : max(1, round(o.keep_patches * patches))], axis=1))


def read_ahead(batches: Batches, start: int, workers: int) -> Iterator[Batch]:
    """The batches from step ``start`` on, made ahead of their step by worker processes (0: in this one)."""
    loader: Iterable[Batch] = torch.utils.data.DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, len(batches)),
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        multiprocessing_context="spawn" if workers else None,  # torch's threads do not survive a fork
        worker_init_fn=_heed_the_loop if workers else None,
        generator=torch.Generator(),  # else each start of a run would draw a seed from the numbers that steps use
    )
    return iter(loader)


def _heed_the_loop(worker: int) -> None:
    """A worker leaves signals to the loop, which ends it: a whole group is often sent one, and a step is in hand."""
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, signal.SIG_IGN)
