"""The smallest gap is found as often as it says, and exchanged labels shrink a gap as exchanging them does."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import power_proportions_2indep

from clipviz.errors import InputError
from clipviz.stats import independence_test, misassigned, smallest_gap


def test_smallest_gap_has_the_power_that_statsmodels_gives_it() -> None:
    for rate, n, n0 in ((0.1, 1000, 1000), (0.02, 500, 5000), (0.4, 3000, 200)):
        gap = smallest_gap(rate, n, n0, alpha=0.01)
        found = power_proportions_2indep(gap, rate, n, ratio=n0 / n, alpha=0.01, return_results=False)
        assert found == pytest.approx(0.8, abs=0.01)


def test_smallest_gap_is_found_in_simulation() -> None:
    gap = float(smallest_gap(0.1, 1000, 2000, alpha=0.05 / 21))
    rng = np.random.default_rng(0)
    k = np.stack([rng.binomial(1000, 0.1 + gap, 4000), rng.binomial(2000, 0.1, 4000)], axis=1)
    p, _ = independence_test(k, [1000, 2000], smallest_expected=0)
    assert (p <= 0.05 / 21).mean() == pytest.approx(0.8, abs=0.025)


def test_smallest_gap_ends() -> None:
    gaps = smallest_gap([0.1, 0.9, 0.1, 0.0, np.nan], [100, 100, 2, 100, 9], [100, 100, 2, 100, 9], alpha=0.05)
    assert gaps[0] == pytest.approx(gaps[1])  # the mirror image
    assert np.isnan(gaps[[2, 4]]).all() and 0 < gaps[3] < gaps[0]
    assert np.isnan(smallest_gap(0.1, 0, 100, alpha=0.05))
    assert smallest_gap(0.1, 1000, 1000, alpha=0.001) > smallest_gap(0.1, 1000, 1000, alpha=0.05)


def test_misassigned_is_what_exchanging_labels_does() -> None:
    n, n0, error = 20_000, 60_000, 0.1
    rng = np.random.default_rng(1)
    hit = np.concatenate([rng.random(n) < 0.3, rng.random(n0) < 0.1])
    group = np.arange(n + n0) < n
    shares = hit[:n].mean(), hit[n:].mean()
    moved = group ^ (rng.random(n + n0) < error)
    assert misassigned(*shares, n, n0, error) == pytest.approx(hit[moved].mean() - hit[~moved].mean(), abs=0.004)
    assert misassigned(0.3, 0.1, 50, 70, 0) == pytest.approx(0.2)
    assert misassigned(0.3, 0.1, 50, 50, 0.5) == pytest.approx(0, abs=1e-12)
    assert np.isnan(misassigned(0.3, 0.1, 0, 50, 0.1))


@pytest.mark.parametrize(
    "call",
    [
        lambda: smallest_gap(10, 100, 100, alpha=0.05),
        lambda: smallest_gap(0.1, -1, 100, alpha=0.05),
        lambda: smallest_gap(0.1, 100, 100, alpha=5),
        lambda: smallest_gap(0.1, 100, 100, alpha=0.05, power=80),
        lambda: misassigned(0.1, 0.2, 9, 9, 5),
    ],
)
def test_refuses(call: object) -> None:
    with pytest.raises(InputError, match="pass"):
        call()  # type: ignore[operator]
