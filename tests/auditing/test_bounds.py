"""Bounds of a gate, read from text and held against a spec."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from clipviz.auditing import AuditSpec
from clipviz.auditing.bounds import check_bound, computed, example_bound, parse_bound
from clipviz.auditing.metric import Metric
from clipviz.errors import SpecError

sys.path.insert(0, str(Path(__file__).parent))
from handmade import make_spec


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("crime.race.gap.ci_low > 0.05", ("crime", "race", "", "_gap", "", "ci_low", ">", 0.05)),
        ("crime.gap.ci_high>=5 %", ("crime", "", "", "_gap", "", "ci_high", ">=", 0.05)),
        ("a b.race x gender.share.Black x Male.value < 1e-3",
         ("a b", "race x gender", "share", "", "Black x Male", "value", "<", 1e-3)),
        ("'Dr. Kim'.mean_probability_difference.Male.ci_low <= -0.1",
         ("Dr. Kim", "", "mean_probability", "_difference", "Male", "ci_low", "<=", -0.1)),
        ("x.age.worst.more than 70.5.ci_high > 1", ("x", "age", "", "_worst", "more than 70.5", "ci_high", ">", 1)),
        ("'a > 1'.gap.value > 2", ("a > 1", "", "", "_gap", "", "value", ">", 2)),
        ("x.gender.'above_threshold@0.005_gap'.ci_low > 0",
         ("x", "gender", "above_threshold@0.005", "_gap", "", "ci_low", ">", 0)),
        ("'gap'.race.gap.value > 2", ("gap", "race", "", "_gap", "", "value", ">", 2)),
    ],
)  # fmt: skip
def test_a_bound_is_read(text: str, wanted: tuple[object, ...]) -> None:
    bound = parse_bound(text)
    got = (bound.name, bound.by, bound.metric, bound.ending, bound.group, bound.side, bound.op, bound.limit)
    assert got == wanted and bound.text == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no bound"), (7, "no bound"), ("crime.gap.ci_low = 3", "no bound"), ("crime.gap.ci_low > x", "no bound"),
        ("crime.gap.ci_low > 1.2.3", "no number"), ("crime.gap.ci_low > 1e999", "no number"),
        ("crime.gap > 0.1", "ci_high"), ("crime.gap.low > 0.1", ".ci_low"), ("crime.gapp.ci_low > 1", "'gapp'"),
        ("crime.race.gender.gap.ci_low > 1", "'gender'"), ("crime..gap.ci_low > 1", "empty part"),
        ("'crime.gap.ci_low > 1", "not closed"), ("gap.race.ci_low > 1", "no comparison"),
    ],
)  # fmt: skip
def test_what_is_no_bound_says_what_to_type(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_bound(text)


def test_a_bound_holds_where_its_comparison_is_true_and_never_for_what_is_undefined() -> None:
    for op, kept in ((">", [False, False, True]), (">=", [False, True, True]), ("<", [True, False, False]),
                     ("<=", [True, True, False])):  # fmt: skip
        bound = parse_bound(f"x.gap.value {op} 0.1")
        assert [bound.holds(value) for value in (0.0, 0.1, 0.2)] == kept
        assert not bound.holds(math.nan)
    assert parse_bound("x.gap.ci_high > 0").wants_proof and parse_bound("x.worst.ci_low < 1").wants_proof
    assert not parse_bound("x.gap.ci_low > 0").wants_proof


def test_every_threshold_and_depth_has_a_name() -> None:
    above = [Metric("above_threshold", ("criminal",), threshold=one, compare=("gap",)) for one in (0.005, 0.04)]
    assert computed(above) == ["above_threshold@0.005", "above_threshold@0.005_gap", "above_threshold@0.04",
                               "above_threshold@0.04_gap"]  # fmt: skip
    assert computed(above[:1]) == ["above_threshold", "above_threshold_gap"]
    assert computed([Metric("skew", ("criminal",), k=(10,))]) == ["skew@10", "ndkl@10"]
    assert parse_bound("'a person'.race.ndkl@10.value > 1").metric == "ndkl@10"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("crimerelated.gap.ci_low > 0.1", "'crime-related'"),
        ("victim.gap.ci_low > 0.1", "computes nothing"),
        ("crime-related.rase.gap.ci_low > 0.1", "'race'"),
        ("crime-related.accuracy_gap.ci_low > 0.1", "share_gap"),
    ],
)
def test_a_spec_knows_what_it_does_not_compute(text: str, says: str) -> None:
    spec = make_spec()
    check_bound(parse_bound("crime-related.race.gap.ci_low > 0.1"), spec)
    with pytest.raises(SpecError, match=says):
        check_bound(parse_bound(text), spec)
    with pytest.raises(SpecError, match=says):
        make_spec(fail_if=(text,))


def test_the_example_for_a_spec_is_one_that_it_can_bear() -> None:
    for name in ("nurse_doctor", "fairface_denigration", "fairface_classification", "avatars", "retrieval_skew"):
        spec = AuditSpec.load(name)
        if name != "retrieval_skew":
            check_bound(parse_bound(example_bound(spec)), spec)
        else:  # a ranking is not compared by gaps: the usual example
            assert parse_bound(example_bound(spec)).name == "crime-related"


def test_what_another_label_is_asked_is_not_asked_of_this_one() -> None:
    spec = AuditSpec.load("nurse_doctor")  # its association has a gap, its labels have none
    with pytest.raises(SpecError, match=r"not compute of 'nurse'.*share_difference"):
        check_bound(parse_bound("nurse.gap.ci_low > 0.05"), spec)
