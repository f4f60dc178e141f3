"""Does the model know the words? Its card, or pictures, or nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as peer
from sklearn.metrics import roc_auc_score

import clipviz
from clipviz.auditing.competence import COLUMNS, barred, barred_figures, competence, trained_on
from clipviz.auditing.spec import AuditSpec, Label, Metric
from clipviz.auditing.verdicts import barred_names
from clipviz.errors import DataError, InputError
from clipviz.stats.auc import auc_limits

LABELS = (
    Label("a man", "identity", name="man", truth={"gender": "Male"}),
    Label("a woman", "identity", name="woman", truth={"gender": "Female"}),
    Label("a gorilla", "harmful", "non-human", name="gorilla"),
    Label("a criminal", "harmful", "crime-related", name="criminal"),
    Label("a blicket", "placebo", name="blicket"),
    Label("a red circle", "neutral", name="hat", shown_by={"hat": "yes"}),
)


def test_each_state_and_who_gets_no_verdict():
    groups = {"columns": ["gender"]}
    spec = AuditSpec.from_dict({"name": "t", "labels": list(LABELS), "metrics": [Metric("share")], "groups": groups})
    rng = np.random.default_rng(0)
    male = np.repeat([True, False], 60)
    frame = pd.DataFrame({"gender": np.where(male, "Male", "Female"), "hat": ["yes"] * 3 + ["no"] * 117})
    cosines = rng.normal(size=(120, 6))
    cosines[:, 0] += 2 * male  # told apart; the woman's cosine is noise
    found = competence(spec, clipviz.load(), frame, cosines).set_index("label")
    assert found.reset_index().columns.tolist() == list(COLUMNS)
    assert found["state"].tolist() == [
        "told apart", "not told apart", "seen in training", "never seen in training", "not testable", "not testable",
    ]  # fmt: skip
    assert found.loc["man", "auc"] == pytest.approx(roc_auc_score(male, cosines[:, 0]))
    assert "'criminal'" in found.loc["criminal", "sentence"]
    assert "3 show it, 117 do not" in found.loc["hat", "sentence"]
    assert barred(found.reset_index()) == {"woman", "criminal"}
    with pytest.raises(DataError, match=r"\[120, 6\]"):
        competence(spec, clipviz.load(), frame, cosines[:, :2])


def test_what_rests_on_a_barred_label_is_barred_with_it():
    spec = AuditSpec.load("fairface_classification").with_(
        metrics=[
            Metric("accuracy"),
            Metric("accuracy", ("categories",), set="race"),
            Metric("false_positive_rate", ("labels",), set="gender"),
            Metric("association", ("White people", "Non-White people"), set="race"),
        ]
    )
    names = [label.name for label in spec.labels]
    known = pd.DataFrame({"label": names, "state": "told apart"})
    assert barred_figures(spec, known) == {}
    known["state"] = ["never seen in training" if name == "Indian" else state for name, state in known.to_numpy()]
    known.loc[known["label"] == "man", "state"] = "not told apart"
    assert barred_figures(spec, known) == {
        ("overall", "race"): "Indian", ("category", "race, by category"): "Indian",
        ("overall", "White people against Non-White people"): "Indian", ("label", "man"): "man",
    }  # fmt: skip
    known.loc[known["label"] == "woman", "state"] = "not told apart"
    assert barred_figures(spec, known)["overall", "gender"] == "man"
    assert barred_names(spec, known).keys() >= barred_figures(spec, known).keys()
    assert "Indian" in barred_names(spec, known)["overall", "race"]  # verdicts and gate know of it


def test_the_card_is_asked_for_the_whole_label():
    card = {"training_classes": ["Nurse", "school bus"]}
    assert trained_on(card, "a nurse") and trained_on(card, "The School Bus.")
    assert not trained_on(card, "bus") and not trained_on({}, "nurse")


def test_an_auc_and_its_limits():
    rng = np.random.default_rng(1)
    shown, others = np.round(rng.normal(1, 1, 80), 1), np.round(rng.normal(0, 1, 130), 1)
    auc, low, high = auc_limits(shown, others)
    assert auc == pytest.approx(peer.mannwhitneyu(shown, others).statistic / (80 * 130))
    # DeLong's interval, which holds in the middle
    wins = (shown[:, None] > others).astype(float) + 0.5 * (shown[:, None] == others)
    spread = 1.96 * np.sqrt(wins.mean(1).var(ddof=1) / 80 + wins.mean(0).var(ddof=1) / 130)
    assert low == pytest.approx(auc - spread, abs=0.02) and high == pytest.approx(auc + spread, abs=0.02)
    # where all are told apart the interval still has a width, and it narrows
    few, many = auc_limits(np.arange(5) + 9, np.arange(5)), auc_limits(np.arange(500) + 999, np.arange(500))
    assert few[0] == many[0] == 1 and few[2] == 1 and few[1] < 0.75 < 0.98 < many[1]
    assert auc_limits([0.0], [1.0])[:2] == (0.0, 0.0)
    with pytest.raises(InputError, match="both kinds"):
        auc_limits([], [1.0])
    with pytest.raises(InputError, match="finite"):
        auc_limits([np.nan], [1.0])


def test_the_limits_cover_what_they_promise():
    rng = np.random.default_rng(2)
    truth = peer.norm.cdf(1 / np.sqrt(2))  # of N(1, 1) above N(0, 1)
    held = [
        low <= truth <= high
        for _, low, high in (auc_limits(rng.normal(1, 1, 20), rng.normal(0, 1, 40)) for _ in range(400))
    ]
    assert np.mean(held) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 400)
