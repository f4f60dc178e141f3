"""Every metric equals an independent one: fairlearn, scikit-learn, scipy, or a loop."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from fairlearn import metrics as fair
from scipy.special import softmax
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from clipviz.auditing.groups import Grouping
from clipviz.auditing.metrics import Pictures, tally
from clipviz.auditing.table import rows
from clipviz.auditing.tally import Scored
from clipviz.errors import SpecError

sys.path.insert(0, str(Path(__file__).parent))
from scenes import scene, spec_of

METRICS = [
    {"metric": "share", "of": ["thief", "crime"], "compare": ["gap", "ratio", "difference"]},
    {"metric": "accuracy", "compare": ["gap"]},
    {"metric": "balanced_accuracy", "compare": ["gap"]},
    {"metric": "false_positive_rate", "of": ["man", "thief"], "compare": ["gap"]},
    {"metric": "false_negative_rate", "of": ["man"], "compare": ["gap"]},
    {"metric": "mean_probability", "of": ["all"], "compare": ["gap"]},
    {"metric": "margin", "of": ["all"], "compare": ["gap"]},
    {"metric": "above_threshold", "threshold": 0.4, "of": ["all"], "compare": ["gap"]},
]
SPEC = spec_of(*METRICS)


@pytest.fixture(scope="module")
def case():
    scored, grouping, truth = scene()
    right = np.eye(4, dtype=bool)[truth]
    pictures = Pictures(scored, right, np.ones_like(right))
    table = rows(SPEC, [tally(pictures, grouping, SPEC, metric) for metric in SPEC.metrics])
    inside = grouping.codes >= 0
    return table, scored, grouping.codes[inside], truth[inside], scored.decision[inside], inside


def value(table, metric, name, group=None):
    chosen = table[(table["metric"] == metric) & (table["name"] == name)]
    return chosen[chosen["group"] == group] if group else chosen


def frame(function, true, given, codes):
    return fair.MetricFrame(metrics=function, y_true=true, y_pred=given, sensitive_features=codes)


def held(table, metric, name, theirs) -> None:
    """Each group's figure, and the gap, are those of a MetricFrame."""
    for g, group in enumerate("abc"):
        assert value(table, metric, name, group)["value"].iloc[0] == pytest.approx(theirs.by_group[g], abs=1e-12)
    assert value(table, f"{metric}_gap", name)["value"].iloc[0] == pytest.approx(theirs.difference(), abs=1e-12)


@pytest.mark.parametrize("name,places", [("thief", [2]), ("crime", [2, 3])])
def test_shares_are_fairlearns_selection_rates_and_their_gap_its_demographic_parity(case, name, places) -> None:
    table, _, codes, _, decision, _ = case
    given = np.isin(decision, places)
    held(table, "share", name, frame(fair.selection_rate, given, given, codes))
    gap = fair.demographic_parity_difference(given, given, sensitive_features=codes)
    assert value(table, "share_gap", name)["value"].iloc[0] == pytest.approx(gap)


def test_accuracy_by_group_is_fairlearns(case) -> None:
    table, _, codes, truth, decision, _ = case
    held(table, "accuracy", "all labels", frame(accuracy_score, truth, decision, codes))


def test_balanced_accuracy_is_scikit_learns(case) -> None:
    table, _, codes, truth, decision, _ = case
    for g, group in enumerate("abc"):
        own = codes == g
        with pytest.warns(UserWarning, match="y_pred"):  # some are given a label that nobody is
            theirs = balanced_accuracy_score(truth[own], decision[own])
        assert value(table, "balanced_accuracy", "all labels", group)["value"].iloc[0] == pytest.approx(theirs)


def test_odds_are_fairlearns_where_every_group_has_positives_and_negatives(case) -> None:
    table, _, codes, truth, decision, _ = case
    held(table, "false_positive_rate", "man", frame(fair.false_positive_rate, truth == 0, decision == 0, codes))
    held(table, "false_negative_rate", "man", frame(fair.false_negative_rate, truth == 0, decision == 0, codes))
    odds = fair.equalized_odds_difference(truth == 0, decision == 0, sensitive_features=codes)
    ours = max(value(table, f"false_{side}_rate_gap", "man")["value"].iloc[0] for side in ("positive", "negative"))
    assert ours == pytest.approx(odds)


def test_a_harmful_label_is_right_for_nobody(case) -> None:
    table, _, codes, _, decision, _ = case
    given = decision == 2
    held(table, "false_positive_rate", "thief", frame(fair.selection_rate, given, given, codes))
    misses = value(table, "false_negative_rate", "thief")
    assert misses["value"].isna().all()  # undefined, not 0
    assert (misses["n"] == 0).all()
    for asked in ({"metric": "false_negative_rate", "of": ["thief"]}, {"metric": "equalised_odds"}):
        with pytest.raises(SpecError, match="positives"):
            spec_of(asked)


def test_a_group_without_positives_is_undefined_and_in_no_gap() -> None:
    scored, grouping, truth = scene()
    truth = np.where(grouping.codes == 2, 1, truth)  # nobody in c is a man
    right = np.eye(4, dtype=bool)[truth]
    spec = spec_of({"metric": "false_negative_rate", "of": ["man"], "compare": ["gap"]})
    table = rows(spec, [tally(Pictures(scored, right, np.ones_like(right)), grouping, spec, spec.metrics[0])])
    assert np.isnan(value(table, "false_negative_rate", "man", "c")["value"].iloc[0])
    (gap,) = value(table, "false_negative_rate_gap", "man").to_dict("records")
    assert {gap["group"], gap["reference"]} == {"a", "b"}


def test_probabilities_and_margins_are_those_of_scipy_and_of_a_loop(case) -> None:
    table, scored, codes, _, _, inside = case
    cosines = scored.cosines[inside].astype(float)
    chances = softmax(20.0 * cosines, axis=1)
    margin = [max(row[2], row[3]) - max(row[0], row[1]) for row in cosines]
    for g, group in enumerate("abc"):
        own = codes == g
        crime = chances[own][:, 2:].sum(axis=1)
        assert value(table, "mean_probability", "crime", group)["value"].iloc[0] == pytest.approx(crime.mean())
        above = value(table, "above_threshold", "crime", group)
        assert above["k"].iloc[0] == (crime > 0.4).sum()
        assert value(table, "margin", "crime", group)["value"].iloc[0] == pytest.approx(np.mean(np.array(margin)[own]))


def test_the_gap_is_that_of_a_loop_over_all_pairs(case) -> None:
    table, *_ = case
    for metric, name in (("share", "crime"), ("mean_probability", "thief"), ("margin", "man")):
        each = {row["group"]: row["value"] for row in value(table, metric, name).to_dict("records")}
        widest = max(((each[a] - each[b], a, b) for a in each for b in each), key=lambda one: one[0])
        (gap,) = value(table, f"{metric}_gap", name).to_dict("records")
        assert (gap["value"], gap["group"], gap["reference"]) == (pytest.approx(widest[0]), *widest[1:])


def test_balanced_accuracy_of_persons_is_no_surer_for_copies_of_their_pictures() -> None:
    scored, grouping, truth = scene(600)
    copies = np.tile(np.arange(600), 5)
    wide = Grouping(grouping.by, grouping.names, grouping.codes[copies])
    many = Scored(scored.wording, scored.cosines[copies], scored.decision[copies], scored.scale)
    found = []
    for one, group, right, person in ((scored, grouping, truth, None), (many, wide, truth[copies], copies)):
        masks = np.eye(4, dtype=bool)[right]
        pictures = Pictures(one, masks, np.ones_like(masks), person)
        counts = tally(pictures, group, SPEC, next(m for m in SPEC.metrics if m.metric == "balanced_accuracy"))
        assert counts.means is not None and counts.variances is not None
        found.append((counts.means, np.sqrt(counts.variances / counts.n)))
    assert found[0][0] == pytest.approx(found[1][0])
    assert found[0][1] == pytest.approx(found[1][1], rel=0.05)
