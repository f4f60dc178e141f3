"""Skew of rankings: against plain loops, known answers, and random rankings of the same gallery."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clipviz.auditing.claims import adjusted, claimed
from clipviz.auditing.groups import Grouping
from clipviz.auditing.labels import Label
from clipviz.auditing.metric import Metric
from clipviz.auditing.parts import Groups, Retrieval
from clipviz.auditing.retrieval import max_skew, ndkl, random_rankings, retrieval_rows, skewness
from clipviz.auditing.spec import AuditSpec
from clipviz.errors import InputError


def slow_max_skew(ranking: list[int], desired: list[float], base: float) -> float:
    found = -math.inf
    for group, share in enumerate(desired):
        held = ranking.count(group) / len(ranking)
        if share > 0 and held > 0:
            found = max(found, math.log(held / share, base))
    return found


def slow_ndkl(ranking: list[int], desired: list[float], base: float) -> float:
    total = weights = 0.0
    for i in range(1, len(ranking) + 1):
        divergence = 0.0
        for group, share in enumerate(desired):
            held = ranking[:i].count(group) / i
            if held > 0:
                divergence += held * math.log(held / share, base)
        total += divergence / math.log2(i + 1)
        weights += 1 / math.log2(i + 1)
    return total / weights


@pytest.mark.parametrize("base", [math.e, 2.0])
def test_equal_plain_loops(base: float) -> None:
    random = np.random.default_rng(0)
    for groups in (2, 3, 7):
        desired = random.dirichlet(np.ones(groups)).tolist()
        ranking = random.integers(0, groups, 25).tolist()
        top = np.bincount(ranking, minlength=groups)
        assert max_skew(top, desired, base=base) == pytest.approx(slow_max_skew(ranking, desired, base))
        assert ndkl(ranking, desired, base=base) == pytest.approx(slow_ndkl(ranking, desired, base))


def test_as_desired_is_no_skew() -> None:
    assert max_skew([5, 10, 15], [1 / 6, 1 / 3, 1 / 2]) == pytest.approx(0)
    assert ndkl([0, 0, 0], [1.0, 0.0]) == pytest.approx(0)
    assert ndkl([1, 0], [1.0, 0.0]) == math.inf  # nobody wanted the second group


def test_random_rankings_are_draws_without_replacement() -> None:
    gallery = np.array([3, 0, 7, 20])
    drawn = random_rankings(gallery, 30, 400, np.random.default_rng(0))
    assert (np.stack([np.bincount(one, minlength=4) for one in drawn]) == gallery).all()  # all of it, every time
    top = random_rankings(gallery, 10, 20_000, np.random.default_rng(1))
    counts = np.stack([(top == g).sum(axis=1) for g in range(4)], axis=1)
    assert counts.mean(axis=0) == pytest.approx(10 * gallery / 30, abs=0.03)
    share = gallery / 30
    assert counts.var(axis=0) == pytest.approx(10 * share * (1 - share) * 20 / 29, rel=0.06, abs=1e-9)


def test_random_rankings_are_their_own_level_and_a_planted_one_is_not() -> None:
    gallery, random = np.array([60, 30, 10]), np.random.default_rng(2)
    codes = np.repeat([0, 1, 2], gallery)
    p = [
        skewness(random.permutation(codes)[:20], gallery, gallery / 100, rankings=199, seed=i)["max_skew"].p
        for i in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)
    planted = skewness([2] * 10 + [0] * 10, gallery, gallery / 100, rankings=999)
    for one in planted.values():
        assert one.p == 1 / 1000
        assert one.value > one.high > one.random > 0
        assert one.excess == pytest.approx(one.value - one.random)


def spec(**more: object) -> AuditSpec:
    return AuditSpec(
        name="x", kind="retrieval", labels=(Label("a leader", "neutral"), Label("a person", "neutral")),
        metrics=(Metric("skew", ("labels",), k=(10, 50), headline=True),), groups=Groups(columns=("gender",)),
        retrieval=Retrieval(rankings=999, **more),  # type: ignore[arg-type]
    )  # fmt: skip


def test_rows_of_a_ranking() -> None:
    random = np.random.default_rng(3)
    codes = random.integers(-1, 2, 300)
    cosines = random.normal(size=(300, 2)).astype(np.float32)
    cosines[codes == 1, 0] += 5  # the first query brings one group alone
    group = Grouping("gender", ("Female", "Male"), codes)
    table = retrieval_rows(spec(), ["a leader", "a person"], cosines, [group], (10, 50), variant="as written")
    known = table.set_index(["metric", "name"])
    inside = (codes >= 0).sum()
    one = known.loc[("skew@10", "a leader")]
    assert one["value"] == pytest.approx(math.log(inside / (codes == 1).sum()))
    assert (one["group"], one["n"], one["k"]) == ("Male", inside, 10)
    assert "the gallery's shares" in one["method"] and "base 2.71828" in one["method"]
    assert known.loc[("skew@10_excess", "a leader"), "value"] == pytest.approx(
        one["value"] - known.loc[("skew@10_random", "a leader"), "value"]
    )
    assert table.loc[claimed(table), "metric"].tolist() == ["skew@10", "skew@50"] * 2
    assert adjusted(table).set_index(["metric", "name"]).loc[("skew@50", "a leader"), "p_adjusted"] < 0.05
    equal = retrieval_rows(spec(desired="equal"), ["a leader"], cosines[:, :1], [group], (10,), variant="as written")
    assert equal["value"].iloc[0] == pytest.approx(math.log(2))


def test_what_cannot_be_desired_is_refused() -> None:
    with pytest.raises(InputError, match="sum to 1"):
        skewness([0, 1], [5, 5], [0.5, 0.4])
    with pytest.raises(InputError, match="k from 1"):
        skewness([0] * 11, [5, 5], [0.5, 0.5])
    lacking = spec(desired={"gender": {"Female": 1.0}})
    group = Grouping("gender", ("Female", "Male"), np.array([0, 1] * 10))
    with pytest.raises(InputError, match="Male"):
        retrieval_rows(lacking, ["a leader"], np.zeros((20, 1), np.float32), [group], (5,), variant="as written")
