"""The consensus: the mean of standardised maps, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import clipviz
from clipviz.errors import InputError
from clipviz.explanation.methods.consensus import MEMBERS, _consensus
from clipviz.explanation.registry import _REGISTRY, list_explainers, register_explainer
from clipviz.explanation.target import Target
from clipviz.model import Model

TEXTS = ["a red circle", "the forest"]


def test_is_the_mean_of_the_standardised_maps(model: Model, picture: Image.Image) -> None:
    wanted = []
    for name, options in MEMBERS[model.kind]:
        maps = clipviz.explain([picture], TEXTS, model=model, method=name, **options).values[0]
        wanted.append((maps - maps.mean(axis=(1, 2), keepdims=True)) / maps.std(axis=(1, 2), keepdims=True))
    found = clipviz.explain([picture], TEXTS, model=model, method="consensus")
    np.testing.assert_allclose(found.values[0], np.mean(wanted, axis=0), atol=1e-4)
    assert len(found[0, 0].details["of"]) == len(MEMBERS[model.kind])
    assert found[0, 0].details["flat"] == []


def test_one_of_each_family_that_asks_the_text(model: Model) -> None:
    table = list_explainers(model).set_index("name")
    rows = table.loc[[name for name, _ in MEMBERS[model.kind]]]
    assert rows["family"].is_unique
    assert rows["uses_text"].all()


def test_a_flat_member_has_no_say(vit: Model, picture: Image.Image) -> None:
    register_explainer("flat", lambda model, look, target: torch.ones(len(look.pixels), len(target), *model.grid))
    try:
        found = clipviz.explain([picture], TEXTS[:1], model=vit, method="consensus", of=["flat", "gradcam"])[0, 0]
        alone = clipviz.gradcam(picture, TEXTS[0], model=vit).values
        assert np.corrcoef(found.values.ravel(), alone.ravel())[0, 1] == pytest.approx(1)
        assert found.details["flat"] == ["flat"]
        both = clipviz.explain([picture], TEXTS[:1], model=vit, method="consensus", of=["flat", "flat"])[0, 0]
        assert both.constant
    finally:
        _REGISTRY.pop("flat")


def test_what_rounding_left_never_becomes_a_map(model: Model, picture: Image.Image) -> None:
    look, texts = model.look(picture), torch.from_numpy(model.encode_texts(TEXTS[:1]))
    noise = torch.randn(texts.shape, generator=torch.Generator().manual_seed(0))
    of = MEMBERS[model.kind]
    for size, flat in ((1e-9, [name for name, _ in of]), (1e-2, [])):
        target = Target(texts, texts + size * noise, ("a",), ("b",))
        found = _consensus(model, look, target)
        assert found.details[0]["flat"] == flat and bool(found.maps.any()) == (not flat)


def test_says_what_zero_is(model: Model, picture: Image.Image) -> None:
    found = clipviz.explain([picture], TEXTS[:1], model=model, method="consensus")[0, 0]
    assert "Zero in a map of consensus is the map's own mean." in found.notes


def test_tiles_are_standardised_together(vit: Model) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 160, 3), dtype=np.uint8)
    tiled = clipviz.explain([noise], TEXTS[:1], model=vit, method="consensus", view="tiles")[0, 0]
    assert tiled.values.shape[1] > vit.grid[1]
    assert abs(tiled.values.mean()) < 0.5


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (["gradcam"], "two methods or more"),
        (["gradcam", "rollout"], "'rollout' does not ask the text"),
        (["gradcam", "consensus"], "'consensus' does not ask the text"),
        (["gradcam", "gradcm"], "gradcam"),
        ("gradcam,legrad", "no list of methods"),
        (3, "no list of methods"),
        ([("gradcam",), "legrad"], r"a pair such as .* got \('gradcam',\)"),
        (["gradcam", ("legrad", {"strat": 0})], "no option 'strat'.*start"),
    ],
)
def test_bad_members(vit: Model, picture: Image.Image, of: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        clipviz.explain([picture], TEXTS, model=vit, method="consensus", of=of)
