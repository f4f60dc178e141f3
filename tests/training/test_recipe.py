from pathlib import Path

import pytest

from clipviz.errors import SpecError
from clipviz.training import Recipe, read_recipe

TINY = Path(__file__).parents[2] / "train" / "tiny.toml"


def test_the_recipe_of_clipviz_tiny_is_read():
    recipe = read_recipe(TINY)
    assert recipe.name == "clipviz-tiny"
    assert recipe.model.image_size // recipe.model.patch_size == 7
    assert recipe.steps == recipe.optim.samples // recipe.optim.batch > 1000


def test_a_recipe_comes_back_from_its_dictionary():
    recipe = read_recipe(TINY)
    assert read_recipe(recipe.to_dict()) == recipe
    assert read_recipe({}) == Recipe()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"nmae": "x"}, "'name'"),
        ({"optim": {"learning_rat": 1e-3}}, "'learning_rate'"),
        ({"model": {"widht": 64}}, "'width'"),
        ({"optim": {"batch": "64"}}, "like its default, 64"),
        ({"optim": {"batch": True}}, "like its default, 64"),
        ({"optim": {"betas": [0.9]}}, r"like its default, \(0.9, 0.98\)"),
        ({"optim": 3}, r"\[optim\]"),
        ({"data": {"level": "hrad"}}, "'hard'"),
        ({"data": {"easy_share": 0.5}}, "easy_scenes"),
        ({"data": {"templates": []}}, "templates is empty"),
        ({"model": {"patch_size": 9}}, "multiple of patch_size"),
        ({"optim": {"keep_patches": 0.0}}, "keep_patches"),
        ({"optim": {"keep_patches": 0.5, "local_weight": 1.0}}, "local_weight"),
        ({"optim": {"samples": 3}}, "at least one batch"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_that_helps(content, told):
    with pytest.raises(SpecError, match=told):
        read_recipe(content)


def test_a_file_that_is_no_recipe(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        read_recipe(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(SpecError, match="no TOML"):
        read_recipe(tmp_path / "broken.toml")
