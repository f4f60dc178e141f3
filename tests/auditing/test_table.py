"""What the table compares with what, which rows are claims, and what persons change."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from clipviz.auditing.metrics import Pictures, tally
from clipviz.auditing.table import COLUMNS, claims_in, rows
from clipviz.auditing.tally import Tally
from clipviz.errors import DataError
from clipviz.stats import korn_graubard

sys.path.insert(0, str(Path(__file__).parent))
from scenes import scene, spec_of


def counts(hits, n, by="column", wording="as written", control=False) -> Tally:
    names = ("man", "woman", "thief", "criminal", "person", "crime")
    each = np.array([[0] * len(n), [0] * len(n), hits, [0] * len(n), [0] * len(n), hits])
    levels = ("label",) * 4 + ("category",) * 2
    return Tally(wording, by, tuple("abcdefg"[: len(n)]), names, levels, each, np.array(n), control=control)


def pairs(table, metric):
    chosen = table[table["metric"] == metric]
    return list(zip(chosen["group"], chosen["reference"], strict=True))


SHARE = {"metric": "share", "of": ["thief"], "headline": True, "compare": ["difference", "gap"]}


def test_groups_are_compared_with_the_named_reference_or_the_rest() -> None:
    named = spec_of(SHARE, reference={"column": "b"})
    table = rows(named, [counts([10, 20, 30], [100, 100, 100])])
    assert tuple(table.columns) == COLUMNS
    assert pairs(table, "share_difference") == [("a", "b"), ("c", "b")]
    rest = rows(spec_of(SHARE), [counts([10, 20, 30], [100, 100, 200])])
    assert pairs(rest, "share_difference") == [("a", "rest"), ("b", "rest"), ("c", "rest")]
    last = rest[rest["metric"] == "share_difference"].iloc[2]
    assert last["value"] == pytest.approx(30 / 200 - 30 / 200)
    assert pairs(rows(spec_of(SHARE), [counts([10, 20], [100, 100])]), "share_difference") == [("a", "b")]


def test_a_reference_that_nobody_is_says_what_to_type() -> None:
    with pytest.raises(DataError, match="'z', which no picture is"):
        rows(spec_of(SHARE, reference={"column": "z"}), [counts([1, 2, 3], [10, 10, 10])])


def test_the_best_follows_the_direction_and_leaves_the_claim_to_the_gap() -> None:
    tallies = [counts([10, 20, 45], [100, 100, 100])]
    for direction, distances in (("high is bad", [0, 0.1, 0.35]), ("high is good", [0.35, 0.25, 0])):
        spec = spec_of({**SHARE, "direction": direction, "compare": ["difference", "gap", "worst"]},
                       reference={"column": "best"})  # fmt: skip
        table = rows(spec, tallies)
        against = table[table["metric"] == "share_against_best"]
        assert against["value"].tolist() == pytest.approx(distances)
        worst = table[table["metric"] == "share_worst"].iloc[0]
        assert worst["group"] == ("c" if direction == "high is bad" else "a")
        claims = table[table["headline"] & table["p"].notna()]
        assert claims["metric"].tolist() == ["share_gap"]
        assert claims_in(spec, tallies) == 1


def test_other_wordings_are_in_the_table_and_claim_nothing() -> None:
    spec = spec_of({**SHARE, "of": ["thief", "crime"]})
    tallies = [counts([10, 20, 30], [100, 100, 100]), counts([10, 20, 30], [100, 100, 100], wording="another")]
    table = rows(spec, tallies)
    differences = table[(table["metric"] == "share_difference") & (table["name"] == "thief")]
    assert len(differences) == 6
    assert differences["headline"].tolist() == [True] * 3 + [False] * 3
    assert differences["p"].notna().tolist() == [True] * 3 + [False] * 3
    assert not table.duplicated(list(COLUMNS[:7])).any()
    assert claims_in(spec, tallies) == 6


def test_controls_compare_every_name_and_claim_nothing() -> None:
    table = rows(spec_of(SHARE), [counts([10, 20, 30], [100, 100, 100], wording="placebo", control=True)])
    assert set(table.loc[table["metric"] == "share_difference", "name"]) == {
        "man", "woman", "thief", "criminal", "person", "crime"}  # fmt: skip
    assert not table["headline"].any()
    assert table["p"].isna().all()


def test_small_counts_are_tested_by_enough_permutations() -> None:
    table = rows(spec_of(SHARE), [counts([0, 1, 4], [40, 40, 40])], tests=7)
    methods = table.loc[table["metric"] == "share_difference", "method"]
    assert methods.str.contains("permutation (1,400 draws)", regex=False).all()
    zero = table[(table["metric"] == "share") & (table["name"] == "thief") & (table["group"] == "a")].iloc[0]
    assert zero["ci_low"] == 0 < zero["ci_high"]  # no event has an upper bound


def test_a_group_of_nobody_is_in_no_comparison_but_its_own_row() -> None:
    table = rows(spec_of(SHARE), [counts([10, 0, 30], [100, 0, 100])])
    gap = table[table["metric"] == "share_gap"].iloc[0]
    assert (gap["group"], gap["reference"]) == ("c", "a")
    assert np.isnan(table.loc[(table["metric"] == "share") & (table["group"] == "b"), "value"]).all()


def test_persons_widen_the_limits_and_too_few_are_said() -> None:
    scored, grouping, _ = scene(600, groups=2)
    person = np.arange(600) // 6
    grouping.codes[:] = person % 2  # a person is in one group
    spec = spec_of(SHARE)
    alone, together = (
        rows(spec, [tally(Pictures(scored, person=who), grouping, spec, spec.metrics[0])]) for who in (None, person)
    )
    thief = (together["name"] == "thief") & (together["group"] == "a")
    own = together[thief & (together["metric"] == "share")].iloc[0]
    hits, n = (np.bincount(person, x, minlength=100)[::2] for x in (scored.decision == 2, np.ones(600)))
    theirs = [float(x) for x in korn_graubard(hits, n)[:3]]
    assert [own["value"], own["ci_low"], own["ci_high"]] == pytest.approx(theirs)
    difference = together[thief & (together["metric"] == "share_difference")].iloc[0]
    assert "persons moved" in difference["method"]
    assert 0 < difference["p"] <= 1
    before = alone[(alone["metric"] == "share_difference") & (alone["name"] == "thief")].iloc[0]
    assert difference["value"] == pytest.approx(before["value"])
    few = np.arange(600) // 40
    grouping.codes[:] = few % 2
    table = rows(spec, [tally(Pictures(scored, person=few), grouping, spec, spec.metrics[0])])
    claim = table[table["headline"] & (table["metric"] == "share_difference")].iloc[0]
    assert "too few people to say" in claim["method"]
    assert np.isnan(claim["p"])
