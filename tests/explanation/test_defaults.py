"""The defaults are what the committed choice says, and a model's card comes before its kind."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import clipviz
from clipviz.explanation.defaults import CARD_KEY, DEFAULTS, default_method, default_options
from clipviz.model import Model
from clipviz.weights import Weights

CHOICE = Path(__file__).resolve().parents[2] / "docs" / "explainers_choice.csv"


@pytest.mark.parametrize(("kind", "model"), [("vit", "oc-tiny"), ("resnet", "resnet")])
def test_the_winner_of_the_rule_is_the_default(kind: str, model: str) -> None:
    with CHOICE.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == model and row["eligible"] == "True"]
    assert len(rows) > 5
    assert max(rows, key=lambda row: float(row["mean"]))["method"] == DEFAULTS[kind]


def test_a_card_names_its_own_if_it_can_serve(vit: Model) -> None:
    assert default_method(clipviz.load()) == "maskclip"
    assert default_method(vit) == DEFAULTS["vit"]
    for named, wanted in (("legrad", "legrad"), ("no such", DEFAULTS["vit"]), (["legrad"], DEFAULTS["vit"])):
        told = Model("told", Weights(vit.clip, card={CARD_KEY: named}))
        assert (default_method(told), default_options(told)) == (wanted, {})
