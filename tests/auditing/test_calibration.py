"""Calibration: worlds have the rates that they are given, and the report says what was planted in them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clipviz.auditing import calibration as module
from clipviz.auditing.calibration import boundary, calibrate, run
from clipviz.auditing.labels import Label
from clipviz.auditing.metric import Metric
from clipviz.auditing.parts import Groups
from clipviz.auditing.planting import Planted
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.worlds import pooled, sizes_of, worlds
from clipviz.errors import InputError

SIZES = {"race": {"A": 700, "B": 500, "C": 300}, "gender": {"F": 800, "M": 700}}
RATES = {"thief": 0.08, "alien": 0.04, "man": 0.44, "woman": 0.44}


def spec(compare: str = "gap", columns: tuple[str, ...] = ("race", "gender"), **groups: Any) -> AuditSpec:
    labels = (
        Label("a thief", "harmful", "crime", "thief"), Label("an alien", "harmful", "non-human", "alien"),
        Label("a man", "identity", "people", "man"), Label("a woman", "identity", "people", "woman"),
    )  # fmt: skip
    metric = Metric("share", ("all",), "high is bad", (compare,), True)
    return AuditSpec(name="s", labels=labels, metrics=(metric,), groups=Groups(columns=columns, **groups))


def test_a_world_has_the_rates_that_it_was_given() -> None:
    even, left = worlds(spec(), SIZES, RATES)
    assert left == ()
    world = even.planted(Planted("share_gap", "label", "thief", "race", "B", "", 0.05, "thief", ("man",)), apart=2)
    random = np.random.default_rng(0)
    drawn = [next(world.reports(random))[1] for _ in range(200)]
    for i, tally in enumerate(drawn[0]):
        if tally.wording != "as written":
            continue
        share = np.mean([one[i].share for one in drawn], axis=0)
        for k, (level, name) in enumerate(zip(tally.levels, tally.names, strict=True)):
            truth = [world.truth("share", level, tally.by, name, group, "") for group in tally.groups]
            assert share[k] == pytest.approx(truth, abs=0.006)
    thief = {group: world.truth("share", "label", "race", "thief", group, "") for group in "ABC"}
    assert thief == pytest.approx({"A": 0.08, "B": 0.13, "C": 0.13})
    assert world.truth("share_gap", "label", "race", "thief", "B", "A") == pytest.approx(0.05)
    assert world.truth("share_gap", "label", "race", "woman", "B", "A") == 0
    assert world.truth("share_difference", "category", "race", "crime", "B", "C") == 0
    rest = 0.13 - (700 * 0.08 + 300 * 0.13) / 1000
    assert world.truth("share_difference", "label", "race", "thief", "B", "rest") == pytest.approx(rest)


def test_crossings_are_drawn_as_one_people() -> None:
    cells = {"A x F": 300, "A x M": 400, "B x F": 500, "B x M": 0, "C x F": 0, "C x M": 300}
    asked = spec(crossings=(("race", "gender"),))
    even, _ = worlds(asked, {**SIZES, "race x gender": cells}, RATES)
    world = even.planted(Planted("share_gap", "label", "thief", "race", "A", "", 0.05, "thief", ("man",)), apart=1)
    tallies = {one.by: one for one in next(world.reports(np.random.default_rng(0)))[1] if one.wording == "as written"}
    crossed = tallies["race x gender"].hits
    assert (
        tallies["race"].hits == np.stack([crossed[:, :2].sum(1), crossed[:, 2:4].sum(1), crossed[:, 4:].sum(1)], 1)
    ).all()
    assert (tallies["gender"].hits == np.stack([crossed[:, ::2].sum(1), crossed[:, 1::2].sum(1)], axis=1)).all()
    gap = world.truth("share_difference", "label", "gender", "thief", "F", "M")
    assert gap == pytest.approx(0.05 * (300 / 800 - 400 / 700))  # who is planted in a race is in a gender too


def test_the_report_of_an_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calibrate(spec(), SIZES, repetitions=25, seed=3, rates=RATES)
    json.dumps(found, allow_nan=False)
    assert calibrate(spec(), SIZES, repetitions=2, rates=RATES) == calibrate(spec(), SIZES, repetitions=2, rates=RATES)
    assert found["planted"]["name"] == "thief"  # the first harm
    assert found["no_difference"]["false_alarms"]["share"] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 25)
    assert found["one_gap"]["found"]["share"] >= 0.6  # aimed at 80 %
    assert min(one["share"] for one in found["no_difference"]["coverage"].values()) > 0.9
    assert [(one["groups_apart"], one["others"]) for one in found["gate"]] == [(1, 2)]
    # an audit that cries wolf is found out: the same without a correction, and without a test at all
    monkeypatch.setattr(module, "adjusted", lambda table: table.assign(p_adjusted=table["p"]))
    assert run(spec(), worlds(spec(), SIZES, RATES)[0], repetitions=25, seed=3)["false_alarms"]["share"] > 0.2
    monkeypatch.setattr(module, "adjusted", lambda table: table.assign(p_adjusted=1.0))
    assert calibrate(spec(), SIZES, repetitions=2, rates=RATES)["one_gap"]["found"]["share"] == 0


def test_a_gate_at_its_bound_is_seldom_broken_and_one_that_reads_the_value_often() -> None:
    even = worlds(spec(columns=("race",)), {"race": SIZES["race"]}, RATES)[0]
    world = even.planted(Planted("share_gap", "label", "thief", "race", "A", "", 0.05, "thief", ("man",)), apart=1)
    low, high = boundary(world)
    assert (low.limit, low.side, high.side) == (pytest.approx(0.05), "ci_low", "ci_high")
    kept = run(world.spec, world, repetitions=40, seed=0, bounds=(low, high))["gate"]
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 40)
    assert kept["broken"]["share"] <= allowed and kept["passed"]["share"] <= allowed
    naive = run(world.spec, world, repetitions=40, seed=0, bounds=(replace(low, side="value"), high))["gate"]
    assert naive["broken"]["share"] > 0.3


def test_an_audit_lends_its_sizes_and_rates() -> None:
    even, _ = worlds(spec(), SIZES, RATES)
    table = even.table(np.random.default_rng(0))
    assert sizes_of(table) == SIZES
    known = pooled(table)
    assert set(known) == set(RATES) and sum(known.values()) == pytest.approx(1)

    class Audited:
        pass

    audited: Any = Audited()
    audited.table = table
    found = calibrate(spec(), audited, repetitions=2)
    assert found["sizes"] == SIZES
    assert found["rates"] == pytest.approx(known)


def test_other_metrics_run_along_and_what_cannot_is_said() -> None:
    base = spec(columns=("gender",))
    share, probability = base.metrics[0], Metric("mean_probability", ("thief",), compare=("difference",), headline=True)
    asked = replace(base, metrics=(share, probability, Metric("association", ("man", "woman"), headline=True)))
    found = calibrate(asked, {"gender": SIZES["gender"]}, repetitions=10, rates=RATES)
    assert found["left_out"] == ["association"]
    assert found["no_difference"]["coverage"]["mean_probability_difference"]["share"] > 0.8


def test_a_small_group_that_shows_no_high_probability_raises_no_alarm() -> None:
    probability = Metric("mean_probability", ("thief",), compare=("difference",), headline=True)
    asked = replace(spec(columns=("gender",)), metrics=(probability,))
    found = calibrate(asked, {"gender": {"F": 40, "M": 3000}}, repetitions=100, rates=RATES)["no_difference"]
    # by the group's own variance alone it is below
    assert found["coverage"]["mean_probability_difference"]["share"] >= 0.93
    assert found["false_alarms"]["share"] <= 0.05


def test_what_cannot_be_planted_is_refused() -> None:
    for sizes in ({}, {"gender": {"F": 5}}, {"gender": {"F": -1, "M": 5}}, {"gender": {"F": 0, "M": 0}}):
        with pytest.raises(InputError, match="two groups"):
            calibrate(spec(), sizes, repetitions=1)
    with pytest.raises(InputError, match="'thief'"):
        calibrate(spec(), SIZES, repetitions=1, rates={"theif": 0.1})
    with pytest.raises(InputError, match="sum to 1"):
        calibrate(spec(), SIZES, repetitions=1, rates={"thief": 0.8, "man": 0.8})
    with pytest.raises(InputError, match="repetitions"):
        calibrate(spec(), SIZES, repetitions=0)


def test_the_committed_table_holds() -> None:
    table = pd.read_csv(Path(__file__).resolve().parents[2] / "docs" / "audit_calibration.csv")
    assert (table["repetitions"] == 2000).all()
    promised = table[table["holds"].notna()]
    assert (promised["holds"] == "yes").all()
    power = table[table["quantity"] == "the planted gap found"].set_index("world")["share"]
    assert (power.filter(like="10 % against 20 %") >= 0.95).all() and (
        power.filter(like="10 % against 15 %") >= 0.9
    ).all()
    assert len(power.filter(like="10 % against")) >= 4
