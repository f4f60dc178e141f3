"""Who stands at the top of a ranking: MaxSkew@k and NDKL, beside random rankings of the same gallery."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from .groups import Grouping
    from .spec import AuditSpec

NOT_BY_PERSONS = "no test of rankings where persons have several pictures"
_ROOM = 4_000_000  # numbers that random rankings hold at once

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def max_skew(top: ArrayLike, desired: ArrayLike, *, base: float = math.e) -> Floats:
    """MaxSkew@k: the largest log of (share among the top k / desired share) over groups, [...].

    ``top`` [..., G] counts the top k by group, ``desired`` [G] are shares that sum to 1; a group that is desired at 0
    is left out. 0 is as desired (Geyik et al. 2019, arXiv 1905.01989).

    >>> round(float(max_skew([75, 25], [0.5, 0.5])), 4)
    0.4055
    """
    counts, wanted = np.asarray(top, np.float64), np.asarray(desired, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        skews = np.log(counts / counts.sum(axis=-1, keepdims=True) / wanted) / math.log(base)
    return np.where(wanted > 0, skews, -np.inf).max(axis=-1)


def ndkl(ranking: ArrayLike, desired: ArrayLike, *, base: float = math.e) -> Floats:
    """NDKL: the divergence of every prefix's shares from the desired ones, discounted by 1 / log2(i + 1), [...].

    ``ranking`` [..., k] holds the group of each rank, 0 to G - 1; ``desired`` [G] as in `max_skew`. 0 is as desired
    throughout, and short prefixes always depart from it, so read it beside a random ranking's (Geyik et al. 2019).
    ``base`` is the divergence's logarithm. A group that is desired at 0 and ranked gives infinity.

    >>> round(float(ndkl([0, 1], [0.5, 0.5])), 4)
    0.425
    """
    order, wanted = np.asarray(ranking, np.int64), np.asarray(desired, np.float64)
    places = np.arange(1, order.shape[-1] + 1)
    discounts = 1 / np.log2(places + 1)
    found = np.zeros(order.shape[:-1])
    for group, share in enumerate(wanted):
        held = np.cumsum(order == group, axis=-1) / places  # [..., k]
        with np.errstate(divide="ignore", invalid="ignore"):
            found += np.where(held > 0, held * np.log(held / share), 0.0) @ discounts
    return found / discounts.sum() / math.log(base)


def random_rankings(gallery: ArrayLike, k: int, rankings: int, rng: np.random.Generator) -> Counts:
    """The groups of the top ``k`` of random rankings of a gallery [G], int64 [rankings, k].

    Drawn rank by rank without replacement, so that the size of the gallery costs nothing.
    """
    left = np.tile(np.asarray(gallery, np.int64), (rankings, 1))
    found = np.empty((rankings, k), np.int64)
    for rank in range(k):
        below = np.cumsum(left, axis=1)
        ticket = rng.integers(0, below[:, -1])
        found[:, rank] = (ticket[:, None] >= below).sum(axis=1)
        left[np.arange(rankings), found[:, rank]] -= 1
    return found


@dataclass(frozen=True)
class Skewness:
    """A figure of one ranking beside random ones of the same gallery.

    ``random`` is their mean, ``high`` their 95 % quantile, ``excess`` the value minus the mean, and ``p`` the share of
    rankings, this one among them, that are at least as far: (b + 1) / (B + 1).
    """

    value: float
    random: float
    high: float
    excess: float
    p: float


def skewness(
    ranking: ArrayLike, gallery: ArrayLike, desired: ArrayLike, *, base: float = math.e, rankings: int = 10_000,
    seed: int = 0,
) -> dict[str, Skewness]:  # fmt: skip
    """ "max_skew" and "ndkl" of the top of one ranking [k], of a gallery with [G] pictures a group. Raises InputError.

    >>> found = skewness([0] * 8 + [1] * 2, [50, 50], [0.5, 0.5], rankings=999)
    >>> round(found["max_skew"].value, 3), found["max_skew"].p < 0.2
    (0.47, True)
    """
    order, counts, wanted = np.asarray(ranking, np.int64), np.asarray(gallery, np.int64), np.asarray(desired, float)
    size = len(counts)
    if not 0 < len(order) <= counts.sum():
        raise InputError(f"The top {len(order)} of a gallery of {counts.sum()} pictures is none: give k from 1 to it.")
    if wanted.shape != counts.shape or (wanted < 0).any() or not math.isclose(wanted.sum(), 1, abs_tol=1e-6):
        raise InputError(f"desired is {wanted.tolist()}; give {size} shares that sum to 1, one a group of the gallery.")
    given = {
        "max_skew": float(max_skew(np.bincount(order, minlength=size), wanted, base=base)),
        "ndkl": float(ndkl(order, wanted, base=base)),
    }
    drawn = _random_values(tuple(counts.tolist()), len(order), tuple(wanted.tolist()), base, rankings, seed)
    found = {}
    for name, value in given.items():
        values = drawn[name]
        far = int((values >= value - 1e-12).sum())
        mean = float(values.mean())
        found[name] = Skewness(value, mean, float(np.quantile(values, 0.95)), value - mean, (far + 1) / (rankings + 1))
    return found


@lru_cache(maxsize=64)
def _random_values(
    gallery: tuple[int, ...], k: int, desired: tuple[float, ...], base: float, rankings: int, seed: int
) -> dict[str, Floats]:
    """ "max_skew" and "ndkl" of random rankings, [rankings] each: the same for every query of one gallery."""
    rng, wanted = np.random.default_rng(seed), np.array(desired)
    drawn: dict[str, list[Floats]] = {"max_skew": [], "ndkl": []}
    step = max(1, _ROOM // (k * 4))
    for start in range(0, rankings, step):
        some = random_rankings(gallery, k, min(step, rankings - start), rng)
        top = np.stack([(some == group).sum(axis=1) for group in range(len(gallery))], axis=1)
        drawn["max_skew"].append(max_skew(top, wanted, base=base))
        drawn["ndkl"].append(ndkl(some, wanted, base=base))
    return {name: np.concatenate(parts) for name, parts in drawn.items()}


def desired_shares(spec: AuditSpec, by: str, groups: Sequence[str], gallery: ArrayLike) -> tuple[Floats, str]:
    """The desired shares of a grouping as the spec says, [G], and their name. Raises InputError."""
    wanted = spec.retrieval.desired
    counts = np.asarray(gallery, np.float64)
    if isinstance(wanted, Mapping):
        shares = wanted.get(by)
        if shares is None:
            return counts / counts.sum(), "the gallery's shares"
        if missing := [group for group in groups if group not in shares]:
            raise InputError(f"The desired shares of {by!r} leave out {missing[:5]}: name every group, 0 where none.")
        values = np.array([float(shares[group]) for group in groups])
        return values / values.sum(), "the shares that the spec names"
    if wanted == "equal":
        return np.full(len(groups), 1 / len(groups)), "equal shares"
    return counts / counts.sum(), "the gallery's shares"


def retrieval_rows(
    spec: AuditSpec, names: Sequence[str], cosines: NDArray[np.float32], groupings: Sequence[Grouping],
    ks: Sequence[int], *, variant: str, headline: bool = True, tested: bool = True, persons: bool = False,
    draws: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """The table's rows of rankings: for each query, grouping and k, "skew@k" and "ndkl@k", and what random ones have.

    ``cosines`` [N, Q] of the pictures with ``names`` [Q] of queries; equal ones stand in the pictures' order. A row's
    ``n`` is the gallery, ``k`` the top, ``group`` the one that is most above its desired share (of skew), ``method``
    names desired distribution, base and rankings. ``_random`` rows hold the mean of random rankings with their 95 %
    quantile as ``ci_high``, ``_excess`` rows what is above it. A gallery of fewer than k pictures gives no row.
    """
    import pandas as pd

    from .table import COLUMNS

    base, rankings = spec.retrieval.log_base, max(spec.retrieval.rankings, draws)
    nan, found = math.nan, []
    most = min(max(ks), len(cosines))
    for grouping in groupings:
        inside = np.flatnonzero(grouping.codes >= 0)
        codes = grouping.codes[inside]
        gallery = np.bincount(codes, minlength=len(grouping.names))
        wanted, called = desired_shares(spec, grouping.by, grouping.names, gallery)
        for q, name in enumerate(names):
            order = codes[_top(cosines[inside, q], most)]
            for k in ks:
                if k > len(codes):
                    continue
                top = order[:k]
                measured = skewness(top, gallery, wanted, base=base, rankings=rankings, seed=spec.seed)
                how = f"top {k} of {len(codes)}, desired: {called}, logarithm to base {base:.6g}; "
                how += f"{NOT_BY_PERSONS}, " if persons else ""
                how += f"permutation ({rankings:,} rankings)" if tested and not persons else f"{rankings:,} rankings"
                share = np.bincount(top, minlength=len(gallery)) / k
                with np.errstate(divide="ignore", invalid="ignore"):
                    leading = grouping.names[int(np.nanargmax(np.where(wanted > 0, share / wanted, -1)))]
                for metric, key, group in ((f"skew@{k}", "max_skew", leading), (f"ndkl@{k}", "ndkl", "")):
                    one = measured[key]
                    about = ("label", grouping.by, name, group, "", variant)
                    n = (len(codes), k)
                    p = one.p if tested and not persons else nan
                    found += [
                        (metric, *about, one.value, nan, nan, *n, p, nan, nan, how, headline and key == "max_skew"),
                        (f"{metric}_random", *about, one.random, nan, one.high, *n, nan, nan, nan, how, False),
                        (f"{metric}_excess", *about, one.excess, nan, nan, *n, nan, nan, nan, how, False),
                    ]
    rows: list[tuple[Any, ...]] = found
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _top(cosines: NDArray[np.float32], k: int) -> Counts:
    """The places of the ``k`` highest, the highest first; of equals the earlier picture."""
    k = min(k, len(cosines))
    if k < len(cosines):
        least = np.partition(cosines, len(cosines) - k)[len(cosines) - k]
        places = np.flatnonzero(cosines >= least)
    else:
        places = np.arange(len(cosines))
    return places[np.argsort(-cosines[places], kind="stable")][:k]
