"""Scenes and avatars as training pictures: drawn once by worker processes, and what is true of each."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm.auto import tqdm

from ..synth import avatars, scenes
from .data_recipe import SourceRecipe

CHUNK = 250

Things = list[dict[str, Any]]  # a row for each thing in a picture, the one that the caption names first
Job = tuple[SourceRecipe, int, int, int]


def draw(
    source: SourceRecipe, side: int, workers: int = 0, quiet: bool = False
) -> tuple[NDArray[np.uint8], list[Things]]:
    """All ``source.n`` pictures uint8 [n, side, side, 3], shrunk as preprocessing does, and the things in each.

    What is drawn depends on the source's own numbers, not on the workers; 0 draws in this process.
    """
    jobs: list[Job] = [(source, first, min(first + CHUNK, source.n), side) for first in range(0, source.n, CHUNK)]
    pixels = np.empty((source.n, side, side, 3), dtype=np.uint8)
    things: list[Things] = []
    with tqdm(total=source.n, desc=f"drawing {source.label}", unit="picture", disable=quiet) as bar:
        for (_, first, last, _), (some, what) in zip(jobs, _run(jobs, workers), strict=True):
            pixels[first:last] = some
            things += what
            bar.update(last - first)
    return pixels, things


def _run(jobs: list[Job], workers: int) -> Iterator[tuple[NDArray[np.uint8], list[Things]]]:
    if workers == 0 or len(jobs) < 2:
        yield from map(draw_chunk, jobs)
        return
    # spawned, not forked: the caller's process may run torch's threads by now
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as processes:
        yield from processes.map(draw_chunk, jobs)


def draw_chunk(job: Job) -> tuple[NDArray[np.uint8], list[Things]]:
    """Pictures ``first`` to ``last``; a function of the module, so that another process can run it."""
    source, first, last, side = job
    pixels = np.empty((last - first, side, side, 3), dtype=np.uint8)
    things: list[Things] = []
    for row, i in enumerate(range(first, last)):
        if source.kind == "scenes":
            scene = scenes(last, seed=source.draw_seed, level=source.level, split=source.split)[i]
            picture = scene.picture
            order = [scene.target, *(thing for k, thing in enumerate(scene.objects) if k != scene.named)]
            things.append([{"caption": t.caption, "colour": t.colour, "shape": t.shape} for t in order])
        else:
            avatar = avatars(last, seed=source.draw_seed, rates=source.rates or None)[i]
            picture = avatar.picture
            things.append([{"caption": avatar.caption, "group": avatar.group, "attribute": avatar.attribute}])
        pixels[row] = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
    return pixels, things
