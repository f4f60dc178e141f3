"""Association: against plain loops, every permutation of a small set, and its own level."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from clipviz.auditing import association as module
from clipviz.auditing.association import association, association_rows
from clipviz.auditing.groups import Grouping
from clipviz.auditing.labels import Label
from clipviz.auditing.metric import Metric
from clipviz.auditing.parts import Groups
from clipviz.auditing.spec import AuditSpec
from clipviz.errors import InputError


def slow_effect(values: list[float], first: list[bool]) -> float:
    a = [v for v, own in zip(values, first, strict=True) if own]
    b = [v for v, own in zip(values, first, strict=True) if not own]
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return (sum(a) / len(a) - sum(b) / len(b)) / deviation


def test_equals_a_plain_loop_over_all_permutations() -> None:
    random = np.random.default_rng(0)
    values = [*random.normal(0.6, 1, 5), *random.normal(0, 1, 6)]
    first = [True] * 5 + [False] * 6
    found = association(values, first, permutations=20_000)
    assert found.effect == pytest.approx(slow_effect(values, first))
    every = [
        abs(slow_effect(values, [i in chosen for i in range(11)])) for chosen in itertools.combinations(range(11), 5)
    ]
    exact = np.mean(np.array(every) >= abs(found.effect) - 1e-12)
    assert found.p == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / 20_000) + 1e-4)
    other = association(values, [not one for one in first], permutations=999)
    assert other.effect == pytest.approx(-found.effect)  # the groups change places


def test_the_normal_limit_is_what_permutations_tend_to(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    first = np.arange(2000) < 700
    values = random.normal(size=2000) + 0.1 * first
    moved = association(values, first, permutations=4999)
    monkeypatch.setattr(module, "_MOST", 0)
    limit = association(values, first, permutations=4999)
    assert limit.test != moved.test
    assert moved.p == pytest.approx(limit.p, abs=3 * math.sqrt(limit.p * (1 - limit.p) / 4999) + 1e-3)


def test_without_a_difference_p_is_small_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    first = np.arange(40) < 15
    p = np.array([association(random.normal(size=40), first, permutations=199, seed=i).p for i in range(300)])
    assert np.mean(p <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert np.mean(p <= 0.5) > 0.4  # nor is it large throughout


def test_nothing_to_tell() -> None:
    assert math.isnan(association([0.5] * 6, [True] * 3 + [False] * 3).effect)
    with pytest.raises(InputError, match="1 and 2 pictures"):
        association([0.1, 0.2, 0.3], [True, False, False])


def test_rows_follow_the_reference() -> None:
    labels = (Label("career", "neutral"), Label("family", "neutral"))
    codes = np.array([0, 1, 2] * 30 + [-1] * 10)
    values = np.random.default_rng(3).normal(size=100) + 2 * (codes == 0)
    group = Grouping("race", ("A", "B", "C"), codes)
    for reference, pairs in (("B", [("A", "B"), ("C", "B")]), ("rest", [("A", "rest"), ("B", "rest"), ("C", "rest")])):
        spec = AuditSpec(
            name="x", labels=labels, metrics=(Metric("association", ("career", "family"), headline=True),),
            groups=Groups(columns=("race",), reference={"race": reference}),
        )  # fmt: skip
        table = association_rows(spec, "career - family", values, [group], variant="as written", permutations=999)
        assert list(zip(table["group"], table["reference"], strict=True)) == pairs
        inside = np.isin(codes, (0, 1)) if reference == "B" else codes >= 0
        expected = slow_effect(values[inside].tolist(), (codes[inside] == 0).tolist())
        assert table["value"].iloc[0] == pytest.approx(expected)
        assert table["ci_low"].iloc[0] > 0 and table["p"].iloc[0] == 1 / 1000


def test_whole_persons_are_moved() -> None:
    random = np.random.default_rng(3)
    person = np.repeat(np.arange(60), 10)  # ten pictures each, all but the same
    first = person < 30
    p, naive = [], []
    for i in range(150):
        values = random.normal(size=60)[person] + 0.1 * random.normal(size=600)
        p.append(association(values, first, permutations=199, seed=i, person=person).p)
        naive.append(association(values, first, permutations=199, seed=i).p)
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)
    assert np.mean(np.array(naive) <= 0.05) > 0.4  # which pictures that count for themselves would not hold
    few = association(random.normal(size=600), person < 15, permutations=199, person=person)
    assert math.isnan(few.p) and "too few people" in few.test and few.low < few.effect < few.high
