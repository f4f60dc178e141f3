"""`gradcam` and `explain` as people call them: kinds of input, views, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import clipviz
from clipviz.errors import ClipvizError, ClipvizWarning, InputError, ModelError, PromptError
from clipviz.explanation.registry import _REGISTRY
from clipviz.explanation.target import Target
from clipviz.model import Look, Model


@pytest.mark.parametrize("view", ["crop", "pad", "squash", "tiles"])
def test_views_are_recorded_and_cover_what_they_say(model: Model, picture: Image.Image, view: str) -> None:
    heatmap = clipviz.gradcam(picture, "a dog", model=model, view=view)
    on_image = heatmap.on_image()
    assert heatmap.frame.view == heatmap.provenance["view"] == view
    assert on_image.shape == (90, 140)
    assert on_image.dtype == heatmap.values.dtype == np.float32
    x0, _, x1, _ = heatmap.frame.seen
    assert np.isnan(on_image).any() == (view == "crop")
    assert (x1 - x0 < 140) == (view == "crop")
    x, y = heatmap.peak()
    assert on_image[y, x] == np.nanmax(on_image)


def test_tiles_see_a_long_picture_whole(model: Model) -> None:
    long = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 200, 3), dtype=np.uint8))
    heatmap = clipviz.gradcam(long, "a dog", model=model, view="tiles")
    assert len(heatmap.frame.tiles) >= 3
    assert heatmap.values.shape[0] == model.grid[0]
    assert heatmap.values.shape[1] > 2 * model.grid[1]
    assert not np.isnan(heatmap.on_image()).any()


def test_what_an_image_and_a_text_may_be(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a picture.png"
    picture.save(path)
    want = clipviz.gradcam(picture, "숲", model=vit).values
    array = np.array(picture)
    kinds = [path, str(path), path.read_bytes(), array, array / 255.0, torch.from_numpy(array).permute(2, 0, 1)]
    for image in kinds:
        got = clipviz.gradcam(image, "숲", model=vit).values
        np.testing.assert_allclose(got, want, atol=1e-6 * np.abs(want).max())
    alone = [
        path,
        str(path),
        path.read_bytes(),
        bytearray(path.read_bytes()),
        picture,
        array,
        io.BytesIO(path.read_bytes()),
    ]
    for image in alone:  # one image alone is a list of one
        assert len(clipviz.explain(image, "a dog", model=vit)) == 1
    assert len(clipviz.explain(np.stack([array] * 3), "a dog", model=vit)) == 3


def test_a_source_brings_ids_and_lists_what_is_damaged(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        picture.save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no picture")
    found = clipviz.explain(clipviz.open_source(tmp_path), ["a dog"], model=vit)
    assert found.ids == ("a.png", "b.png")
    assert [name for name, _ in found.failed] == ["c.png"]
    assert set(found.to_pandas()["image"]) == {"a.png", "b.png"}


def test_a_damaged_picture_stops_gradcam_but_not_explain(vit: Model, picture: Image.Image) -> None:
    found = clipviz.explain([picture, b"no picture"], ["a dog"], model=vit)
    assert len(found) == 1
    assert found.failed[0][0] == 1
    assert found.failed[0][1]
    with pytest.raises(InputError):
        clipviz.gradcam(b"no picture", "a dog", model=vit)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda p, m: clipviz.gradcam(p, "", model=m), PromptError, "empty"),
        (lambda p, m: clipviz.gradcam(p, "  \n", model=m), PromptError, "blank"),
        (lambda p, m: clipviz.gradcam(p, ["a", "b"], model=m), PromptError, "explain"),
        (lambda p, m: clipviz.gradcam([p, p], "a", model=m), InputError, "explain"),
        (lambda p, m: clipviz.gradcam("nowhere.png", "a", model=m), InputError, "nowhere.png"),
        (lambda p, m: clipviz.gradcam(p, "a", model=m, view="corp"), InputError, "crop"),
        (lambda p, m: clipviz.gradcam(p, "a", model=m, against="a"), PromptError, "against itself"),
        (lambda p, m: clipviz.gradcam(p, "dog " * 30, model=m, strict=True), PromptError, "30 tokens and .* reads 14"),
        (lambda p, m: clipviz.gradcam(p, "a", model="ViT-B-32"), InputError, r"clipviz\.load"),
        (lambda p, m: clipviz.explain([p], ["a"], model=m, method="gradcan"), InputError, "gradcam"),
        (lambda p, m: clipviz.explain([p], [], model=m), PromptError, "At least one text"),
        (lambda p, m: clipviz.explain([p], ["a"], model=m, strct=True), InputError, "'strct'.*'strict'"),
        (lambda p, m: clipviz.explain({"a": p}, ["a"], model=m), InputError, r"images\.values"),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, error: type[ClipvizError], says: str, vit: Model, picture) -> None:
    with pytest.raises(error, match=says):
        call(picture, vit)


def test_too_long_a_text_is_cut_with_a_warning(vit: Model, picture: Image.Image) -> None:
    with pytest.warns(ClipvizWarning, match="the last 16 were cut"):
        clipviz.gradcam(picture, "dog " * 30, model=vit)


def test_a_look_belongs_to_its_model(vit: Model, picture: Image.Image) -> None:
    other = Model("other", clipviz.weights.Weights(vit.clip))
    with pytest.raises(ModelError, match="look again"):
        clipviz.gradcam(other.look(picture), "a dog", model=vit)
    padded = clipviz.gradcam(vit.look(picture, "pad"), "a dog")
    assert padded.provenance["view"] == padded.frame.view == "pad"
    with pytest.raises(InputError, match=r"view='crop'"):
        clipviz.gradcam(vit.look(picture), "a dog", view="pad")


def test_anyones_explainer(vit: Model, picture: Image.Image) -> None:
    def corner(model: Model, look: Look, target: Target, depth: float = 1.0) -> torch.Tensor:
        maps = torch.zeros(len(look.pixels), len(target), *model.grid)
        maps[..., 0, 0] = depth
        return maps

    try:
        clipviz.register_explainer("corner", corner, family="test", needs="vit")
        found = clipviz.explain([picture], ["a", "b"], model=vit, method="corner", depth=2.0)
        assert found.values[0, :, 0, 0].tolist() == [2.0, 2.0]
        assert found[0, 0].provenance["options"] == {"depth": "2.0"}
        with pytest.raises(InputError, match="registered already"):
            clipviz.register_explainer("corner", corner)
        assert "corner" in set(clipviz.list_explainers(vit)["name"])
        clipviz.register_explainer("corner", corner, needs="resnet", replace=True)
        assert "corner" not in set(clipviz.list_explainers(vit)["name"])
        with pytest.raises(ModelError, match=r"needs a ResNet.*gradcam"):
            clipviz.explain([picture], ["a"], model=vit, method="corner")
        clipviz.register_explainer("corner", lambda *_: torch.zeros(3), replace=True)
        with pytest.raises(InputError, match=r"must return maps \[1, 1, h, w\]"):
            clipviz.explain([picture], ["a"], model=vit, method="corner")
        clipviz.register_explainer("corner", lambda *_: torch.full((1, 1, 2, 2), torch.nan), replace=True)
        with pytest.raises(InputError, match="NaN"):
            clipviz.explain([picture], ["a"], model=vit, method="corner")
    finally:
        _REGISTRY.pop("corner", None)


def test_a_constant_map_is_zeros_and_says_so(vit: Model, picture: Image.Image) -> None:
    try:
        clipviz.register_explainer("flat", lambda m, look, d: torch.full((1, len(d), 4, 4), 3.0))
        heatmap = clipviz.explain([picture], ["a"], model=vit, method="flat")[0, 0]
    finally:
        _REGISTRY.pop("flat", None)
    assert heatmap.constant
    assert not heatmap.values.any()
    assert any("same everywhere" in note for note in heatmap.notes)
    with pytest.raises(InputError, match="no peak"):
        heatmap.peak()
    assert heatmap.plot() is not None
