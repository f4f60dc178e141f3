"""Standardised shares and Mantel-Haenszel equal naive loops and statsmodels, and cover where strata are thin."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from clipviz.errors import InputError
from clipviz.stats import exact_limits, mantel_haenszel, standardised


def test_standardised_value_is_the_weighted_sum_and_one_stratum_is_a_plain_share() -> None:
    k, n, weights = np.array([[3, 10, 0], [1, 1, 1]]), np.array([20, 50, 30]), np.array([200, 100, 100])
    found = standardised(k, n, weights)
    np.testing.assert_allclose(
        found.value, [sum(k[r, s] / n[s] * weights[s] for s in range(3)) / 400 for r in range(2)]
    )
    assert (found.low < found.value).all() and (found.value < found.high).all()
    for hits in (0, 7, 30):
        one = standardised([hits, 5], [30, 9], [2, 0])
        np.testing.assert_allclose((one.low, one.high), exact_limits(hits, 30), atol=1e-12)


def test_strata_without_pictures() -> None:
    assert np.isnan(standardised([3, 0], [9, 0], [1, 1])).all()
    assert standardised([3, 0], [9, 0], [1, 0]).value == pytest.approx(1 / 3)
    nothing = standardised([0, 0], [40, 10], [1, 1])
    assert nothing.low == nothing.value == 0 and nothing.high > exact_limits(0, 50)[1]
    everything = standardised([40, 10], [40, 10], [1, 1])
    assert (everything.low, everything.high) == pytest.approx((1 - nothing.high, 1))


@pytest.mark.parametrize(
    "sizes", [(5, 8, 12, 20, 40, 60, 90, 200), (2, 3, 4, 5, 2, 3, 4, 5), (1, 1, 2, 300, 4, 150, 9, 80)]
)
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.4])
def test_standardised_covers_in_thin_and_uneven_strata(rate: float, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    weights = np.array([60, 40, 90, 20, 50, 60, 30, 80])
    rates = np.minimum(rate * np.linspace(0.3, 2, 8), 1)
    found = standardised(rng.binomial(sizes, rates, (3000, 8)), sizes, weights)
    truth = (rates * weights).sum() / weights.sum()
    assert ((found.low <= truth) & (truth <= found.high)).mean() >= 0.94


def test_strata_that_are_all_hits_or_none_keep_a_width() -> None:
    found = standardised([5, 0], [5, 10], [1, 2])
    assert found.value == pytest.approx(1 / 3)
    assert 0 < found.low < 0.3 and 0.4 < found.high < 0.8


def test_mantel_haenszel_equals_statsmodels_test_and_a_loop_by_sato() -> None:
    rng = np.random.default_rng(2)
    n, n0 = rng.integers(20, 60, (2, 6))
    k, k0 = rng.binomial(n, 0.3), rng.binomial(n0, 0.15)
    found = mantel_haenszel(k, n, k0, n0)
    table = StratifiedTable(np.array([[k, n - k], [k0, n0 - k0]]))
    assert found.p == pytest.approx(table.test_null_odds(correction=False).pvalue)
    top = weight = first = second = 0.0
    for a, m, c, m0 in zip(k, n, k0, n0, strict=True):
        t = m + m0
        top += (a * m0 - c * m) / t
        weight += m * m0 / t
        first += (m**2 * c - m0**2 * a + m * m0 * (m0 - m) / 2) / t**2
        second += (a * (m0 - c) + c * (m - a)) / (2 * t)
    value = top / weight
    half = 1.959964 * (value * first + second) ** 0.5 / weight
    assert tuple(found[:3]) == pytest.approx((value, value - half, value + half), abs=1e-6)
    turned = mantel_haenszel(k0, n0, k, n)
    assert tuple(turned[:3]) == pytest.approx((-found.value, -found.high, -found.low))
    many = mantel_haenszel(np.stack([k, k0]), np.stack([n, n0]), np.stack([k0, k]), np.stack([n0, n]))
    assert many.value.tolist() == [found.value, turned.value]


def test_mantel_haenszel_sees_through_composition() -> None:
    """The same rates in each stratum, in groups of other composition: crude 15 points, here none."""
    found = mantel_haenszel([8, 90], [80, 180], [18, 40], [180, 80])
    assert (
        abs(98 / 260 - 58 / 260) > 0.15 and found.value == pytest.approx(0, abs=1e-12) and found.p == pytest.approx(1)
    )


def test_mantel_haenszel_ends() -> None:
    found = mantel_haenszel([3, 9], [9, 9], [1, 0], [9, 0])
    assert found.value == pytest.approx(2 / 9)  # the stratum without one group says nothing
    assert np.isnan(mantel_haenszel([3], [9], [0], [0])).all()
    silent = mantel_haenszel([0, 0], [9, 9], [0, 0], [9, 9])
    assert silent.value == 0 and np.isnan([silent.low, silent.high, silent.p]).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: standardised([1, 2], [3, 4], [1, -1]),
        lambda: standardised([1, 2], [3, 4], [0, 0]),
        lambda: standardised([1, 2], [3, 4], [1, 2, 3]),
        lambda: standardised(1, 3, 1),
        lambda: mantel_haenszel(1, 3, 1, 3),
        lambda: mantel_haenszel([5], [3], [1], [3]),
    ],
)
def test_refuses(call: object) -> None:
    with pytest.raises(InputError, match=r"pass|give"):
        call()  # type: ignore[operator]
