"""Two answers on the same pictures: McNemar as statsmodels has it, limits as published and covering, whole persons."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as theirs

from clipviz.errors import InputError
from clipviz.stats import mcnemar, paired_by_person, paired_difference_limits, share_limits


def test_mcnemar_equals_statsmodels() -> None:
    a, b = np.meshgrid([0, 1, 3, 10, 400], [0, 1, 2, 10, 350])
    wanted = [
        [theirs([[5, x], [y, 7]], exact=True).pvalue for x, y in zip(*row, strict=True)]
        for row in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(mcnemar(a, b), np.minimum(np.nan_to_num(wanted, nan=1), 1), atol=1e-9)
    assert mcnemar(0, 0) == 1 and np.isnan(mcnemar(np.nan, 2))


def test_limits_are_newcombes_formula_from_exact_limits() -> None:
    e, f, g, h = 30, 12, 2, 56
    n = e + f + g + h
    a, b = (e + f) / n, (e + g) / n
    (l, u), (l0, u0) = share_limits(e + f, n), share_limits(e + g, n)
    phi = (e * h - f * g - n / 2) / ((e + f) * (g + h) * (e + g) * (f + h)) ** 0.5
    low = a - b - ((a - l) ** 2 - 2 * phi * (a - l) * (u0 - b) + (u0 - b) ** 2) ** 0.5
    high = a - b + ((u - a) ** 2 - 2 * phi * (u - a) * (b - l0) + (b - l0) ** 2) ** 0.5
    assert paired_difference_limits(e, f, g, h) == pytest.approx((low, high))
    assert paired_difference_limits(e, g, f, h) == pytest.approx((-high, -low))
    # pairs that agree make it narrower than two sets of pictures would
    assert high - low < 0.8 * np.hypot(u - l, u0 - l0)


@pytest.mark.parametrize("cells", [(0.3, 0.1, 0.1, 0.5), (0.02, 0.01, 0.01, 0.96), (0.6, 0.25, 0.05, 0.1)])
def test_covers_by_enumeration(cells: tuple[float, ...]) -> None:
    n = 40
    tables = np.array(
        [(e, f, g, n - e - f - g) for e, f, g in itertools.product(range(n + 1), repeat=3) if e + f + g <= n]
    )
    chance = stats.multinomial.pmf(tables, n, cells)
    low, high = paired_difference_limits(*tables.T)
    gap = cells[1] - cells[2]
    assert chance[(low <= gap) & (gap <= high)].sum() >= 0.945


def test_no_pictures_and_wrong_counts() -> None:
    assert np.isnan(paired_difference_limits(0, 0, 0, 0)).all()
    low, high = paired_difference_limits(0, 0, 0, 50)
    assert -0.15 < low < 0 < high < 0.15
    with pytest.raises(InputError, match="only_b counts pictures"):
        mcnemar(1, -2)
    with pytest.raises(InputError, match="both counts pictures"):
        paired_difference_limits(0.5, 0, 0, 1)


def test_by_person_equals_all_the_ways_to_turn_persons_round() -> None:
    a, b, n = np.array([3, 2, 0, 4, 1, 2]), np.array([0, 1, 1, 0, 0, 0]), np.array([5, 4, 3, 6, 2, 4])
    ways = [abs(np.dot(signs, a - b)) for signs in itertools.product((-1, 1), repeat=6)]
    exact = np.mean(np.array(ways) >= abs((a - b).sum()))
    found = paired_by_person([a, b], [b, a], n, permutations=20_000)
    np.testing.assert_allclose(found.p, exact, atol=0.01)
    assert found.value[0] == pytest.approx((a - b).sum() / n.sum()) == -found.value[1]
    assert (found.low[0], found.high[0]) == pytest.approx((-found.high[1], -found.low[1]))


def test_by_person_covers_and_knows_that_nothing_seen_is_not_nothing() -> None:
    rng = np.random.default_rng(4)
    shift = rng.beta(0.5, 1.5, (2000, 30))  # each person's own share of changed answers
    a = rng.binomial(8, 0.6 * shift)
    b = rng.binomial(8 - a, 0.2)
    gap = 0.6 * 0.25 - 0.2 * (1 - 0.6 * 0.25)
    found = paired_by_person(a, b, 8, permutations=1)
    assert ((found.low <= gap) & (gap <= found.high)).mean() >= 0.93
    still = paired_by_person(np.zeros(30), np.zeros(30), 8, permutations=99)
    assert (still.value, still.p) == (0, 1) and -0.12 < still.low < 0 < still.high < 0.12
    assert np.isnan(paired_by_person([1], [0], [2], permutations=9)[:4]).all()
    with pytest.raises(InputError, match="together at most n"):
        paired_by_person([2], [2], [3])
