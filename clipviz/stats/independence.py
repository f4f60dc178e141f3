"""Whether the share depends on the group: chi-squared, or permutations where counts are small."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ..errors import InputError
from .counts import Floats, checked_draws, checked_seed, counts

_SLACK = 1e-9  # statistics of equal tables differ by rounding
# In the far tail, where corrected verdicts are made, chi-squared errs at an expected count of 5 by up to fivefold (300
# pictures against 10,000 at 0.05 / 147; a tenth of it for equal groups, which hides rare harm), at 50 by a tenth.
_TAIL_EXPECTED, _TAIL = 50.0, 0.05


def independence_test(
    hits: ArrayLike, n: ArrayLike, *, permutations: int = 10_000, seed: int = 0, smallest_expected: float = 5.0
) -> tuple[Floats, NDArray[np.bool_]]:
    """The p-values of one share in all of G groups, [..., G] -> [...], and which of them are by permutation.

    Pearson's chi-squared with groups - 1 degrees of freedom and no continuity correction; where an expected count is
    below ``smallest_expected``, or below 50 while chi-squared says less than 0.05, (b + 1) / (B + 1) over B
    ``permutations`` of the pictures among the groups, drawn as tables with these margins (Phipson and Smyth 2010, doi
    10.2202/1544-6115.1585). Corrected for T tests, B is to be at least 200 T. Equal margins share their draws, which
    depend on ``seed`` and the margins alone; ``smallest_expected=0`` is chi-squared throughout. Groups with n = 0 are
    left out; 1 where all or none are hits; NaN where fewer than two groups are left. Raises InputError.

    >>> p, permuted = independence_test([[100, 180], [0, 4]], [1000, 1000], permutations=4000)
    >>> p.round(3).tolist(), permuted.tolist()
    ([0.0, 0.129], [False, True])
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
        apart = _apart(k, total, rate[..., None])
        p = special.chdtrc(np.maximum(groups - 1, 1), apart / (rate * (1 - rate)))
    certain = (all_hits == 0) | (all_hits == everyone)
    p = np.where(groups < 2, np.nan, np.where(certain, 1.0, p))
    expected = np.where(there, total, np.inf).min(axis=-1) * np.minimum(rate, 1 - rate)
    small = (
        (groups >= 2)
        & ~certain
        & ((expected < smallest_expected) | ((expected < _TAIL_EXPECTED) & (p < _TAIL) & (smallest_expected > 0)))
    )
    if small.any():
        fewer = np.minimum(all_hits, everyone - all_hits)  # hits and misses change places: the statistic is the same
        margins, place = np.unique(
            np.concatenate([total[small], fewer[small][:, None]], axis=1).astype(np.int64), axis=0, return_inverse=True
        )
        seen, found = apart[small], np.empty(int(small.sum()))
        place = place.reshape(-1)
        order = np.argsort(place, kind="stable")
        ends = np.searchsorted(place[order], np.arange(len(margins) + 1))
        for i, margin in enumerate(margins):
            at = order[ends[i] : ends[i + 1]]
            drawn = _drawn(tuple(int(m) for m in margin[:-1] if m), int(margin[-1]), draws, seed)
            least = seen[at] * (1 - _SLACK) - _SLACK
            found[at] = (len(drawn) - np.searchsorted(drawn, least) + 1) / (len(drawn) + 1)
        p[small] = found
    return p, small


def _apart(k: Floats, n: Floats, rate: Floats) -> Floats:
    """The sum over groups of (hits - expected)^2 / n: chi-squared, but for a factor that the margins fix."""
    return ((k - n * rate) ** 2 / np.where(n > 0, n, 1)).sum(axis=-1)


@lru_cache(maxsize=128)
def _drawn(sizes: tuple[int, ...], hits: int, draws: int, seed: int) -> Floats:
    """The sorted statistics of tables drawn with these margins."""
    rng = np.random.default_rng([seed, hits, *sizes])
    n = np.array(sizes)
    tables = rng.multivariate_hypergeometric(n, hits, size=draws, method="marginals")  # [B, G]
    return np.sort(_apart(tables.astype(np.float64), n.astype(np.float64), np.array(hits / n.sum())))
