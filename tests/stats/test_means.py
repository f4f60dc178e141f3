"""Means by Welch equal scipy's and statsmodels', cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_generic

from clipviz.errors import InputError
from clipviz.stats import mean_difference_limits, mean_gap_limits, mean_limits, means_test


@pytest.fixture
def scores() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(m, s, n) for m, s, n in ((0, 1, 12), (0.4, 2, 40), (0.5, 0.5, 9), (0.1, 1, 25))]


def moments(scores: list[np.ndarray]) -> np.ndarray:
    return np.array([[s.mean(), s.var(ddof=1), len(s)] for s in scores]).T


def test_limits_equal_scipys(scores: list[np.ndarray]) -> None:
    mean, var, n = moments(scores)
    low, high = mean_limits(mean, var, n, level=0.9)
    lower, upper = mean_difference_limits(mean, var, n, mean[0], var[0], n[0])
    for i, s in enumerate(scores):
        assert (low[i], high[i]) == pytest.approx(stats.ttest_1samp(s, 0).confidence_interval(0.9))
        wanted = stats.ttest_ind(s, scores[0], equal_var=False).confidence_interval(0.95)
        if i:
            assert (lower[i], upper[i]) == pytest.approx((wanted.low, wanted.high))


def test_the_test_equals_statsmodels_and_for_two_groups_welchs_t(scores: list[np.ndarray]) -> None:
    mean, var, n = moments(scores)
    assert means_test(mean, var, n) == pytest.approx(anova_generic(mean, var, n, use_var="unequal").pvalue)
    both = means_test([mean[:2], mean[2:]], [var[:2], var[2:]], [n[:2], n[2:]])
    for i in (0, 1):
        assert both[i] == pytest.approx(stats.ttest_ind(*scores[2 * i : 2 * i + 2], equal_var=False).pvalue)


def test_the_gap_is_the_largest_of_all_pairs_limits(scores: list[np.ndarray]) -> None:
    mean, var, n = moments(scores)
    each = [
        stats.ttest_ind(a, b, equal_var=False).confidence_interval(1 - 0.05 / 6)
        for i, a in enumerate(scores) for j, b in enumerate(scores) if i != j
    ]  # fmt: skip
    found = mean_gap_limits(mean, var, n)
    assert found.low == pytest.approx(max(0, *(e.low for e in each)))
    assert found.high == pytest.approx(max(e.high for e in each))
    assert (found.value, found.top, found.bottom) == (mean.max() - mean.min(), mean.argmax(), mean.argmin())


def test_what_has_no_spread_or_no_pictures_has_no_limits() -> None:
    assert np.isnan(mean_limits([0.3, 0.3, 0.3], [0, 1, 1], [9, 1, 0])).all()
    assert np.isnan(mean_difference_limits(0.3, 0, 9, 0.2, 1, 9)).all()
    three = means_test([0.3, 0.5, 9.0], [1, 1, 1], [9, 9, 1])
    assert three == means_test([0.3, 0.5], [1, 1], [9, 9])
    assert np.isnan(means_test([0.3, 0.5], [1, 0], [9, 9])) and np.isnan(means_test([0.3, 0.5], [1, 1], [9, 1]))
    one = mean_gap_limits([0.3, 0.5], [1, 0], [9, 9])
    assert np.isnan(one.value) and one.top == -1


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_limits(0, -1, 9),
        lambda: mean_limits(0, 1, "many"),
        lambda: means_test(1, 1, 9),
        lambda: mean_gap_limits(1, 1, 9),
        lambda: mean_difference_limits([1, 2], 1, 9, [1, 2, 3], 1, 9),
    ],
)
def test_refuses(call: object) -> None:
    with pytest.raises(InputError, match=r"pass|give"):
        call()  # type: ignore[operator]
