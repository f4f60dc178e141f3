"""The training pictures: scenes drawn once in worker processes and kept in memory at the model's own size."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm.auto import tqdm

from ..synth import pairs, scenes

MOST = 4  # objects in a scene
CHUNK = 250
PAIR_IDS = {pair: i for i, pair in enumerate(pairs())}

Job = tuple[int, int, int, str, str, int]


@dataclass(frozen=True)
class Pool:
    """Pictures uint8 [N, S, S, 3], and the pairs in each: indices into ``synth.pairs()`` [N, 4], -1 for none."""

    pixels: NDArray[np.uint8]
    pairs: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pixels)


def draw_pool(
    n: int, size: int, *, seed: int, level: str = "hard", split: str = "train", workers: int = 2, quiet: bool = False
) -> Pool:
    """Draw ``n`` scenes and shrink them to ``size`` as the model's preprocessing does (bicubic, anti-aliased).

    With ``workers=0`` they are drawn in this process. The pool depends on the numbers given, not on the workers.
    """
    jobs: list[Job] = [(first, min(first + CHUNK, n), seed, level, split, size) for first in range(0, n, CHUNK)]
    pixels = np.empty((n, size, size, 3), dtype=np.uint8)
    labels = np.full((n, MOST), -1, dtype=np.int64)
    with tqdm(total=n, desc=f"drawing {level} scenes", unit="scene", disable=quiet) as bar:
        for job, (some_pixels, some_labels) in zip(jobs, _run(jobs, workers), strict=True):
            pixels[job[0] : job[1]], labels[job[0] : job[1]] = some_pixels, some_labels
            bar.update(job[1] - job[0])
    return Pool(pixels, labels)


def _run(jobs: list[Job], workers: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    if workers == 0 or len(jobs) < 2:
        yield from map(draw_chunk, jobs)
        return
    # spawned, not forked: the caller's process runs torch's threads by now
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as processes:
        yield from processes.map(draw_chunk, jobs)


def draw_chunk(job: Job) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Scenes ``first`` to ``last`` of a seed; a function of the module, so that another process can run it."""
    first, last, seed, level, split, size = job
    drawn = scenes(last, seed=seed, level=level, split=split)
    pixels = np.empty((last - first, size, size, 3), dtype=np.uint8)
    labels = np.full((last - first, MOST), -1, dtype=np.int64)
    for row, i in enumerate(range(first, last)):
        scene = drawn[i]
        pixels[row] = np.asarray(scene.picture.resize((size, size), Image.Resampling.BICUBIC))
        for column, thing in enumerate(scene.objects):
            labels[row, column] = PAIR_IDS[thing.pair]
    return pixels, labels
