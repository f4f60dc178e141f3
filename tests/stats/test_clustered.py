"""Shares by persons: equal to a naive loop and to plain shares where persons have one picture, and they cover."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from clipviz.errors import InputError
from clipviz.stats import clustered_independence_test, exact_limits, korn_graubard


def naive(k: np.ndarray, n: np.ndarray, level: float) -> tuple[float, float, float]:
    """(low, high, effective n), person by person."""
    tail, share, total, persons = (1 - level) / 2, k.sum() / n.sum(), n.sum(), len(k)
    squares = [(a - share * b) ** 2 / (1 - b / total) for a, b in zip(k, n, strict=True)]
    kurtosis = np.mean(np.square(squares)) / np.mean(squares) ** 2
    freedom = min(max(2 * persons / (kurtosis - 1) - 1, 1), persons - 1)
    size = share * (1 - share) / (sum(squares) / total**2)
    size *= (stats.t.ppf(tail, total - 1) / stats.t.ppf(tail, freedom)) ** 2
    size = min(max(size, total**2 / (n**2).sum()), total)
    x = share * size
    return stats.beta.ppf(tail, x, size - x + 1), stats.beta.ppf(1 - tail, x + 1, size - x), size


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_equals_a_naive_loop(level: float) -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(1, 12, (5, 30))
    k = rng.binomial(n, rng.beta(0.4, 1.6, (5, 30)))
    found = korn_graubard(k, n, level=level)
    for row in range(5):
        low, high, size = naive(k[row], n[row], level)
        assert (found.low[row], found.high[row]) == pytest.approx((low, high), abs=1e-9)
        assert found.n_effective[row] == pytest.approx(size)
    np.testing.assert_allclose(found.value, k.sum(1) / n.sum(1))


def test_one_picture_a_person_is_a_plain_share() -> None:
    k = np.zeros((2, 60), int)
    k[0, :7] = 1
    found = korn_graubard(k, np.ones(60))
    np.testing.assert_allclose((found.low, found.high), exact_limits([7, 0], 60), atol=1e-12)
    assert found.persons.tolist() == [60, 60] and found.n_effective == pytest.approx([60, 60])


def test_pictures_that_are_all_alike_say_no_more_than_one() -> None:
    k = np.repeat([1, 0, 0, 0, 1], 8) * 5
    found = korn_graubard(k, 5)
    assert found.n_effective == pytest.approx(40, rel=0.06)
    assert found.high == pytest.approx(exact_limits(16, 40)[1], abs=0.01)
    nothing = korn_graubard(np.zeros(40), 5)
    np.testing.assert_allclose((nothing.low, nothing.high), exact_limits(0, 40), atol=1e-12)


def test_says_when_there_are_too_few_people() -> None:
    def enough(k: list[int], n: list[int]) -> bool:
        return bool(korn_graubard(k, n).enough)

    assert enough([1] * 10 + [0] * 10, [2] * 20)
    assert not enough([1] * 10 + [0] * 9, [2] * 19)
    assert not enough([1] * 9 + [0] * 11, [2] * 20)
    assert not enough([2] * 11 + [1] * 9, [2] * 20)  # nine misses
    assert enough([1] * 10 + [0] * 10, [2] * 20) == enough([1] * 10 + [0] * 15, [2] * 20 + [0] * 5)


def test_ends() -> None:
    found = korn_graubard([[0, 0], [3, 0], [3, 3]], [[0, 0], [4, 0], [3, 3]])
    assert np.isnan(found.low[0]) and np.isnan(found.value[0]) and found.persons.tolist() == [0, 1, 2]
    assert found.low[1] < 0.02 and found.high[1] > 0.98 and found.high[2] == 1
    assert not found.enough.any()
    for wrong in (([3], [2]), ([0.5], [2]), (1, 2)):
        with pytest.raises(InputError, match="pass"):
            korn_graubard(*wrong)


def test_covers_where_plain_korn_graubard_covers_85_percent() -> None:
    """100 persons of 20 pictures, 1 % hits that a few persons make: docs/audit_statistics.md."""
    rng = np.random.default_rng(5)
    k = rng.binomial(20, rng.beta(0.01, 0.99, (1500, 100)))
    found = korn_graubard(k, 20)
    assert ((found.low <= 0.01) & (found.high >= 0.01)).mean() >= 0.93


def test_moving_persons_equals_all_the_ways_to_move_them() -> None:
    k, n, group = np.array([4, 3, 1, 0, 2, 1]), np.array([4, 5, 4, 3, 6, 4]), np.array([0, 0, 0, 1, 1, 1])
    rate = k.sum() / n.sum()

    def statistic(first: tuple[int, ...]) -> float:
        inside = np.isin(np.arange(6), first)
        return sum((k[s].sum() - rate * n[s].sum()) ** 2 / n[s].sum() for s in (inside, ~inside))

    ways = [statistic(first) for first in itertools.combinations(range(6), 3)]
    exact = np.mean([way >= statistic((0, 1, 2)) - 1e-9 for way in ways])
    found = clustered_independence_test([k, n - k], n, group, permutations=20_000)
    np.testing.assert_allclose(found, exact, atol=0.012)


def test_permutation_of_persons_leaves_out_those_in_no_group_and_repeats() -> None:
    rng = np.random.default_rng(2)
    k, group = rng.binomial(5, 0.3, 40), np.arange(40) % 3
    more = clustered_independence_test(
        np.append(k, [5, 0]), [5] * 41 + [0], np.append(group, [-1, 1]), permutations=500
    )
    assert more == clustered_independence_test(k, [5] * 40, group, permutations=500)
    assert clustered_independence_test(5 * (group == 0), [5] * 40, group, permutations=999) == 0.001
    assert np.isnan(clustered_independence_test(k, [5] * 40, np.zeros(40)))
    with pytest.raises(InputError, match="one whole number a person"):
        clustered_independence_test(k, [5] * 40, group[:39])
    with pytest.raises(InputError, match="group_of_person holds what is no number"):
        clustered_independence_test(k, [5] * 40, ["Black", "White"] * 20)


def test_a_picture_is_no_person() -> None:
    """Persons all of whose pictures agree: by pictures the groups differ in most draws, by persons in 5 %."""
    rng = np.random.default_rng(8)
    k, group = 10 * rng.binomial(1, 0.3, (400, 40)), np.arange(40) % 2
    by_person = clustered_independence_test(k, [10] * 40, group, permutations=400)
    assert (by_person <= 0.05).mean() <= 0.08
    by_picture = [
        stats.chi2_contingency([[a, 200 - a], [b, 200 - b]], correction=False).pvalue
        for a, b in zip(k[:, group == 0].sum(1), k[:, group == 1].sum(1), strict=True)
    ]
    assert np.mean(np.array(by_picture) <= 0.05) > 0.4
