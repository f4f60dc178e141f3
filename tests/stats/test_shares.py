"""Exact limits of a share equal scipy's, cover what they say, and hold at the ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from clipviz.errors import InputError
from clipviz.stats import exact_limits, share_limits


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


@pytest.mark.parametrize(("method", "theirs"), [("clopper-pearson", "beta"), ("wilson", "wilson")])
def test_limits_equal_statsmodels(method: str, theirs: str) -> None:
    k, n = (grid.ravel() for grid in np.broadcast_arrays(np.arange(0, 31)[:, None], np.array([30, 41, 900])))
    low, high = share_limits(k, n, method=method, level=0.9)
    wanted = proportion_confint(k, n, alpha=0.1, method=theirs)
    np.testing.assert_allclose((low, high), wanted, atol=1e-9)


def test_no_pictures_have_no_limits_and_no_events_an_upper_one() -> None:
    low, high = share_limits([0, 0, np.nan], [0, 30, 0])
    assert np.isnan([low[0], high[0], low[2], high[2]]).all()
    assert low[1] == 0 and high[1] == pytest.approx(1 - 0.025 ** (1 / 30))
    assert share_limits(30, 30)[1] == share_limits(30, 30, method="wilson")[1] == 1
    assert share_limits(0, 30, method="wilson")[0] == 0


def test_many_cells_get_what_each_gets_alone() -> None:
    k = np.random.default_rng(0).integers(0, 40, (30, 20, 5))
    n = np.array([40, 50, 60, 70, 1000])
    together = share_limits(k, n)
    for place in ((0, 0, 0), (29, 19, 4), (7, 3, 2)):
        alone = share_limits(k[place], n[place[-1]])
        assert (together[0][place], together[1][place]) == alone


def test_a_cell_of_the_committed_table_by_enumeration() -> None:
    """30 pictures at 0.5 %: Wilson covers 86 %, Clopper and Pearson 99 %."""
    k = np.arange(31)
    chance = stats.binom.pmf(k, 30, 0.005)

    def covered(method: str) -> float:
        low, high = share_limits(k, 30, method=method)
        return float(chance[(low <= 0.005) & (high >= 0.005)].sum())

    assert covered("clopper-pearson") > 0.95
    assert covered("wilson") == pytest.approx(0.860, abs=0.001)


@pytest.mark.parametrize(
    ("hits", "n", "options", "says"),
    [
        (0.5, 1, {}, "counts of pictures"),
        (3, 2, {}, "whole numbers from 0 to n"),
        (-1, 2, {}, "whole numbers"),
        (1, -2, {}, "whole numbers"),
        (1, 0, {}, "whole numbers"),
        (1, np.inf, {}, "whole numbers"),
        ("<script>", 2, {}, "pass an array of numbers"),
        ([1, 2], [3, 4, 5], {}, "shapes do not go together"),
        (1, 2, {"level": 95}, "pass 0.95"),
        (1, 2, {"level": "0.95"}, "pass 0.95"),
        (1, 2, {"method": "wald"}, "'clopper-pearson', 'wilson'"),
    ],
)
def test_limits_refuse(hits: object, n: object, options: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        share_limits(hits, n, **options)
