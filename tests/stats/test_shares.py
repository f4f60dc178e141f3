"""Exact limits of a share equal scipy's, cover what they say, and hold at the ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from clipviz.errors import InputError
from clipviz.stats import exact_limits


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_equals_scipy(level: float) -> None:
    counts = [(k, n) for n in (1, 7, 40) for k in range(n + 1)]
    low, high = exact_limits(*np.array(counts).T, level=level)
    for i, (k, n) in enumerate(counts):
        wanted = stats.binomtest(k, n).proportion_ci(level, method="exact")
        assert (low[i], high[i]) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_ends() -> None:
    assert [float(x) for x in exact_limits(0, 0)] == [0, 1]
    assert exact_limits(0, 9)[0] == 0 and exact_limits(9, 9)[1] == 1


def test_covers_at_least_as_often_as_it_says() -> None:
    n, share = 25, 0.13
    low, high = exact_limits(np.arange(n + 1), n)
    covered = stats.binom.pmf(np.arange(n + 1), n, share)[(low <= share) & (share <= high)].sum()
    assert covered >= 0.95


@pytest.mark.parametrize(("hits", "n", "level"), [(3, 2, 0.95), (0.5, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_refuses(hits: float, n: int, level: float) -> None:
    with pytest.raises(InputError):
        exact_limits(hits, n, level=level)
