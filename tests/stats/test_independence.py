"""The test across groups equals scipy's, by permutation scipy's too, and errs as often as it says far in the tail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from clipviz.errors import InputError
from clipviz.stats import independence_test


def test_equals_scipys_chi_squared() -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(300, 900, (6, 1, 4))
    k = rng.binomial(n, 0.4, (6, 5, 4))
    p, permuted = independence_test(k, n)
    assert p.shape == permuted.shape == (6, 5) and not permuted.any()
    for at in np.ndindex(6, 5):
        table = [k[at], n[at[0], 0] - k[at]]
        assert p[at] == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)


def test_small_counts_are_permuted_and_equal_the_exact_p() -> None:
    """Two groups: the hypergeometric distribution gives the exact p of the same statistic."""
    n, n0, draws = 30, 200, 50_000
    for k, k0 in ((3, 2), (1, 0), (2, 9), (29, 150)):
        hits = k + k0
        x = np.arange(max(0, hits - n0), min(n, hits) + 1)
        chance = stats.hypergeom.pmf(x, n + n0, hits, n)
        far = np.abs(x - n * hits / (n + n0))
        exact = chance[far >= abs(k - n * hits / (n + n0)) - 1e-9].sum()
        p, permuted = independence_test([k, k0], [n, n0], permutations=draws)
        assert permuted
        assert p == pytest.approx(exact, abs=4 * np.sqrt(exact / draws) + 1e-9 + 1 / draws)


def test_never_zero_and_the_same_alone_or_among_others() -> None:
    k, n = np.array([[20, 0, 0], [1, 0, 4], [0, 2, 3], [19, 50, 40]]), np.array([20, 50, 45])
    p, permuted = independence_test(k, n, permutations=999, seed=4)
    assert permuted.all() and p[0] == 0.001
    for row in range(4):
        assert independence_test(k[row], n, permutations=999, seed=4)[0] == p[row]
    assert independence_test(n - k, n, permutations=999, seed=4)[0] == pytest.approx(p)  # misses are as good as hits
    assert (independence_test(k, n, permutations=999, seed=5)[0] != p).any()


def test_what_says_nothing() -> None:
    p, _ = independence_test([[0, 0, 0], [9, 9, 9]], [9, 9, 9])
    assert p.tolist() == [1, 1]
    p, _ = independence_test([[4, 0, 0], [4, 0, 3]], [[9, 0, 0], [9, 0, 9]], smallest_expected=0)
    assert np.isnan(p[0])
    assert p[1] == pytest.approx(stats.chi2_contingency([[4, 3], [5, 6]], correction=False).pvalue)


def test_errs_as_often_as_it_says_where_chi_squared_does_not() -> None:
    """300 against 10,000 at 5 expected, by enumeration: at 0.05 / 21 chi-squared errs 1.7 times as often as it says."""
    alpha, rate = 0.05 / 21, 5 / 300
    k, k0 = np.arange(25)[:, None], np.arange(115, 226)
    chance = stats.binom.pmf(k, 300, rate) * stats.binom.pmf(k0, 10_000, rate)
    hits = np.stack(np.broadcast_arrays(k, k0), axis=-1)
    plain, _ = independence_test(hits, [300, 10_000], smallest_expected=0)
    ours, _ = independence_test(hits, [300, 10_000], permutations=8_000)
    assert chance[plain <= alpha].sum() > 1.5 * alpha
    assert chance[ours <= alpha].sum() < 1.1 * alpha


@pytest.mark.parametrize(
    ("hits", "n", "options", "says"),
    [
        (1, 2, {}, "no groups"),
        ([3, 1], [2, 2], {}, "whole numbers"),
        ([1, 1], [2, 2], {"permutations": 0}, "permutations=0"),
        ([1, 1], [2, 2], {"seed": -1}, "seed=-1"),
    ],
)
def test_refuses(hits: object, n: object, options: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        independence_test(hits, n, **options)


def test_draws_end_early_or_are_not_needed_where_the_answer_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven groups, one of them small: as it is, drawn in full, and by scipy's own tables drawn with these margins."""
    n = np.array([40, 900, 1000, 1100, 900, 1200, 800])
    like, far, further = (np.array([first, 90, 100, 110, 91, 121, 80]) for first in (4, 12, 40))
    draws = 150_000  # with seven groups more than a million numbers
    (plain, p, least), permuted = independence_test([like + np.array((1, 9, -9, 5, -5, 8, -8)), far, further], n,
                                                    permutations=draws, smallest_expected=5.1)  # fmt: skip
    assert permuted.all() and least == 1 / (draws + 1)
    assert (plain * 2001) == pytest.approx(round(plain * 2001))  # after 2,000 draws
    assert (p * (draws + 1)) == pytest.approx(round(p * (draws + 1))) and 0.0005 < p < 0.05
    tables = stats.random_table([far.sum(), (n - far).sum()], n).rvs(20_000, random_state=1)[:, 0]
    share = far.sum() / n.sum()
    theirs = ((tables - n * share) ** 2 / n).sum(axis=1) >= ((far - n * share) ** 2 / n).sum() - 1e-9
    assert p == pytest.approx(theirs.mean(), abs=4 * np.sqrt(p / 20_000))
    monkeypatch.setattr("clipviz.stats.permuting._bound", lambda seen, n, rate: np.ones(len(seen)))
    assert independence_test(further, n, permutations=20_000, smallest_expected=5.1)[0] == 1 / 20_001
