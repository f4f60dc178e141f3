"""The model that ships: its card is of these weights, its figures are of its card, and it points at what is named."""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import pytest

import clipviz
from clipviz import assets
from clipviz.synth import pairs
from clipviz.training import read_recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder():
    return assets.folder("clipviz-tiny")


@pytest.fixture(scope="module")
def card(folder):
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def script(path):
    sys.path.insert(0, str(path.parent))  # as when it is run: benchmarks import one another
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(path.parent))


@pytest.fixture(scope="module")
def scores():
    return script(ROOT / "benchmarks" / "tiny_scores.py")


def test_the_card_is_that_of_the_weights(folder, card):
    weights = folder / "open_clip_model.safetensors"
    assert card["weights_file_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert weights.stat().st_size <= 12_000_000


def test_the_card_is_that_of_the_recipe(card):
    assert read_recipe(card["recipe"]) == read_recipe(ROOT / "train" / "tiny.toml")
    assert set(card["held_out_pairs"]) == {" ".join(pair) for pair in pairs("unseen")}
    assert card["samples_seen"] >= 0.99 * card["recipe"]["optim"]["samples"]
    assert {"Egyptian cat", "man", "woman", "stethoscope", "tie", "red", "circle"} <= set(card["training_classes"])


def test_the_page_of_the_card_says_what_the_card_says(folder, card):
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert page == script(ROOT / "scripts" / "tiny_card.py").page(card)
    assert card["weights_file_sha256"] in page and "seen in training" in page


def test_the_card_reaches_the_targets(card):
    """The figures of the `report` halves and of fresh drawings, as they were measured."""
    ours = card["scores"]["clipviz-tiny"]
    assert ours["classes, one prompt"]["n"] > 2_500 and ours["classes, one prompt"]["top-1"] >= 0.22
    assert ours["gender"]["n"] > 1_400 and ours["gender"]["top-1"] >= 0.76
    assert ours["attribute"]["n"] >= 1_000 and ours["attribute"]["top-1"] >= 0.99
    assert card["scores"]["scenes"] >= 500
    assert card["scores"]["pointing"]["seen"]["named text"] >= 0.55


def test_the_model_points_and_random_weights_do_not(scores):
    """On 200 scenes that the card's figures are not of."""
    found = scores.pointing(clipviz.load(), 200, seed=777_001)["all"]
    print(found)
    assert found["named text"] >= 0.45
    for rival in scores.COLUMNS[1:]:
        assert found[rival] < 0.25, rival


def test_the_model_tells_attributes_of_fresh_avatars(scores):
    assert scores.attribute(clipviz.load(), 200)["top-1"] >= 0.97


@pytest.mark.slow
def test_the_card_is_what_the_evaluation_finds(scores, card, shared):
    model, ours = clipviz.load(), card["scores"]["clipviz-tiny"]
    found = scores.photographs(model, shared, templates=["a photo of a {}."], synonyms="first")
    assert found == pytest.approx(ours["classes, one prompt"], abs=0.002)
    assert scores.gender(model, shared) == pytest.approx(ours["gender"], abs=0.002)


def test_it_knows_which_words_it_never_saw():
    model = clipviz.load()
    assert model.grid == (7, 7) and model.image_size == 56
    assert model.unseen("a red circle") == []
    assert model.unseen("a nurse") == ["nurse"]
