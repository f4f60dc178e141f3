"""Whether the share depends on the group: chi-squared, or permutations where counts are small."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ..errors import InputError
from .counts import Floats, checked_draws, checked_seed, counts
from .permuting import apart, permutation_p

# In the far tail, where corrected verdicts are made, chi-squared errs at an expected count of 5 by up to fivefold (300
# pictures against 10,000 at 0.05 / 147; a tenth of it for equal groups, which hides rare harm), at 50 by a tenth.
_TAIL_EXPECTED, _TAIL = 50.0, 0.05


def independence_test(
    hits: ArrayLike, n: ArrayLike, *, permutations: int = 10_000, seed: int = 0, smallest_expected: float = 5.0
) -> tuple[Floats, NDArray[np.bool_]]:
    """The p-values of one share in all of G groups, [..., G] -> [...], and which of them are by permutation.

    Pearson's chi-squared with groups - 1 degrees of freedom and no continuity correction; where an expected count is
    below ``smallest_expected``, or below 50 while chi-squared says less than 0.05, (b + 1) / (B + 1) over B
    ``permutations`` of the pictures among the groups, as tables with these margins (Phipson and Smyth 2010, doi
    10.2202/1544-6115.1585). Corrected for T tests, B is to be at least 200 T. `permuting.permutation_p` says how they
    are drawn, and when they need not be; draws depend on ``seed`` and the margins alone. ``smallest_expected=0`` is
    chi-squared throughout. Groups with n = 0 are left out; 1 where all or none are hits; NaN where fewer than two
    groups are left. Raises InputError.

    >>> p, permuted = independence_test([[100, 180], [0, 4]], [1000, 1000], permutations=4000)
    >>> p.round(3).tolist(), permuted.tolist()
    ([0.0, 0.125], [False, True])
    """
    draws, seed = checked_draws(permutations), checked_seed(seed)
    k, total = counts(hits, n)
    if not k.ndim or not k.shape[-1]:
        raise InputError(f"The shape {list(k.shape)} has no groups: pass arrays [..., groups].")
    there = ~np.isnan(k)
    k, total = np.where(there, k, 0), np.where(there, total, 0)
    groups, everyone, all_hits = there.sum(axis=-1), total.sum(axis=-1), k.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = all_hits / everyone
        distance = apart(k, total, rate[..., None])
        p = special.chdtrc(np.maximum(groups - 1, 1), distance / (rate * (1 - rate)))
    certain = (all_hits == 0) | (all_hits == everyone)
    p = np.where(groups < 2, np.nan, np.where(certain, 1.0, p))
    expected = np.where(there, total, np.inf).min(axis=-1) * np.minimum(rate, 1 - rate)
    small = (
        (groups >= 2)
        & ~certain
        & ((expected < smallest_expected) | ((expected < _TAIL_EXPECTED) & (p < _TAIL) & (smallest_expected > 0)))
    )
    if small.any():
        p[small] = permutation_p(k[small], total[small], draws, seed)
    return p, small
