"""P-values of tables of hits by group over all ways, or many, to deal the same hits among the same pictures."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .counts import Floats

_SLACK = 1e-9  # statistics of equal tables differ by rounding
_ROOM = 2_000_000  # numbers drawn at a time
_WINDOW = 400  # hits in the smaller of two groups, of which 50 are expected at most where tables are permuted
_LONG, _FIRST, _PLAIN = 1_000_000, 2_000, 0.1  # numbers from which draws end early, after how many, and where


def apart(k: Floats, n: Floats, rate: Floats) -> Floats:
    """The sum over groups of (hits - expected)^2 / n: chi-squared, but for a factor that the margins fix."""
    return ((k - n * rate) ** 2 / np.where(n > 0, n, 1)).sum(axis=-1)


def permutation_p(k: Floats, n: Floats, draws: int, seed: int) -> Floats:
    """(b + 1) / (B + 1) of `apart` for tables with the margins of each row, [C, G] -> [C]; no n, no group.

    Of two groups all tables are counted, b being what B draws have on average. Of more, tables are drawn, once for
    equal margins. None is where Hoeffding's bound (1963, doi 10.1080/01621459.1963.10500830) leaves a chance below
    1 / 1000 that any of them were as far. Where draws and groups are a million numbers or more, 2,000 draws are
    enough if more than a tenth of them are as far.
    """
    everyone, hits = n.sum(axis=1), k.sum(axis=1)
    few = hits <= everyone - hits  # hits and misses may change places: the statistic is the same
    fewer = np.where(few, hits, everyone - hits)
    kept = np.where(few[:, None], k, n - k)
    p = np.empty(len(k))
    two = (n > 0).sum(axis=1) == 2
    if two.any():
        p[two] = (draws * _of_two(kept[two], n[two], fewer[two]) + 1) / (draws + 1)
    rest = np.flatnonzero(~two)
    if len(rest):
        seen = apart(kept[rest], n[rest], (fewer / everyone)[rest, None])
        never = _bound(seen, n[rest], (fewer / everyone)[rest]) * draws < 1e-3
        p[rest[never]] = 1 / (draws + 1)
        rest, seen = rest[~never], seen[~never]
        p[rest] = _of_many(seen, np.concatenate([n, fewer[:, None]], axis=1)[rest].astype(np.int64), draws, seed)
    return p


def _of_two(k: Floats, n: Floats, hits: Floats) -> Floats:
    """The chance of a table as far as this, of all with these margins: the hypergeometric distribution's two tails."""
    order = np.argsort(np.where(n > 0, n, np.inf), axis=1, kind="stable")[:, :2]
    small, other = np.take_along_axis(n, order, 1).T
    seen = np.take_along_axis(k, order, 1)[:, 0]
    margins, place = np.unique(np.stack([small, other, hits], axis=1), axis=0, return_inverse=True)
    place, p = place.reshape(-1), np.empty(len(k))
    step = max(1, _ROOM // _WINDOW)
    for first in range(0, len(margins), step):
        a, b, m = margins[first : first + step].T[:, :, None]
        x = np.arange(_WINDOW + 1.0)
        can = (x <= np.minimum(a, m)) & (m - x <= b)
        inside = np.where(can, x, np.maximum(0, m - b))
        log = _choose(a, inside) + _choose(b, m - inside) - _choose(a + b, m)
        chance = np.where(can, np.exp(log), 0)
        below = np.concatenate([np.zeros((len(chance), 1)), np.cumsum(chance, axis=1)], axis=1)
        above = np.concatenate([np.cumsum(chance[:, ::-1], axis=1)[:, ::-1], np.zeros((len(chance), 1))], axis=1)
        at = np.flatnonzero((place >= first) & (place < first + step))
        row = place[at] - first
        middle = (a * m / (a + b))[row, 0]
        far = np.abs(seen[at] - middle) * (1 - _SLACK) - _SLACK
        low = np.clip(np.floor(middle - far) + 1, 0, _WINDOW + 1).astype(int)
        high = np.clip(np.ceil(middle + far), 0, _WINDOW + 1).astype(int)
        p[at] = np.where(low > high, 1.0, np.minimum(below[row, low] + above[row, np.maximum(high, low)], 1))
    return p


def _choose(n: Floats, k: Floats) -> Floats:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)


def _bound(seen: Floats, n: Floats, rate: Floats) -> Floats:
    """An upper bound of the chance of tables as far as ``seen``: one of the groups has its part of it, or more."""
    size, r = np.where(n > 0, n, 1), rate[:, None]
    reach = np.sqrt(seen[:, None] / (n > 0).sum(axis=1, keepdims=True) / size)  # of a group's share from the rate
    total = np.zeros(len(n))
    for share in (r + reach, r - reach):
        can = (n > 0) & (share >= 0) & (share <= 1)
        s = np.where(can, share, r)
        apart_by = special.xlogy(s, s / r) + special.xlogy(1 - s, (1 - s) / (1 - r))
        total += np.where(can, np.exp(-size * apart_by), 0).sum(axis=1)
    return total


def _of_many(seen: Floats, margins: NDArray[np.int64], draws: int, seed: int) -> Floats:
    """(b + 1) / (B + 1) for rows of ``margins`` [C, G + 1], the sizes of the groups and all hits."""
    unique, place = np.unique(margins, axis=0, return_inverse=True)
    place, p = place.reshape(-1), np.empty(len(seen))
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(len(unique) + 1))
    least = seen * (1 - _SLACK) - _SLACK
    for i, margin in enumerate(unique):
        at, table = order[ends[i] : ends[i + 1]], (tuple(int(m) for m in margin[:-1] if m), int(margin[-1]))
        if draws * len(table[0]) >= _LONG and draws > _FIRST:
            p[at] = _share(_drawn(*table, _FIRST, seed), least[at])
            at = at[p[at] <= _PLAIN]
        if len(at):
            p[at] = _share(_drawn(*table, draws, seed), least[at])
    return p


def _share(drawn: Floats, least: Floats) -> Floats:
    return (len(drawn) - np.searchsorted(drawn, least) + 1) / (len(drawn) + 1)


@lru_cache(maxsize=128)
def _drawn(sizes: tuple[int, ...], hits: int, draws: int, seed: int) -> Floats:
    """The sorted statistics of tables drawn with these margins."""
    rng, n = np.random.default_rng([seed, hits, *sizes]), np.array(sizes)
    rate, step, found = np.array(hits / n.sum()), max(1, _ROOM // len(sizes)), []
    for first in range(0, draws, step):
        tables = rng.multivariate_hypergeometric(n, hits, size=min(step, draws - first), method="marginals")  # [B, G]
        found.append(apart(tables.astype(np.float64), n.astype(np.float64), rate))
    return np.sort(np.concatenate(found))
