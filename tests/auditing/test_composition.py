"""Composition: naive loops, a gap that is one of composition alone, one that composition hides, and small strata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from clipviz.auditing.claims import adjusted
from clipviz.auditing.composition import composition
from clipviz.auditing.groups import groupings
from clipviz.auditing.labels import Label
from clipviz.auditing.metric import Metric
from clipviz.auditing.metrics import Pictures, tally
from clipviz.auditing.parts import Derived, Groups
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.table import rows
from clipviz.auditing.tally import Scored
from clipviz.auditing.wordings import WRITTEN, Wording
from clipviz.stats import mean_difference_limits

LABELS = (Label("a", "neutral", "x"), Label("b", "neutral"))


def spec(columns: Sequence[str] = ("race",), metric: str = "share", **groups: Any) -> AuditSpec:
    asked = Metric(metric, ("a", "x"), "neither", ("difference",), True)
    reference = {"race": "B"} if "race" in columns else {}
    given: dict[str, Any] = {"columns": tuple(columns), "adjust": ("age", "gender"), "reference": reference, **groups}
    return AuditSpec(name="s", labels=LABELS, metrics=(asked,), groups=Groups(**given))


def frame(n: int = 6000, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    race = random.choice(["A", "B", "C"], size=n, p=[0.3, 0.5, 0.2])
    old = random.random(n) < np.where(race == "A", 0.7, 0.3)  # the first group is older
    gender = random.choice(["Female", "Male"], size=n)
    return pd.DataFrame({"race": race, "age": np.where(old, "old", "young"), "gender": gender})


def found_of(
    asked: AuditSpec, data: pd.DataFrame, given: np.ndarray, cosines: np.ndarray | None = None
) -> pd.DataFrame:
    """The composition of pictures that were given "a" or "b"."""
    vectors = np.stack([given, 1 - given], axis=1).astype(np.float32) if cosines is None else cosines
    one = Scored(Wording(WRITTEN, "written", LABELS, ("{}",)), vectors, (1 - given).astype(np.int16), 10.0)
    groups = groupings(data, asked)
    tallies = [tally(Pictures(one), group, asked, asked.metrics[0]) for group in groups]
    return composition(asked, [one], groups, data, adjusted(rows(asked, tallies)))


def test_equals_plain_loops_and_statsmodels() -> None:
    data = frame()
    random = np.random.default_rng(1)
    given = (random.random(len(data)) < 0.1 + 0.2 * (data["age"] == "old") + 0.05 * (data["race"] == "A")).to_numpy(int)
    found = found_of(spec(), data, given)
    assert found[["name", "group", "reference"]].to_numpy().tolist() == [
        ["a", "A", "B"], ["a", "C", "B"], ["x", "A", "B"], ["x", "C", "B"],
    ]  # fmt: skip
    row = found.iloc[0]
    a = b = 0.0
    tables = []
    for _, part in data.groupby(["age", "gender"]):
        weight = len(part) / len(data)
        own = [given[part.index[part["race"] == race]] for race in "AB"]
        a, b = a + weight * own[0].mean(), b + weight * own[1].mean()
        tables.append([[one.sum(), (1 - one).sum()] for one in own])
    assert row["adjusted"] == pytest.approx(a - b)
    top = bottom = 0.0
    for (k, miss), (k0, miss0) in tables:
        n, n0 = k + miss, k0 + miss0
        top, bottom = top + (k * n0 - k0 * n) / (n + n0), bottom + n * n0 / (n + n0)
    assert row["mh"] == pytest.approx(top / bottom)
    odds = StratifiedTable([np.array(t) for t in tables])
    assert row["mh_p"] == pytest.approx(odds.test_null_odds(correction=False).pvalue)
    assert row["adjusted_low"] < row["adjusted"] < row["adjusted_high"]
    share = [given[data["race"] == race].mean() for race in "AB"]
    assert row["crude"] == pytest.approx(share[0] - share[1])
    assert (row["strata"], row["small_strata"]) == (4, "")


def test_a_gap_of_composition_alone_is_said_to_be_one() -> None:
    data = frame()
    given = (np.random.default_rng(2).random(len(data)) < np.where(data["age"] == "old", 0.4, 0.05)).astype(int)
    row = found_of(spec(), data, given).iloc[0]
    assert row["crude_low"] > 0.05
    assert row["adjusted_low"] < 0 < row["adjusted_high"]
    assert row["disagree"] and "not found any more at equal age and gender" in row["note"]
    assert row["mh_p"] > 0.01


def test_a_gap_that_composition_hides_or_turns_is_said_too() -> None:
    data = frame()
    random = np.random.default_rng(3)
    own = (data["race"] == "A").to_numpy()
    old = (data["age"] == "old").to_numpy()
    hidden = (random.random(len(data)) < 0.1 + 0.3 * old - 0.12 * own + 0.02).astype(int)
    turned = (random.random(len(data)) < 0.12 + 0.5 * old - 0.1 * own).astype(int)
    notes = [found_of(spec(), data, given).iloc[0] for given in (hidden, turned)]
    assert notes[0]["disagree"] and "appears" in notes[0]["note"]
    assert notes[1]["disagree"] and "turns its sign" in notes[1]["note"]


def test_a_groups_own_column_is_no_stratum() -> None:
    data = frame()
    given = (np.arange(len(data)) % 7 == 0).astype(int)
    derived = {"elders": Derived("age", {"old": "yes", "young": "no"})}
    asked = spec(("race", "age", "elders"), crossings=(("race", "age"),), derived=derived)
    found = found_of(asked, data, given).groupby("by")["strata"].first()
    assert found.to_dict() == {"race": 4, "age": 2, "elders": 2, "race x age": 2}
    alone = found_of(spec(("age",), adjust=("age",)), data, given).iloc[0]
    assert np.isnan(alone["adjusted"]) and "no other column" in alone["note"]
    assert np.isfinite(alone["crude"])


def test_strata_that_are_too_small_are_left_out_and_listed() -> None:
    data = frame(3000)
    data.loc[(data["race"] == "A") & (data["age"] == "old") & (data["gender"] == "Male"), "age"] = "young"
    data.loc[data.index[(data["race"] == "A") & (data["age"] == "young")][:4], ["age", "gender"]] = ["old", "Male"]
    given = (np.arange(len(data)) % 7 == 0).astype(int)
    row = found_of(spec(), data, given).iloc[0]
    others = ((data["race"] == "B") & (data["age"] == "old") & (data["gender"] == "Male")).sum()
    assert row["small_strata"] == f"old, Male (4 against {others})"
    assert row["strata"] == 3
    assert "are in strata that are too small" in row["note"]
    nothing = found_of(spec(), data.iloc[:40], given[:40])
    assert nothing["adjusted"].isna().any()


def test_labels_in_error_shrink_the_gap() -> None:
    data = frame()
    given = ((data["race"] == "A").to_numpy() & (np.arange(len(data)) % 2 == 0)).astype(int)
    row = found_of(spec(), data, given).iloc[0]
    n = [(data["race"] == race).sum() for race in "AB"]
    share = given[data["race"] == "A"].mean()
    left = [
        (1 - e) * n[0] * share / ((1 - e) * n[0] + e * n[1]) - e * n[0] * share / ((1 - e) * n[1] + e * n[0])
        for e in (0.05, 0.1)
    ]
    assert [row["moved_5"], row["moved_10"]] == pytest.approx([one - share for one in left])
    assert row["moved_10"] < row["moved_5"] < 0


def test_mean_probabilities_are_standardised_too() -> None:
    data = frame()
    random = np.random.default_rng(4)
    old = (data["age"] == "old").to_numpy()
    cosines = np.stack([0.1 * old + 0.05 * random.normal(size=len(data)), np.zeros(len(data))], axis=1).astype(
        np.float32
    )
    asked = spec(metric="mean_probability")
    row = found_of(asked, data, (cosines[:, 0] > 0).astype(int), cosines).iloc[0]
    p = 1 / (1 + np.exp(-10.0 * cosines[:, 0].astype(float)))
    a = b = 0.0
    for _, part in data.groupby(["age", "gender"]):
        own = [p[part.index[part["race"] == race]].mean() for race in "AB"]
        a, b = a + len(part) / len(data) * own[0], b + len(part) / len(data) * own[1]
    assert row["adjusted"] == pytest.approx(a - b)
    assert row["disagree"] and np.isnan(row["mh"])
    sides = [p[data["race"] == race] for race in "AB"]
    low, high = mean_difference_limits(*(f(x) for x in sides for f in (np.mean, lambda v: v.var(ddof=1), len)))
    assert (row["crude_low"], row["crude_high"]) == pytest.approx((low, high), rel=2e-3)  # beside one unseen event
    assert row["adjusted_high"] - row["adjusted_low"] < 1.2 * (high - low)


def test_where_persons_have_several_pictures_equal_composition_has_no_interval() -> None:
    data = frame()
    given = (np.random.default_rng(5).random(len(data)) < 0.3).astype(int)
    row, alone = (found_of(asked, data, given).iloc[0] for asked in (spec(person="who"), spec()))
    assert row["adjusted"] == alone["adjusted"] and row["mh"] == alone["mh"]
    assert np.isnan([row[name] for name in ("adjusted_low", "adjusted_high", "mh_low", "mh_high", "mh_p")]).all()
    assert "several pictures" in row["note"] and not row["disagree"]
