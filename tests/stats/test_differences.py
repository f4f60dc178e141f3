"""Limits of a difference equal statsmodels' and published ones, cover what they say, and have a width at 0 events."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.proportion import confint_proportions_2indep

from clipviz.errors import InputError
from clipviz.stats import combined_limits, difference_limits, share_limits


@pytest.fixture
def cells() -> np.ndarray:
    """hits, n, hits0, n0 with their ends, [4, cells]."""
    rng = np.random.default_rng(0)
    n, n0 = rng.integers(5, 200, (2, 40))
    k, k0 = rng.integers(0, n + 1), rng.integers(0, n0 + 1)
    k[:3], k0[2:5] = 0, n0[2:5]
    return np.stack([k, n, k0, n0])


def test_newcombes_equal_statsmodels(cells: np.ndarray) -> None:
    found = np.transpose(difference_limits(*cells, method="newcombe"))
    wanted = [confint_proportions_2indep(*cell, compare="diff", method="newcomb") for cell in cells.T]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_published_limits() -> None:
    """56 of 70 against 48 of 80: methods 10 and 6 of Newcombe's table II (1998)."""
    assert difference_limits(56, 70, 48, 80, method="newcombe") == pytest.approx((0.0524, 0.3339), abs=6e-5)
    assert difference_limits(56, 70, 48, 80, method="miettinen-nurminen") == pytest.approx((0.0528, 0.3382), abs=6e-5)


def test_score_limits_are_where_the_likeliest_rates_give_z(cells: np.ndarray) -> None:
    """By a search for those rates. (statsmodels 0.15 has a count for a size in this cubic and is off.)"""
    limits = difference_limits(*cells, method="miettinen-nurminen")
    for limit in limits:
        for gap, (k, n, k0, n0) in zip(limit, cells.T, strict=True):
            if abs(gap) > 1 - 1e-6:
                continue

            def unlikely(rate: float, gap: float = gap, k: int = k, n: int = n, k0: int = k0, n0: int = n0) -> float:
                return -stats.binom.logpmf(k, n, rate + gap) - stats.binom.logpmf(k0, n0, rate)

            bounds = (max(0, -gap), min(1, 1 - gap))
            rate = optimize.minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
            spread = (rate + gap) * (1 - rate - gap) / n + rate * (1 - rate) / n0
            z = (k / n - k0 / n0 - gap) / np.sqrt(spread * (n + n0) / (n + n0 - 1))
            assert abs(z) == pytest.approx(1.959964, abs=2e-3)


def test_square_and_add_is_the_formula_and_broadcasts(cells: np.ndarray) -> None:
    k, n, k0, n0 = cells
    low, high = difference_limits(k[:, None], n[:, None], k0, n0, level=0.9)
    assert low.shape == (40, 40)
    one, other = share_limits(k, n, level=0.9), share_limits(k0, n0, level=0.9)
    for i, j in ((0, 4), (3, 30), (39, 2)):
        a, b = k[i] / n[i], k0[j] / n0[j]
        below = a - b - ((a - one[0][i]) ** 2 + (other[1][j] - b) ** 2) ** 0.5
        above = a - b + ((one[1][i] - a) ** 2 + (b - other[0][j]) ** 2) ** 0.5
        assert (low[i, j], high[i, j]) == pytest.approx((below, above), abs=1e-12)
        assert combined_limits(a, one[0][i], one[1][i], b, other[0][j], other[1][j]) == pytest.approx((below, above))


@pytest.mark.parametrize(
    ("n", "n0", "rate", "rate0"), [(30, 10_000, 0.001, 0.001), (30, 10_000, 0.005, 0.005), (100, 300, 0.5, 0.02)]
)
def test_covers_by_enumeration_where_newcombe_may_not(n: int, n0: int, rate: float, rate0: float) -> None:
    """Three cells of docs/audit_statistics.csv; `benchmarks/audit_coverage.py` has them all."""
    k, k0 = np.arange(n + 1)[:, None], np.arange(min(n0, 200) + 1)
    chance = stats.binom.pmf(k, n, rate) * stats.binom.pmf(k0, n0, rate0)

    def covered(method: str) -> float:
        low, high = difference_limits(k, n, k0, n0, method=method)
        return float(chance[(low <= rate - rate0) & (rate - rate0 <= high)].sum())

    assert covered("square-and-add") >= 0.945
    if rate == 0.005:
        assert covered("newcombe") < 0.9


@pytest.mark.parametrize("method", ["square-and-add", "newcombe", "miettinen-nurminen"])
def test_ends(method: str) -> None:
    low, high = difference_limits(0, 50, 0, 80, method=method)
    assert low < 0 < high
    low, high = difference_limits(50, 50, 0, 80, method=method)
    assert 0.9 < low < high and high == pytest.approx(1)
    assert np.isnan(difference_limits([1, 0], [2, 0], [0, 1], [0, 3], method=method)).all()
    there, back = difference_limits(3, 40, 9, 50, method=method), difference_limits(9, 50, 3, 40, method=method)
    assert there == pytest.approx((-back[1], -back[0]))


def test_refuses() -> None:
    with pytest.raises(InputError, match="hits0 are whole numbers from 0 to n0"):
        difference_limits(1, 2, 0.5, 2)
    with pytest.raises(InputError, match="method='agresti'"):
        difference_limits(1, 2, 1, 2, method="agresti")
    with pytest.raises(InputError, match="shapes do not go together"):
        difference_limits([1, 1], 2, [1, 1, 1], 2)
