"""The bootstrap covers what it says, equals scipy's, and refuses what it cannot know."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from clipviz.errors import InputError
from clipviz.stats import paired_bootstrap, weighted_bootstrap


def test_covers_the_true_mean_as_often_as_it_says() -> None:
    """400 samples of 60 pictures at once: columns. The percentile limits of 60 cover a little less than 95 %."""
    samples = np.random.default_rng(1).normal(0.3, 1, (60, 400))
    found = paired_bootstrap(samples, resamples=1000)
    covered = np.mean((found.low <= 0.3) & (found.high >= 0.3))
    assert 0.91 <= covered <= 0.98
    half = paired_bootstrap(samples, resamples=1000, level=0.5)
    assert 0.42 <= np.mean((half.low <= 0.3) & (half.high >= 0.3)) <= 0.57


def test_is_the_percentile_of_resampled_means_by_a_loop_of_our_own() -> None:
    values = np.random.default_rng(2).exponential(size=80)
    rng = np.random.default_rng(5)
    means = np.sort([values[rng.integers(0, 80, 80)].mean() for _ in range(20_000)])
    found = paired_bootstrap(values)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(np.percentile(means, 2.5), abs=0.006)
    assert found.high == pytest.approx(np.percentile(means, 97.5), abs=0.006)


def test_agrees_with_the_paired_bootstrap_of_scipy() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=120)
    b = a + rng.normal(-0.1, 0.2, 120)
    theirs = stats.bootstrap(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), paired=True, method="percentile", n_resamples=10_000,
        rng=np.random.default_rng(9),
    ).confidence_interval  # fmt: skip
    found = paired_bootstrap(a, b)
    assert found.paired
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)
    # pairs are what makes a small difference visible
    assert found.high - found.low < 0.3 * (paired_bootstrap(a).high - paired_bootstrap(a).low)


def test_a_column_alone_gets_what_it_gets_among_others() -> None:
    table = np.random.default_rng(4).random((50, 3, 2))
    together = paired_bootstrap(table, resamples=500, seed=7)
    assert together.low.shape == (3, 2)
    alone = paired_bootstrap(table[:, 1, 1], resamples=500, seed=7)
    assert (alone.low, alone.high) == pytest.approx((together.low[1, 1], together.high[1, 1]), abs=1e-12)
    against = paired_bootstrap(table, table[:, 0, 0], resamples=500)
    assert against.estimate[0, 0] == against.low[0, 0] == against.high[0, 0] == 0


def test_the_batches_do_not_change_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((31, 2))
    whole = paired_bootstrap(values, resamples=300)
    monkeypatch.setattr("clipviz.stats.bootstrap._ROOM", 500)
    parts = paired_bootstrap(values, resamples=300)
    np.testing.assert_allclose([whole.low, whole.high], [parts.low, parts.high], atol=1e-12)


def test_the_seed_repeats_and_matters() -> None:
    values = np.random.default_rng(0).random(40)
    one, same, other = (paired_bootstrap(values, resamples=200, seed=s) for s in (1, 1, 2))
    assert (one.low, one.high) == (same.low, same.high)
    assert (one.low, one.high) != (other.low, other.high)
    assert (one.n, one.resamples, one.seed, one.level) == (40, 200, 1, 0.95)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.floats(-50, 50), st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_moves_and_scales_with_the_values(values: list[float], shift: float, scale: float) -> None:
    x = np.array(values)
    one, other = paired_bootstrap(x, resamples=100), paired_bootstrap(shift + scale * x, resamples=100)
    assert x.min() - 1e-9 <= one.low <= one.high <= x.max() + 1e-9
    near = 1e-9 * (1 + abs(shift) + scale * np.abs(x).max())
    assert other.low == pytest.approx(shift + scale * one.low, abs=near)
    assert other.high == pytest.approx(shift + scale * one.high, abs=near)


def test_many_columns_need_no_matrix_of_all_resamples() -> None:
    values = np.random.default_rng(0).random((1000, 30))
    tracemalloc.start()
    paired_bootstrap(values, resamples=2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6  # the plain way needs 480 MB for these, 2.4 GB for 10,000


@pytest.mark.parametrize(
    "a,b,options,says",
    [
        ([1.0, np.nan, 2.0], None, {}, "1 of 3 rows of a hold NaN"),
        ([1.0, 2.0], [1.0, np.inf], {}, "1 of 2 rows of b"),
        ([1.0], None, {}, "1 pictures have no interval"),
        ([], None, {}, "0 pictures"),
        (np.ones((3, 0)), None, {}, "no column"),
        (1.0, None, {}, "single number"),
        (["x", "y"], None, {}, "no number"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], {}, "of the same pictures"),
        ([1.0, 2.0], [[1.0], [2.0]], {}, "of the same pictures"),
        ([1.0, 2.0], None, {"resamples": 0}, "resamples=0"),
        ([1.0, 2.0], None, {"level": 95}, "level=95"),
    ],
)
def test_refuses(a: object, b: object, options: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        paired_bootstrap(a, b, **options)


def test_says_itself_in_one_line() -> None:
    assert repr(paired_bootstrap([1.0, 1.0, 1.0])) == "Interval(1 [1, 1] at 95%, 3 pictures, 10000 resamples, seed 0)"
    assert paired_bootstrap([1.0, 2.0, 1.5]).above_zero
    assert "(2,) columns" in repr(paired_bootstrap(np.ones((4, 2)), np.zeros(4)))


def test_of_weights_a_mean_gets_the_limits_of_the_bootstrap_of_means() -> None:
    values = np.random.default_rng(6).exponential(size=90)
    found = weighted_bootstrap(lambda w: w @ values / w.sum(axis=1), 90, resamples=3000, seed=1)
    same = paired_bootstrap(values, resamples=3000, seed=1)
    assert (found.estimate, found.low, found.high) == pytest.approx((same.estimate, same.low, same.high), abs=1e-12)
    assert (found.n, found.resamples, found.seed, found.level, found.paired) == (90, 3000, 1, 0.95, False)
    ratio = weighted_bootstrap(lambda w: np.stack([w @ values / w.sum(axis=1), w @ values**2], axis=1), 90,
                               resamples=3000, seed=1)  # fmt: skip
    assert ratio.low.shape == (2,) and ratio.low[0] == pytest.approx(found.low)


def test_resamples_without_a_value_are_left_out_of_the_limits_while_they_are_few() -> None:
    def rare(pictures: int) -> float:
        """A figure that needs one of the first ``pictures`` to be drawn at all."""
        found = weighted_bootstrap(
            lambda w: np.where(w[:, :pictures].sum(axis=1) > 0, w.mean(axis=1), np.nan), 30, resamples=500
        )
        assert found.estimate == 1
        return float(found.low)

    assert rare(5) == 1  # 0.4 % of the resamples lack all five
    assert np.isnan(rare(1))  # 36 % lack the one


def test_weights_are_refused_where_they_cannot_be() -> None:
    with pytest.raises(InputError, match="no interval"):
        weighted_bootstrap(lambda w: w.sum(axis=1), 1)
    with pytest.raises(InputError, match="no count"):
        weighted_bootstrap(lambda w: w.sum(axis=1), 2.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="for as many resamples"):
        weighted_bootstrap(lambda w: w.sum(), 5)
