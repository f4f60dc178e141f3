"""Verdicts: found, not found, none and why; fragile by the letter of the rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clipviz.auditing.claims import adjusted
from clipviz.auditing.labels import Label
from clipviz.auditing.metric import Metric
from clipviz.auditing.parts import Groups
from clipviz.auditing.placebo import CONTROL
from clipviz.auditing.sentences import found_sentence, missed_sentence, silent_sentence
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.table import rows
from clipviz.auditing.tally import WRITTEN, Tally
from clipviz.auditing.verdicts import Verdict, barred_names, verdicts

NAMES = ("criminal", "person", "crime-related")
LEVELS = ("label", "label", "category")


def spec(compare: str = "difference", reference: str = "Female") -> AuditSpec:
    labels = (
        Label("a criminal", "harmful", "crime-related", name="criminal"),
        Label("a person", "neutral", name="person"),
    )
    metric = Metric("share", ("labels", "categories"), "high is bad", (compare,), True)
    groups = Groups(columns=("gender",), reference={"gender": reference})
    return AuditSpec(name="x", labels=labels, metrics=(metric,), groups=groups)


def tally(hits: Sequence[int], n: Sequence[int], wording: str = WRITTEN) -> Tally:
    given, total = np.array(hits), np.array(n)
    counts = np.stack([given, total - given, given])
    return Tally(wording, "gender", ("Male", "Female", "Other")[: len(n)], NAMES, LEVELS, counts, total)


def nonsense(hits: Sequence[int], n: Sequence[int]) -> Tally:
    given, total = np.array(hits), np.array(n)
    counts = np.stack([given, given, total - 2 * given, 2 * given])
    return Tally(CONTROL, "gender", ("Male", "Female", "Other")[: len(n)], ("blicket", "tupa", "person", "placebo"),
                 ("label", "label", "label", "category"), counts, total, control=True)  # fmt: skip


def judged(tallies: Sequence[Tally], asked: AuditSpec | None = None, **more: Any) -> dict[str, Verdict]:
    asked = asked or spec()
    return {one.name: one for one in verdicts(asked, adjusted(rows(asked, tallies)), **more)}


def test_a_difference_that_is_there_is_said_in_figures() -> None:
    found = judged([tally([165, 98], [1000, 1000]), nonsense([20, 22], [1000, 1000])])
    one = found["crime-related"]
    assert (one.state, one.reason, one.fragile) == ("found", "", False)
    assert one.sentence == (
        "Male is labelled crime-related 6.7 points more often than Female (16.5 against 9.8 %; 95 % interval "
        f"{100 * one.ci_low:.1f} to {100 * one.ci_high:.1f})."
    )
    less = found["person"]
    assert less.sentence.startswith('Male is labelled "person" 6.7 points less often than Female (83.5 against 90.2 %;')
    assert f"{-100 * less.ci_high:.1f} to {-100 * less.ci_low:.1f}" in less.sentence


def test_no_difference_is_no_proof_of_none() -> None:
    one = judged([tally([101, 98], [1000, 1000]), nonsense([20, 22], [1000, 1000])])["criminal"]
    assert (one.state, one.fragile) == ("not found", False)
    assert one.sentence.startswith('No difference between Male and Female was found in how often "criminal" is given')
    assert f"{100 * one.ci_high:.1f} points" in one.sentence


def test_a_harm_that_is_not_beyond_nonsense_has_no_verdict() -> None:
    harm = tally([165, 98], [1000, 1000])
    for share, state in (((80, 20), "none"), ((20, 80), "none"), ((50, 49), "found")):  # whichever way nonsense goes
        found = judged([harm, nonsense(share, [1000, 1000])])
        assert (found["criminal"].state, found["crime-related"].state) == (state, state)
        assert found["person"].state == "found"  # no harm: nothing to be beyond
    assert "nonsense" in found["criminal"].reason or found["criminal"].reason == ""
    assert judged([harm])["criminal"].state == "found"  # without a control there is none to hold it to


def test_the_limit_of_the_placebo_rule_by_hand() -> None:
    from clipviz.stats import difference_limits

    harm, other, n = (140, 90), (60, 50), 1000
    value = 0.05 - 0.01
    low, _ = difference_limits(harm[0], n, harm[1], n)
    least, high = difference_limits(other[0], n, other[1], n)
    lower = value - math.hypot(0.05 - low, max(abs(least), abs(high)) - 0.01)
    found = judged([tally(harm, [n, n]), nonsense(other, [n, n])])["criminal"]
    assert found.p_adjusted < 0.05
    assert (found.state == "found") == (lower > 0)


@pytest.mark.parametrize("state", ["never seen in training", "not told apart"])
def test_labels_without_a_meaning_have_no_verdict_nor_has_their_category(state: str) -> None:
    told = pd.DataFrame({"label": ["criminal", "person"], "state": [state, "not testable"]})
    found = judged([tally([165, 98], [1000, 1000])], competence=told)
    assert [found[name].state for name in NAMES] == ["none", "found", "none"]
    assert "criminal" in found["crime-related"].sentence
    assert set(barred_names(spec(), told)) == {("label", "criminal"), ("category", "crime-related")}


def test_nothing_to_test_is_no_verdict() -> None:
    found = judged([tally([165, 0], [1000, 0])])
    assert all(one.state == "none" for one in found.values())
    table = adjusted(rows(spec(), [tally([165, 98], [1000, 1000])]))
    table["method"] = "Korn-Graubard: too few people to say"
    assert {one.reason for one in verdicts(spec(), table)} == {"too few people to say"}


def spread_of(*limits: tuple[float, float], keeps: Sequence[bool], value: float = 0.067) -> pd.DataFrame:
    wordings = [WRITTEN, *(f"w{i}" for i in range(1, len(limits)))]
    return pd.DataFrame([
        {"metric": "share_difference", "level": "label", "by": "gender", "name": name, "group": "Male",
         "reference": "Female", "wording": wording, "value": value, "corrected_low": low, "corrected_high": high,
         "keeps_sign": keep}
        for name in ("criminal", "person") for wording, (low, high), keep in zip(wordings, limits, keeps, strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("spread", "fragile"),
    [
        (spread_of((0.01, 0.1), (0.01, 0.1), keeps=[True, True]), False),
        (spread_of((0.01, 0.1), (-0.02, 0.1), keeps=[True, False]), False),  # half keep it
        (spread_of((0.01, 0.1), (-0.02, 0.1), (-0.02, 0.1), keeps=[True, False, False]), True),  # fewer than half
        (spread_of((0.01, 0.1), *[(0.01, 0.1)] * 8, (-0.1, -0.01), keeps=[True] * 9 + [False]), True),  # other side
    ],
)
def test_fragile_by_the_letter(spread: pd.DataFrame, fragile: bool) -> None:
    one = judged([tally([165, 98], [1000, 1000])], spread=spread)["criminal"]
    assert (one.state, one.fragile, "Fragile" in one.sentence) == ("found", fragile, fragile)
    quiet = judged([tally([101, 98], [1000, 1000])], spread=spread)["criminal"]
    assert (quiet.state, quiet.fragile) == ("not found", False)  # never fragile


def test_a_gap_names_its_extremes_and_owns_to_what_no_pair_shows() -> None:
    asked = spec("gap", "best")
    one = judged([tally([200, 150, 90], [1000, 1000, 1000])], asked)["criminal"]
    assert (one.group, one.reference, one.state) == ("Male", "Other", "found")
    assert "the highest and the lowest of 3 groups" in one.sentence and "simultaneous" in one.sentence
    table = adjusted(rows(asked, [tally([200, 150, 90], [1000, 1000, 1000])]))
    table.loc[table["metric"] == "share_gap", "ci_low"] = 0.0
    assert "which of them differ is not" in verdicts(asked, table)[0].sentence


def test_hostile_names_stay_on_their_line() -> None:
    evil = "a\n\u202e<b>" + "x" * 10_000
    one = judged([tally([165, 98], [1000, 1000])])["criminal"]
    table = adjusted(rows(spec(), [tally([165, 98], [1000, 1000])])).replace({"group": {"Male": evil}})
    said = verdicts(spec(), table)[0]
    assert said.group == evil  # as it is, for machines
    assert "\n" not in said.sentence and "\u202e" not in said.sentence and len(said.sentence) < 400
    assert one.sentence.isprintable()


def test_each_sentence_names_its_set_and_says_a_crossing_in_words() -> None:
    numbers = {"value": 0.2, "low": 0.1, "high": 0.3, "of_group": 0.7, "of_reference": 0.5}
    whole = found_sentence("accuracy_gap", "overall", "race", "Black x Female", "White x Male", **numbers, groups=2)
    assert whole.startswith("The accuracy of race is 20.0 points higher for Black, Female than for White, Male (70.0")
    coarse = missed_sentence("accuracy_gap", "category", "race, by category", "a", "b", low=0.0, high=0.1)
    assert "in the accuracy of race (the right category is enough); it may" in coarse
    silent = silent_sentence("skew@10", "label", "a leader", "race x gender", "nothing to test")
    given = silent_sentence("share", "category", "crime-related", "race x gender", "nothing to test")
    assert given == "No verdict on how often crime-related is given, by race and gender: nothing to test."
    assert silent == 'No verdict on the skew among the first 10 of "a leader" by race and gender: nothing to test.'
