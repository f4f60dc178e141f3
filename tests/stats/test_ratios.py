"""Score limits of a ratio equal statsmodels' test, and say what is not known at zero counts."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, test_proportions_2indep

from clipviz.errors import InputError
from clipviz.stats import ratio_limits

score_test = test_proportions_2indep
del test_proportions_2indep  # pytest would take it for a test of ours


def test_are_where_the_score_test_of_statsmodels_gives_its_level() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        n, n0 = rng.integers(5, 3000, 2)
        k, k0 = rng.integers(1, n + 1), rng.integers(1, n0 + 1)
        for limit in ratio_limits(k, n, k0, n0):
            p = score_test(k, n, k0, n0, value=limit, compare="ratio", method="score", correction=True).pvalue
            assert p == pytest.approx(0.05, abs=1e-6)


def test_equals_statsmodels_limits() -> None:
    wanted = confint_proportions_2indep(15, 100, 5, 100, compare="ratio", method="score", correction=True)
    assert ratio_limits(15, 100, 5, 100) == pytest.approx(wanted, abs=1e-6)


def test_a_zero_denominator_has_a_lower_limit_only() -> None:
    low, high = ratio_limits([8, 0, 0, 30], [30, 30, 30, 30], [0, 8, 0, 30], [40, 40, 40, 30])
    assert 1 < low[0] < 10 and high[0] == np.inf
    assert low[1] == 0 and 0 < high[1] < 1
    assert (low[2], high[2]) == (0, np.inf)
    assert low[3] < 1 < high[3] and low[3] == pytest.approx(1 / high[3])
    assert np.isnan(ratio_limits([0, 1], [0, 2], [1, 0], [2, 0])).all()


def test_turned_round_is_one_over() -> None:
    low, high = ratio_limits(np.array([[3], [700]]), 1000, [5, 40], [100, 5000])
    back_low, back_high = ratio_limits([5, 40], [100, 5000], np.array([[3], [700]]), 1000)
    np.testing.assert_allclose(low * back_high, 1, rtol=1e-9)
    np.testing.assert_allclose(high * back_low, 1, rtol=1e-9)


def test_refuses() -> None:
    with pytest.raises(InputError, match="hits are whole numbers"):
        ratio_limits(0.3, 10, 1, 10)
