"""Maps that know nothing: what any method must beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .region import Seed, chance


def centre_map(shape: tuple[int, int]) -> NDArray[np.float64]:
    """A bell over the middle of the picture, [h, w], its standard deviation a quarter of each side; flat on [2, 2].

    >>> int(centre_map((3, 3)).argmax())
    4
    """
    down, across = (((np.arange(n) + 0.5) / n - 0.5) / 0.25 for n in shape)
    return np.exp(-0.5 * (down[:, None] ** 2 + across[None, :] ** 2))


def random_map(shape: tuple[int, int], seed: Seed = 0) -> NDArray[np.float64]:
    """Independent numbers from 0 to 1, [h, w]: a random order of the cells, by ``seed``.

    >>> random_map((2, 3)).shape
    (2, 3)
    """
    return chance(seed).random(shape)
