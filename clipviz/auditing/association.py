"""Whom pictures lie nearer to two sets of words: an effect size after WEAT, with a permutation test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .tally import TOO_FEW

if TYPE_CHECKING:
    import pandas as pd

    from .groups import Grouping
    from .spec import AuditSpec

_ROOM = 8_000_000  # numbers that permutations hold at once
_MOST = 400_000_000  # numbers permuted in all; beyond, the permutations' limit is taken, a normal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Association:
    """``effect``: the difference of two groups' means in standard deviations, with limits at 95 %; ``p`` two-sided."""

    effect: float
    low: float
    high: float
    p: float
    test: str


def association(
    leaning: ArrayLike, first: ArrayLike, *, permutations: int = 10_000, seed: int = 0, person: ArrayLike | None = None
) -> Association:  # fmt: skip
    """The WEAT effect size of pictures: (mean of the first group - mean of the second) / deviation of all.

    ``leaning`` [N] is of each picture the mean cosine with one set of words minus that with the other, ``first`` [N]
    whether it is in the first group. p is the share of ``permutations`` of the pictures over the groups, the given one
    among them, with a difference at least as large either way: (b + 1) / (B + 1). Past some 400 million permuted
    numbers p is from the normal that they tend to, and ``test`` says so (Caliskan et al. 2017, arXiv 1608.07187).
    ``person`` [N], the place of each picture's person, moves whole persons, and takes the limits from between them; p
    is NaN with fewer than 20 persons in a group. Raises InputError.

    >>> found = association([0.3, 0.2, 0.25, 0.1, 0.0, 0.05], [True] * 3 + [False] * 3, permutations=999)
    >>> round(found.effect, 2), found.p < 0.15
    (1.69, True)
    """
    values, chosen = np.asarray(leaning, np.float64), np.asarray(first, bool)
    a, b = values[chosen], values[~chosen]
    if len(a) < 2 or len(b) < 2:
        raise InputError(f"The groups have {len(a)} and {len(b)} pictures; an association needs 2 of each.")
    deviation = float(values.std(ddof=1))
    gap = float(a.mean() - b.mean())
    if deviation == 0:
        return Association(math.nan, math.nan, math.nan, 1.0, "nothing varies")
    if person is not None:
        return _of_persons(values, chosen, np.asarray(person, np.int64), gap, deviation, permutations, seed)
    from ..stats import mean_difference_limits

    low, high = mean_difference_limits(a.mean(), a.var(ddof=1), len(a), b.mean(), b.var(ddof=1), len(b))
    limits = float(low) / deviation, float(high) / deviation
    if len(values) * permutations > _MOST:
        from scipy.special import ndtr

        z = gap / (deviation * math.sqrt(1 / len(a) + 1 / len(b)))
        return Association(gap / deviation, *limits, 2 * float(ndtr(-abs(z))), "normal limit of permutations")
    far = _as_far(values, min(len(a), len(b)), abs(gap), permutations, np.random.default_rng(seed))
    return Association(
        gap / deviation, *limits, (far + 1) / (permutations + 1), f"permutation ({permutations:,} draws)"
    )


def _of_persons(
    values: Floats, chosen: NDArray[np.bool_], person: NDArray[np.int64], gap: float, deviation: float,
    permutations: int, seed: int,
) -> Association:  # fmt: skip
    """`association` by persons: one with pictures in both groups is one in each."""
    from ..stats import mean_difference_limits
    from ..stats.clustered import FEWEST_PERSONS
    from .counting import person_moments

    codes = np.where(chosen, 0, 1)
    means, variances, n = (np.reshape(x, 2) for x in person_moments(values[:, None], codes, person, 2))
    low, high = mean_difference_limits(means[0], variances[0], n[0], means[1], variances[1], n[1])
    limits = float(low) / deviation, float(high) / deviation
    if n.min() < FEWEST_PERSONS:
        return Association(gap / deviation, *limits, math.nan, TOO_FEW)
    pairs, place = np.unique(person * 2 + codes, return_inverse=True)
    size = np.bincount(place).astype(np.float64)
    total = np.bincount(place, values)
    first = (pairs % 2 == 0).astype(np.float64)
    rng, far = np.random.default_rng(seed), 0
    step = max(1, _ROOM // len(pairs))
    for start in range(0, permutations, step):
        moved = rng.permuted(np.broadcast_to(first, (min(step, permutations - start), len(first))), axis=1)
        sums, sizes = moved @ total, moved @ size
        apart = sums / sizes - (total.sum() - sums) / (size.sum() - sizes)
        far += int((np.abs(apart) >= abs(gap) - 1e-12).sum())
    return Association(
        gap / deviation, *limits, (far + 1) / (permutations + 1), f"persons moved ({permutations:,} draws)"
    )


def _as_far(values: Floats, n: int, gap: float, permutations: int, rng: np.random.Generator) -> int:
    """How many permutations put ``n`` and the others at least ``gap`` apart."""
    total, others = values.sum(), len(values) - n
    step = max(1, _ROOM // len(values))
    far = 0
    for start in range(0, permutations, step):
        some = min(step, permutations - start)
        moved = rng.permuted(np.broadcast_to(values, (some, len(values))), axis=1)
        sums = moved[:, :n].sum(axis=1)
        far += int((np.abs(sums / n - (total - sums) / others) >= gap - 1e-12).sum())
    return far


def association_rows(
    spec: AuditSpec, name: str, leaning: ArrayLike, groupings: Sequence[Grouping], *, variant: str,
    permutations: int = 10_000, headline: bool = True, person: NDArray[np.int64] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The table's rows of one association: "association" of each group with its reference, or the rest.

    ``leaning`` as in `association`; ``name`` says which words, such as "career - family". A group of fewer than two
    pictures has no row. ``person`` [N] as in `association`.
    """
    import pandas as pd

    from .table import COLUMNS

    values = np.asarray(leaning, np.float64)
    nan, found = math.nan, []
    for grouping in groupings:
        named = spec.groups.reference.get(grouping.by, "rest")
        names = list(grouping.names)
        reference = named if named in names else names[1] if len(names) == 2 else "rest"
        for g, group in enumerate(names):
            if group == reference or (len(names) == 2 and reference == names[1] and g == 1):
                continue
            inside = grouping.codes >= 0
            if reference != "rest":
                inside = (grouping.codes == g) | (grouping.codes == names.index(reference))
            own = grouping.codes[inside] == g
            if own.sum() < 2 or (~own).sum() < 2:
                continue
            people = None if person is None else person[inside]
            one = association(values[inside], own, permutations=permutations, seed=spec.seed, person=people)
            how = f"WEAT effect size, Welch limits over the deviation; {one.test}"
            found.append(("association", "label", grouping.by, name, group, reference, variant, one.effect, one.low,
                          one.high, float(own.sum()), nan, one.p, nan, nan, how, headline))  # fmt: skip
    return pd.DataFrame(found, columns=list(COLUMNS))
