"""Which pictures each step shows: a pure function of the recipe and the step, so that any run can go on anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .recipe import Recipe


class Plan:
    """The rows of every step, the same whatever the number of processes.

    ``counts`` [steps, sources] says how many pictures each source gives to a step: the weights, rounded so that
    what one step owes a source the next ones pay. Each source is walked in a new random order each time round,
    without repeating a picture before all have been shown.
    """

    def __init__(self, recipe: Recipe, sizes: Sequence[int]):
        self.seed, self.sizes = recipe.seed, tuple(sizes)
        sources, batch, steps = recipe.data.sources, recipe.optim.batch, recipe.steps
        if sum(sizes) < batch:
            raise DataError(
                f"optim.batch={batch} is larger than the data, which hold {sum(sizes)} pictures; give a smaller batch."
            )
        along = np.arange(steps) / steps
        weights = np.stack(
            [s.weight * (np.clip(1 - along / s.fade, 0, 1) if s.fade else np.ones(steps)) for s in sources], axis=1
        )
        if (weights.sum(axis=1) <= 0).any():
            raise DataError("At some step no source has any weight left; give one a weight above 0 that does not fade.")
        shares = batch * weights / weights.sum(axis=1, keepdims=True)
        self.counts = np.zeros((steps, len(sources)), dtype=np.int64)
        owed = np.zeros(len(sources))
        for step in range(steps):
            owed += shares[step]
            self.counts[step] = np.maximum(0, np.floor(owed))
            short = batch - self.counts[step].sum()
            order = np.argsort(-(owed - self.counts[step]), kind="stable")
            for s in order[:short] if short > 0 else [s for s in order[::-1] if self.counts[step, s]][:-short]:
                self.counts[step, s] += 1 if short > 0 else -1
            owed -= self.counts[step]
        self.before = np.vstack([np.zeros(len(sources), dtype=np.int64), np.cumsum(self.counts, axis=0)])

    def rows(self, step: int) -> list[tuple[int, int, int]]:
        """The batch of a step: (source, place in its walk, picture) in a fixed random order."""
        rows = [
            (s, place, self.picture(s, place))
            for s, first in enumerate(self.before[step])
            for place in range(first, first + self.counts[step, s])
        ]
        order = np.random.default_rng([self.seed, 1, step]).permutation(len(rows))
        return [rows[i] for i in order]

    def picture(self, source: int, place: int) -> int:
        """The picture at a place of the walk through a source."""
        lap, i = divmod(place, self.sizes[source])
        return int(_walk(self.seed, source, lap, self.sizes[source])[i])


@lru_cache(maxsize=64)
def _walk(seed: int, source: int, lap: int, size: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 2, source, lap]).permutation(size)
