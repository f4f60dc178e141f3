"""The audit finds a bias that was planted in a real model with real faces; all nine models are in the benchmark."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

import clipviz

ROOT = Path(__file__).parents[2]
SAMPLES = 10_000  # a quarter of the recipe's: the gap is there, and a test is not kept waiting


@pytest.fixture(scope="module")
def script():
    path = ROOT / "benchmarks" / "planted_bias.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(ROOT / "docs" / "planted_bias.csv")


@pytest.mark.slow
def test_a_planted_bias_is_found(script, shared, tmp_path_factory):
    """Trained here where the benchmark left no model: four women in five are called a nurse, one man in five."""
    faces, val = (shared / "data" / "fairface" / f"{name}-00.parquet" for name in ("train", "val"))
    kept = ROOT / "out" / "planted_bias" / "80-20-seed-0" / "model"
    model = kept if kept.is_dir() else script.model_of(80, 0, tmp_path_factory.mktemp("bias"), faces, SAMPLES)
    assert clipviz.load(model).unseen("a photo of a nurse, a doctor") == []
    assert {"nurse", "doctor"} <= set(json.loads((model / "card.json").read_text(encoding="utf-8"))["training_classes"])
    probability, argmax = script.audited(model, val, variants=False)
    assert 0.1 < probability["ci_low"] < probability["gap"] < 0.6, "no more than was planted, and much of it"
    assert probability["verdict"] == argmax["verdict"] == "found" and argmax["ci_low"] > 0.3
    assert set(probability["words"].split("; ")) == {"seen in training"}


def test_every_face_has_both_captions_in_the_stated_proportion(script, shared):
    """Counted over the pictures that the trainer would show, caption by caption: exact, face by face."""
    from clipviz.training.captions import Captions, Concepts
    from clipviz.training.pictures import Stored
    from clipviz.training.plan import Plan

    faces = shared / "data" / "fairface" / "train-00.parquet"
    for share, laps in ((80, (8, 2)), (60, (6, 4)), (50, (5, 5))):
        recipe = script.recipe_of(share, 0, faces)
        stored, concepts = Stored(recipe.data.sources[0]), Concepts()
        captions = [Captions(source, stored.rows, concepts) for source in recipe.data.sources]
        assert set(concepts.numbers) == {"a photo of a doctor.", "a photo of a nurse."}
        nurse = concepts.numbers["a photo of a nurse."]
        plan = Plan(recipe, [len(stored)] * 2)
        assert plan.counts.sum(axis=0).tolist() == [lap * len(stored) for lap in laps]
        women = [row[0]["gender"] == "Female" for row in stored.rows]
        with_it, against = (one.own[:, 0] for one in captions)
        assert [number == nurse for number in with_it] == women and (with_it + against == 1).all()


def test_the_committed_table_holds_what_the_readme_says(script, table):
    assert len(table) == len(script.SHARES) * len(script.SEEDS) * len(script.FIGURES)
    assert (table["faces"] == 3000).all() and set(table["words"]) == {"seen in training; seen in training"}
    for sentence, held in script.judged(table):
        assert held, sentence


def test_the_readme_and_the_docs_have_the_table(script, table):
    for page in ("README.md", "docs/auditing.md"):
        assert script.markdown(table) in (ROOT / page).read_text(encoding="utf-8"), page


def test_a_check_that_does_not_hold_is_told(script, table):
    """The rivals: an audit that always says 0.1, one that finds nothing, and one that has the sign wrong."""

    def held(changed):
        return [yes for _, yes in script.judged(changed)]

    assert all(held(table)) and len(held(table)) == 6
    assert not held(table.assign(gap=0.1))[0]
    assert not held(table.assign(verdict="not found"))[5]
    wrong = held(table.assign(gap=-table["gap"]))
    assert not wrong[1] and not wrong[3]
