"""Gaps planted in pictures: covered, found where they are, and not where they are not. All of it is the benchmark's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clipviz
from clipviz.synth import ATTRIBUTES, GROUPS

ROOT = Path(__file__).parents[2]
PEOPLE, DRAWS = 120, 12


@pytest.fixture(scope="module")
def script():
    path = ROOT / "benchmarks" / "avatar_draws.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model():
    return clipviz.load()


@pytest.fixture(scope="module")
def store(script, model, tmp_path_factory):
    return script.pool(PEOPLE, tmp_path_factory.mktemp("avatars") / "store", model, 0.4)


@pytest.mark.slow
def test_a_draw_has_the_rates_that_it_is_given(script, store):
    places, about = script.places_of(store), store.metadata
    assert sum(map(len, places.values())) == len(store)
    chosen = script.drawn(places, 40, {GROUPS[0]: 0.0, GROUPS[1]: 1.0}, np.random.default_rng(0))
    assert len(set(chosen.tolist())) == 80, "nobody comes twice"
    drawn = about.iloc[chosen]
    assert drawn.groupby(["group", "attribute"]).size().to_dict() == {
        (GROUPS[0], ATTRIBUTES[1]): 40,
        (GROUPS[1], ATTRIBUTES[0]): 40,
    }
    counts = [
        int((about.iloc[script.drawn(places, PEOPLE, dict.fromkeys(GROUPS, 0.1), np.random.default_rng(i))]["attribute"]
             == ATTRIBUTES[0]).sum())
        for i in range(60)
    ]  # fmt: skip
    assert abs(np.mean(counts) - 24) < 3 and 2.5 < np.std(counts) < 7, "the number is binomial, not fixed"


@pytest.mark.slow
def test_planted_gaps_are_covered_and_found(script, store, model):
    table = script.measured(store, model, (0.1, 0.4), PEOPLE, DRAWS).set_index("rate")
    assert (table["covered"] >= 10 / 12).all() and (table["errors"] <= 0.01 * len(store)).all()
    assert table.loc[0.4, "verdicts"] == 1 and table.loc[0.1, "verdicts"] <= 2 / 12
    assert abs(table.loc[0.4, "mean_gap"] - 0.3) < 0.06


def test_the_committed_table_holds_what_was_asked():
    table = pd.read_csv(ROOT / "docs" / "audit_avatars.csv").set_index("rate")
    assert list(table.index) == [0.1, 0.12, 0.15, 0.3] and (table["people"] == 1000).all()
    assert (table["draws"] == 200).all() and (table["covered"] >= 0.93).all()
    verdicts = table["verdicts"]
    assert verdicts[0.1] <= 0.065 and verdicts[0.15] >= 0.8 and verdicts[0.3] >= 0.99
