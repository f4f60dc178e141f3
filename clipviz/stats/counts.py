"""What every function of counts checks first: hits of n, a level, and their shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Floats = NDArray[np.float64]


def numbers(**given: ArrayLike) -> tuple[Floats, ...]:
    """The arguments as arrays of float64 of one shape; words, or shapes that do not go together, are an InputError."""
    arrays = []
    for name, values in given.items():
        try:
            arrays.append(np.asarray(values, np.float64))
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"{name} holds what is no number ({str(error)[:80]}): pass an array of numbers."
            ) from error
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError as error:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in zip(given, arrays, strict=True))
        raise InputError(
            f"The shapes do not go together: {shapes}; give arrays of one shape, or that broadcast."
        ) from error


def counts(hits: ArrayLike, n: ArrayLike, *, of: str = "hits", out_of: str = "n") -> tuple[Floats, Floats]:
    """``hits`` and ``n`` of one shape, whole and 0 <= hits <= n; where n is 0, or either is NaN, both are NaN."""
    k, total = numbers(**{of: hits, out_of: n})
    nothing = np.isnan(k) | np.isnan(total) | (total == 0)
    right = (k == np.floor(k)) & (total == np.floor(total)) & (k >= 0) & (k <= total) & np.isfinite(total)
    if not (right | (nothing & ~(total < 0))).all() or (k[total == 0] > 0).any():
        raise InputError(f"{of} are whole numbers from 0 to {out_of}: pass counts of pictures, not shares of them.")
    return np.where(nothing, np.nan, k), np.where(nothing, np.nan, total)


def checked_level(level: float) -> float:
    """The coverage that is aimed at, above 0 and below 1."""
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not 0 < level < 1:
        raise InputError(f"level={level!r} is no coverage between 0 and 1: pass 0.95 for 95 %.")
    return float(level)


def checked_draws(permutations: int) -> int:
    """How many permutations: a whole number from 1."""
    if isinstance(permutations, bool) or not isinstance(permutations, int | np.integer) or permutations < 1:
        raise InputError(f"permutations={permutations!r} is no count: pass a whole number such as 10_000.")
    return int(permutations)


def checked_seed(seed: int) -> int:
    """What the draws start from: a whole number from 0."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed={seed!r} starts no draws: pass a whole number from 0.")
    return int(seed)


def one_of(value: str, known: tuple[str, ...], name: str) -> str:
    """``value``, where it is one of the ``known``."""
    if value not in known:
        raise InputError(f"{name}={value!r} is not known: pass one of {', '.join(map(repr, known))}.")
    return value
