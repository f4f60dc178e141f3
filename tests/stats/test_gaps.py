"""The extremes of groups: equal to naive loops over pairs, and holding together where the naive interval does not."""

from __future__ import annotations

import numpy as np
import pytest

from clipviz.errors import InputError
from clipviz.stats import (
    against_best_limits,
    difference_limits,
    gap_limits,
    gap_of_limits,
    pairwise_level,
    share_limits,
    worst_limits,
)

N = np.array([50, 80, 120, 40, 3000])
K = np.array([[3, 9, 30, 4, 300], [0, 0, 0, 0, 0], [50, 80, 120, 40, 3000], [10, 16, 24, 8, 600]])


def test_gap_is_the_largest_of_all_pairs_limits() -> None:
    found = gap_limits(K, N)
    for row, k in enumerate(K):
        share = k / N
        each = [
            difference_limits(k[i], N[i], k[j], N[j], level=1 - 0.05 / 10)
            for i in range(5) for j in range(5) if i != j
        ]  # fmt: skip
        assert found.value[row] == pytest.approx(share.max() - share.min())
        assert found.low[row] == pytest.approx(max(0, max(low for low, _ in each)))
        assert found.high[row] == pytest.approx(max(high for _, high in each))
        assert share[found.top[row]] == share.max() and share[found.bottom[row]] == share.min()
        assert found.top[row] != found.bottom[row]
    assert found.low[0] > 0 and (found.low[1:] == 0).all()


def test_against_the_best_is_the_largest_of_a_groups_pairs() -> None:
    for best, sign in (("lowest", 1), ("highest", -1)):
        found = against_best_limits(K, N, best=best)
        for row, k in enumerate(K):
            share = k / N
            anchor = share.min() if best == "lowest" else share.max()
            assert share[found.best[row]] == anchor
            for i in range(5):
                pairs = []
                for j in set(range(5)) - {i}:
                    low, high = difference_limits(k[i], N[i], k[j], N[j], level=1 - 0.05 / 10)
                    pairs.append((low, high) if sign > 0 else (-high, -low))
                assert found.value[row, i] == pytest.approx(sign * (share[i] - anchor))
                assert found.low[row, i] == pytest.approx(max(0, *(low for low, _ in pairs)))
                assert found.high[row, i] == pytest.approx(max(0, *(high for _, high in pairs)))


def test_worst_group_has_the_limits_of_all_groups_at_once() -> None:
    low, high = share_limits(K, N, level=1 - 0.05 / 5)
    found = worst_limits(K, N)
    np.testing.assert_allclose(found[:3], ((K / N).max(1), low.max(1), high.max(1)))
    assert found.group[0] == 2
    found = worst_limits(K, N, worst="lowest")
    np.testing.assert_allclose(found[:3], ((K / N).min(1), low.min(1), high.min(1)))
    assert found.group[0] == 0


def test_a_group_without_pictures_is_as_if_it_were_not_there() -> None:
    k, n = np.array([3, 0, 9, 30]), np.array([50, 0, 80, 120])
    without = gap_limits(k[[0, 2, 3]], n[[0, 2, 3]])
    found = gap_limits(k, n)
    np.testing.assert_allclose(found[:3], without[:3])
    assert (found.top, found.bottom) == (3, 0)
    best = against_best_limits(k, n)
    np.testing.assert_allclose(best.low[[0, 2, 3]], against_best_limits(k[[0, 2, 3]], n[[0, 2, 3]]).low)
    assert np.isnan(best.low[1]) and np.isnan(best.value[1])
    np.testing.assert_allclose(worst_limits(k, n)[:3], worst_limits(k[[0, 2, 3]], n[[0, 2, 3]])[:3])


def test_one_group_or_none_has_no_gap() -> None:
    for k, n in (([3], [9]), ([3, 0], [9, 0]), ([0, 0], [0, 0])):
        found = gap_limits(k, n)
        assert np.isnan(found[:3]).all() and found.top == found.bottom == -1
        assert np.isnan(against_best_limits(k, n).low).all()
    assert worst_limits([3, 0], [9, 0]).group == 0
    assert np.isnan(worst_limits([0, 0], [0, 0]).value) and worst_limits([0, 0], [0, 0]).group == -1


def test_two_groups_have_the_interval_of_their_difference() -> None:
    found = gap_limits([30, 5], [100, 90])
    assert (found.low, found.high) == pytest.approx(difference_limits(30, 100, 5, 90))


def test_effective_sizes_widen_and_ones_own_limits_do_as_well() -> None:
    plain, same, fewer = gap_limits(K, N), gap_limits(K, N, effective=N), gap_limits(K, N, effective=N / 2.5)
    np.testing.assert_allclose(plain[:3], same[:3], atol=1e-12)
    np.testing.assert_allclose(plain.value, fewer.value)
    assert (fewer.high >= plain.high).all() and fewer.low[0] < plain.low[0]
    low, high = share_limits(K, N, level=pairwise_level(5))
    np.testing.assert_allclose(gap_of_limits(K / N, low, high)[:3], plain[:3], atol=1e-12)


def test_blocks_do_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    k = np.random.default_rng(0).binomial(N, 0.1, (3, 4, 5))
    whole, best = gap_limits(k, N), against_best_limits(k, N)
    monkeypatch.setattr("clipviz.stats.gaps._ROOM", 60)
    np.testing.assert_array_equal(np.stack(whole), np.stack(gap_limits(k, N)))
    np.testing.assert_array_equal(best.high, against_best_limits(k, N).high)


def test_holds_for_seven_equal_groups_where_the_naive_interval_does_not() -> None:
    n = np.full(7, 300)
    k = np.random.default_rng(3).binomial(n, 0.1, (1000, 7))
    assert (gap_limits(k, n).low > 0).mean() <= 0.05
    naive, _ = difference_limits(k.max(1), 300, k.min(1), 300)
    assert (naive > 0).mean() > 0.3


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: gap_limits(3, 9), "no groups"),
        (lambda: gap_limits([0.5, 1], [9, 9]), "counts of pictures"),
        (lambda: gap_limits([1, 1], [9, 9], effective=[-1, 9]), "negative sizes"),
        (lambda: worst_limits([1, 1], [9, 9], worst="max"), "'highest', 'lowest'"),
        (lambda: against_best_limits([1, 1], [9, 9], level=0), "pass 0.95"),
    ],
)
def test_refuses(call: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()  # type: ignore[operator]
