import tomllib
from pathlib import Path

import pytest

from clipviz.errors import SpecError
from clipviz.training import Recipe, read_recipe

TINY = Path(__file__).parents[2] / "train" / "tiny.toml"
DATA = {"sources": [{"kind": "scenes", "n": 64, "caption": "caption"}]}


def test_the_recipe_of_clipviz_tiny_is_read():
    recipe = read_recipe(TINY)
    assert recipe.name == "clipviz-tiny"
    assert recipe.model.image_size // recipe.model.patch_size == 7
    assert recipe.steps == recipe.optim.samples // recipe.optim.batch > 1000
    assert {s.kind for s in recipe.data.sources} == {"pictures", "scenes", "avatars"}


def test_a_recipe_comes_back_from_its_dictionary():
    recipe = read_recipe(TINY)
    assert read_recipe(recipe.to_dict()) == recipe
    assert read_recipe({"data": DATA}) != Recipe()


def test_no_word_of_race_is_said():
    races = {"White", "Black", "Latino", "Hispanic", "Indian", "Asian", "Middle Eastern", "race"}
    faces = next(s for s in read_recipe(TINY).data.sources if s.name == "faces")
    said = str([c.templates for c in faces.captions]) + str(faces.names)
    assert not [race for race in races if race.lower() in said.lower()]


def source(**changes):
    return {"data": {"sources": [{"kind": "scenes", "n": 64, "caption": "caption", **changes}]}}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "no data"),
        ({"nmae": "x"}, "'name'"),
        ({"optim": {"learning_rat": 1e-3}}, "'learning_rate'"),
        ({"model": {"widht": 64}}, "'width'"),
        ({"optim": {"batch": "64"}}, "'optim.batch' is '64', and must be of type int"),
        ({"optim": {"batch": True}}, "must be of type int"),
        ({"model": {"frozen": "visual"}}, "must be of type"),
        ({"model": {"frozen": ["visul"]}}, "'visual'"),
        ({"optim": 3}, "must be a table"),
        ({"model": {"architecture": "ViT-B-23"}}, "'ViT-B-32'"),
        ({"model": {"architecture": "RN50", "start": "convolution"}}, "leave one out"),
        ({"model": {"patch_size": 9}}, "multiple of patch_size"),
        ({"memory": {"precision": "bf16"}}, "'bfloat16'"),
        ({"loss": {"texts": "all"}}, "multi_positive"),
        ({"optim": {"keep_patches": 0.0}}, "keep_patches"),
        ({"optim": {"samples": 3}}, "at least one batch"),
        ({"optim": {"batch": 1}}, "loss of a picture alone is zero"),
        ({"optim": {"samples": 640, "warm_up": 10}}, "shorter than its warm-up"),
        ({"memory": {"micro_batch": 65}}, "micro_batch"),
        ({"keep": {"last": 0}}, "keep.last"),
        (source(level="hrad"), "'hard'"),
        (source(kind="scens"), "'scenes'"),
        (source(n=0), "n = 1000"),
        (source(caption=""), "and not both"),
        (source(captions=[{"templates": ["{colour}"]}]), "and not both"),
        (source(caption="", captions=[{"templates": []}]), "needs templates"),
        (source(crop=[0.9, 0.5]), "rising"),
        (source(crop=[0.9]), "must be of type"),
        (source(weigth=2), "'weight'"),
        (source(path="pictures/"), "is not used"),
        ({"model": {"architecture": "RN50", "width": 64}}, "'RN50' brings the shape"),
        ({"optim": {"lr": 1e-3}}, "'learning_rate'"),
        (source(weight=float("nan")), "finite"),
        ({"optim": {"clip_norm": -1}}, "clip_norm"),
        ({"optim": {"beta2": 1.5}}, "beta2"),
        ({"optim": {"warm_up": float("inf")}}, "finite"),
        ({"model": {"patch_size": 0}}, "1 or more"),
        ({"model": {"layers": 0}}, "1 or more"),
        ({"loss": {"local_weight": -1.0}}, "local_weight"),
        ({"data": {**DATA, "workers": -1}}, "data.workers=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"data": {"sources": DATA["sources"] * 2}}, "name of its own"),
        ({"data": {**DATA, "dev": DATA["sources"]}}, "another draw_seed"),
        ({"data": {"sources": [{"caption": "text"}]}}, "needs a path"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(content, told):
    content = {"data": DATA, **content} if content else {}
    with pytest.raises(SpecError, match=told.replace(".", r"\.")):
        read_recipe(content)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(SpecError, match="is no TOML"):
        read_recipe(tmp_path / "bad.toml")


def test_changes_replace_what_a_file_says():
    changes = ["optim.learning_rate=3e-4", "name=mine", "data.sources.2.weight=2", "optim.samples = 25600"]
    recipe = read_recipe(TINY, changes)
    assert recipe.optim.learning_rate == 3e-4 and recipe.name == "mine"
    assert recipe.data.sources[2].weight == 2.0 and recipe.steps == 100
    kept = tomllib.loads(TINY.read_text())
    assert read_recipe(kept, changes) == recipe and kept == tomllib.loads(TINY.read_text())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("optim.learning_rate", "key=value"),
        ("optim.learning_rat=1", "'learning_rate'"),
        ("data.sources.9.weight=1", "there are 5"),
        ("data.sources.0=1", "name the key"),
        ("seed.x=1", "holds no keys"),
    ],
)
def test_a_wrong_change_is_refused(change, told):
    with pytest.raises(SpecError, match=told):
        read_recipe(TINY, [change])
