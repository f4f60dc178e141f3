"""Means over pictures: honest of rare high probabilities, and of persons of whom there are several pictures."""

from __future__ import annotations

import numpy as np
import pytest

from clipviz.auditing import counting
from clipviz.auditing.averaged import Averaged, with_unseen
from clipviz.auditing.tally import Tally


def test_the_unseen_value_is_one_more_in_the_sample() -> None:
    values = np.random.default_rng(0).beta(1, 20, 40)
    theirs = np.var(np.append(values, 1.0), ddof=1)
    assert float(with_unseen(values.mean(), values.var(ddof=1), 40)) == pytest.approx(theirs)


@pytest.mark.parametrize("sizes", [(30, 10_000), (300, 3_000)])
def test_probabilities_that_are_seldom_high_give_no_false_difference(sizes) -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], sizes)
    draws, false = 200, 0
    for _ in range(draws):  # 1 % are near 1, in both groups alike: Student's t alone is wrong in 75 and 10 % of draws
        values = np.where(rng.random(len(codes)) < 0.01, rng.beta(8, 2, len(codes)), rng.beta(1, 200, len(codes)))
        means, variances = counting.moments(values[:, None], codes, 2)
        tally = Tally("as written", "by", ("a", "b"), ("x",), ("label",), np.zeros((1, 2), np.int64),
                      np.array(sizes), "mean_probability", means, variances)  # fmt: skip
        found = Averaged.of(tally, [0], 0.95)
        limits = found.differences([0], 1)
        test = float(found.pair_test([0], 1, 0, 0).p[0, 0])
        assert (test < 0.05) == (limits.low[0, 0] > 0 or limits.high[0, 0] < 0)
        false += test < 0.05
    assert false <= 0.05 * draws + 3 * np.sqrt(0.05 * 0.95 * draws)


def test_persons_count_once_and_too_few_of_them_say_nothing() -> None:
    rng = np.random.default_rng(1)
    person = np.concatenate([rng.integers(0, 8, 400), 8 + rng.integers(0, 40, 200), 60 + rng.integers(0, 25, 100)])
    codes = np.repeat([0, 1, 2], [400, 200, 100])
    values = np.clip(0.5 + rng.normal(0, 0.1, 100)[person] + rng.normal(0, 0.05, 700), 0, 1)
    means, variances, n = counting.person_moments(values[:, None], codes, person, 3)
    tally = Tally("as written", "by", ("a", "b", "c"), ("x",), ("label",), np.zeros((1, 3), np.int64), n,
                  "mean_probability", means, variances, of_pictures=np.bincount(codes))  # fmt: skip
    found = Averaged.of(tally, [0], 0.95)
    assert found.n.tolist() == [[400, 200, 100]]
    tested = found.pair_test([0, 1], 2, 0, 0).p[0]
    assert np.isnan(tested[0]) and np.isfinite(tested[1])
    assert "too few people" in found.differences([0, 1], 2).method[0, 0]
    rest = found.differences([1], None)  # the rest is a mean over its pictures, not over its groups' persons
    assert rest.value[0, 0] == pytest.approx(values[codes == 1].mean() - values[codes != 1].mean())
    assert np.isnan(found.group_test(0, 0).p[0])
