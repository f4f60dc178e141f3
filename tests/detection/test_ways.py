"""The ways to find boxes, with an explainer whose answer is known: the brightness of each cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clipviz
from clipviz.detection import BoxPrior, detect
from clipviz.detection.ways import METHODS, told, way_of
from clipviz.errors import InputError, ModelError
from clipviz.explanation.registry import _REGISTRY
from clipviz.model import Model


@pytest.fixture(scope="module", autouse=True)
def bright() -> Iterator[None]:
    """An explainer of a third party: how bright each patch is, whatever the text."""

    def function(model: Model, look: Any, target: Any) -> Any:
        pixels = look.pixels.mean(dim=1, keepdim=True)
        cells = pixels.unfold(2, 8, 8).unfold(3, 8, 8).mean(dim=(-1, -2))
        return cells.expand(-1, len(target.directions), -1, -1)

    clipviz.register_explainer("bright", function, needs="vit")
    clipviz.register_explainer("broken", lambda m, k, t: function(m, k, t) * float("nan"), needs="vit")
    yield
    del _REGISTRY["bright"], _REGISTRY["broken"]


def planted(width: int, height: int) -> tuple[Image.Image, np.ndarray]:
    """A white rectangle on black, as large as half of each side, left and above the middle."""
    box = np.array([width // 8, height // 4, width // 8 + width // 2, height // 4 + height // 2])
    picture = Image.new("RGB", (width, height))
    picture.paste("white", tuple(box.tolist()))
    return picture, box


@pytest.mark.parametrize("size", [(8, 8), (9, 30), (64, 64), (60, 44), (200, 40), (50, 300), (6000, 4000)])
def test_what_was_planted_comes_back_within_a_patch(vit: Model, size: tuple[int, int]) -> None:
    picture, box = planted(*size)
    patch = min(size) / 4  # of the coarsest size, whose say is as large as that of the finest
    nearest = []
    for shown in (picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
        found = detect(shown, ["it"], model=vit, explainer="bright", rescore=0, threshold=-2, most=64).table
        boxes = found[found["evidence"] == "map"][["x0", "y0", "x1", "y1"]].to_numpy()  # not of one square's part
        if shown is not picture:
            boxes = np.stack([size[0] - boxes[:, 2], boxes[:, 1], size[0] - boxes[:, 0], boxes[:, 3]], axis=1)
        off = np.abs(boxes - box).max(axis=1)
        assert off.min() <= patch, boxes
        nearest.append(boxes[off.argmin()])
    assert np.abs(nearest[0] - nearest[1]).max() <= patch / 4, "a flipped picture has flipped boxes"


def test_memory_is_that_of_a_few_squares(vit: Model) -> None:
    """A large picture comes to the network in parts; what it takes in all, ``benchmarks/detect_memory.py`` measures."""
    parts: list[int] = []

    def counting(model: Model, look: Any, target: Any) -> Any:
        parts.append(len(look.pixels))
        return _REGISTRY["bright"].function(model, look, target)

    clipviz.register_explainer("counting", counting, needs="vit")
    try:
        detect(planted(300, 200)[0], ["it"], model=vit, explainer="counting", smallest=16)
    finally:
        del _REGISTRY["counting"]
    assert max(parts) <= 16 < sum(parts) / 3


def test_scores_that_are_no_numbers(vit: Model, picture: Image.Image) -> None:
    with pytest.raises(InputError, match="'broken' gave NaN or infinite scores"):
        detect(picture, ["it"], model=vit, explainer="broken")


def test_a_prior_is_named_and_stands_apart(vit: Model) -> None:
    picture, _ = planted(64, 64)
    prior = BoxPrior.fit([[32, 32, 64, 64]] * 3, (64, 64), "lower right")
    given = {"model": vit, "explainer": "bright", "threshold": -2, "per_label": 1}
    without, found = detect(picture, ["it"], **given), detect(picture, ["it"], prior=prior, **given)
    assert without.provenance["prior"] is None and found.provenance["prior"] == prior.provenance
    assert found.table.iloc[0]["evidence"] == "map and prior"
    assert found.table.iloc[0]["x0"] > without.table.iloc[0]["x0"], "it is drawn to where things were"


@pytest.mark.parametrize("method", [*METHODS])
def test_every_network(vit: Model, resnet: Model, other: Model, picture: Image.Image, method: str) -> None:
    small = {"grid": {"cells": 2, "sizes": 1}, "windows": {"shares": 0.6}, "patches": {}}[method]
    for model in (vit, resnet, other):
        if (model is other and method == "patches") or (model is resnet and method == "windows"):
            continue  # refused below; and a small ResNet has windows in test_windows.py
        found = detect(picture, ["a dog", "a cat"], model=model, method=method, threshold=-2, **small)
        assert set(found.table["label"]) == {"a dog", "a cat"} and found.method == method
        assert found.explain(0).values.ndim == 2, "a map lies behind every box"


def test_no_patches_is_refused_by_name(other: Model, picture: Image.Image) -> None:
    for options in ({}, {"explainer": "occlusion"}):
        with pytest.raises(ModelError, match=r"small-other shows no patches.*take method='grid'"):
            detect(picture, ["a dog"], model=other, **options)


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("patchs", {}, "Did you mean 'patches'"),
        ("patches", {"explaner": "maskclip"}, "Did you mean 'explainer'"),
        ("grid", {"smallest": 3}, "method='grid' takes no option 'smallest'"),
        ("patches", {"explainer": "maskclp"}, "Did you mean 'maskclip'"),
        ("patches", {"explainer": ["maskclip"]}, "one name"),
        ("patches", {"explainer_options": 5}, "no options by name"),
        ("patches", {"offsets": "ab"}, "pass some such as"),
        ("patches", {"offsets": ()}, "pass some such as"),
        ("patches", {"rescore": -1}, "pass 0 for none"),
        ("patches", {"smallest": "a"}, "a number above 0"),
        ("patches", {"most": 1.5}, "whole number of 1 or more"),
        ("patches", {"most": 1}, "give a larger most="),
        ("windows", {"most": 0}, "whole number of 1 or more"),
        ("windows", {"prior": BoxPrior(np.ones(1296), 1)}, "take method='patches'"),
        ("grid", {"prior": BoxPrior(np.ones(1296), 1)}, "take method='patches'"),
        ("patches", {"prior": "prior.json"}, r"take BoxPrior\.fit"),
    ],
)
def test_options_that_are_none(vit: Model, picture: Image.Image, method: str, options: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        detect(picture, ["it"], model=vit, method=method, **options)


def test_what_was_used_is_told(vit: Model) -> None:
    used = told(way_of(None, {}), vit, {"smallest": 4})
    assert used["explainer"] == "'head_decomposition'" and used["smallest"] == "4" and "None" not in used["offsets"]
    assert set(told(way_of("grid", {}), vit, {})) == {"cells", "sizes"}
