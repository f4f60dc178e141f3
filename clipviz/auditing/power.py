"""What an audit of this size could have found: the smallest gap that 80 % of such audits report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .claims import KEY, Figures, claimed, corrected_level
from .formats import base_of, kind_of
from .placebo import COMPARED, harms, placebos, rivals, smallest_beyond

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec

POWER = 0.8
_SHARES = ("share", "accuracy", "false_positive_rate", "false_negative_rate", "above_threshold")
_COLUMNS = (*KEY, "n", "n_reference", "rate", "smallest_gap")

Floats = NDArray[np.float64]


def power(spec: AuditSpec, table: pd.DataFrame) -> pd.DataFrame:
    """A row a claim on shares: ``n``, ``n_reference``, ``rate`` (of the reference), and ``smallest_gap``.

    The gap that would be found with a chance of 80 %, under the correction that the hardest claim of this report meets:
    0.05 over the number of claims. Of a gap over several groups it is the one by which a single group, of the size of
    the smallest, departs from all others, by the same test of all groups at once. That of a harm is beyond nonsense
    too, if nonsense makes no difference. By the normal approximation, for independent pictures; where persons are told
    apart, or for means, there is no row.
    """
    import pandas as pd

    from ..stats import smallest_gap

    found: list[tuple[object, ...]] = []
    if spec.groups.person:
        return pd.DataFrame(found, columns=list(_COLUMNS))
    alpha = 1 - corrected_level(table)
    figures = Figures.of(table)
    harmful, nonsense = harms(spec), placebos(spec, table)
    chosen = table[claimed(table)]
    for claim in zip(*(chosen[name].tolist() for name in KEY), strict=True):
        metric, level, by, name, group, reference = claim
        base = base_of(metric)
        every = list(figures.groups(base, level, by, name).values())
        pair = figures.pair(base, level, by, name, group, reference)
        if kind_of(base) not in _SHARES or len(every) < 2:
            continue
        if metric.endswith("_gap") and len(every) > 2:
            total, n = sum(f.n for f in every), min(f.n for f in every)
            n0, rate = total - n, sum(f.value * f.n for f in every) / total
            gap = _smallest_of_all(rate, n, n0, len(every), alpha)
        elif pair is not None:
            (_, _, _, n, _), (rate, _, _, n0, _) = pair
            gap = float(smallest_gap(rate, n, n0, alpha=alpha, power=POWER))
        else:
            continue
        if (level, name) in harmful and nonsense and kind_of(base) in COMPARED and pair is not None:
            against = rivals(figures, nonsense, base, level, by, group, reference)
            gap = max(gap, smallest_beyond(rate, n, pair[1].n, against, power=POWER))
        found.append((*claim, n, n0, rate, gap))
    return pd.DataFrame(found, columns=list(_COLUMNS))


def _smallest_of_all(rate: float, n: float, n0: float, groups: int, alpha: float) -> float:
    """The departure of one group of ``n`` from others of ``n0`` that the chi-squared test over ``groups`` finds.

    Its statistic is about non-central with gap^2 / (variance (1 / n + 1 / n0)); NaN where no departure would do.
    """
    from scipy import special

    limit = special.chdtri(groups - 1, alpha)
    low, high = 0.0, 1.0
    while special.chndtr(limit, groups - 1, high) > 1 - POWER:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if special.chndtr(limit, groups - 1, middle) > 1 - POWER else (low, middle)
    least = rate if rate <= 0.5 else 1 - rate
    gaps = np.linspace(0, 1 - least, 4001)[1:]
    pooled = least + gaps * n / (n + n0)
    enough = gaps**2 >= high * pooled * (1 - pooled) * (1 / n + 1 / n0)
    return float(gaps[enough.argmax()]) if enough.any() else np.nan
