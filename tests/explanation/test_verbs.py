"""`gradcam` and `explain` as people call them: kinds of input, views, and what is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import clipviz
from clipviz.errors import ClipvizError, ClipvizWarning, InputError, ModelError, PromptError
from clipviz.explanation.defaults import DEFAULT_OPTIONS, DEFAULTS
from clipviz.explanation.neutral import NEUTRAL
from clipviz.explanation.registry import _REGISTRY, Found
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
    with pytest.warns(ClipvizWarning, match=r"1 of 3 pictures could not be opened, the first 'c\.png'"):
        found = clipviz.explain(clipviz.open_source(tmp_path), ["a dog"], model=vit)
    assert found.ids == ("a.png", "b.png")
    assert [name for name, _ in found.failed] == ["c.png"]
    assert set(found.to_pandas()["image"]) == {"a.png", "b.png"}


def test_a_damaged_picture_stops_gradcam_but_not_explain(vit: Model, picture: Image.Image) -> None:
    with pytest.warns(ClipvizWarning) as said:
        found = clipviz.explain([picture, b"no picture", b"nor this"], ["a dog"], model=vit)
    assert len(said) == 1 and "2 of 3 pictures" in str(said[0].message)
    assert len(found) == 1
    assert found.failed[0][0] == 1
    assert found.failed[0][1]
    with pytest.raises(InputError):
        clipviz.gradcam(b"no picture", "a dog", model=vit)
    with pytest.raises(InputError):  # the only one, and no list
        clipviz.explain(b"no picture", "a dog", model=vit)


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
        (lambda p, m: clipviz.gradcam(p, "a red circle", model=m, against="A red  circle "), PromptError, "itself"),
        (
            lambda p, m: clipviz.gradcam(p, "a cat", model=m, against=["b", clipviz.Prompt("cat", ["a {}"])]),
            PromptError,
            "'cat' is the same text",
        ),
        (lambda p, m: clipviz.explain([p], ["a"], model=m, view="corp"), InputError, "Did you mean 'crop'"),
        (lambda p, m: clipviz.explain([m.look(p)], ["a"], view="pad"), InputError, "made with view='crop'"),
        (lambda p, m: clipviz.explain([p], ["a"], model=m, method=["gradcam"]), InputError, "one name.*compare"),
        (
            lambda p, m: clipviz.explain([p], ["a"], model=m, layer=1),
            InputError,
            "'consensus', takes no option 'layer'.*method=: .*gradcam",
        ),
        (lambda p, m: clipviz.list_explainers("ViT"), InputError, r"clipviz\.load"),
        (lambda p, m: clipviz.token_attribution("a", p, model="x"), InputError, r"clipviz\.load"),
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


def test_a_generator_of_looks_brings_its_model(vit: Model, picture: Image.Image) -> None:
    looks = [vit.look(picture), vit.look(picture.rotate(180))]
    found = clipviz.explain((look for look in looks), "a dog", method="gradcam", layer=np.int64(1))
    assert [row[0].model for row in found] == [vit.name] * 2
    want = clipviz.explain(looks, "a dog", method="gradcam", layer=1)
    np.testing.assert_array_equal(found.values, want.values)
    assert len(clipviz.explain(iter([]), "a dog", model=vit)) == 0


def test_templates_of_the_other_texts_are_told(vit: Model, picture: Image.Image) -> None:
    rest = [clipviz.Prompt("cat", ["a {}", "one {}"]), "a bird"]
    about = clipviz.gradcam(picture, "a dog", model=vit, against=rest).provenance
    assert about["against_templates"] == [["a {}", "one {}"], ["{}"]]
    about = clipviz.explain([picture], "a dog", model=vit, method="clip_surgery", labels=rest)[0, 0].details
    assert about["label_templates"] == [["a {}", "one {}"], ["{}"]] and about["subtracted"] == [
        "a dog",
        "cat",
        "a bird",
    ]


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
        clipviz.register_explainer("corner", lambda *_: np.arange(16.0).reshape(1, 1, 4, 4), replace=True)
        assert clipviz.explain([picture], ["a"], model=vit, method="corner").values[0, 0, 3, 3] == 15
        for given in ([[1.0]], None, np.array([["x"]])):
            clipviz.register_explainer("corner", lambda *_, given=given: given, replace=True)
            with pytest.raises(InputError, match=r"'corner' returned .*must return a tensor or an array"):
                clipviz.explain([picture], ["a"], model=vit, method="corner")
        told = Found(torch.rand(1, 1, 4, 4), [{"x": object()}])
        clipviz.register_explainer("corner", lambda *_: told, replace=True)
        with pytest.raises(InputError, match="'corner' told details that cannot be saved"):
            clipviz.explain([picture], ["a"], model=vit, method="corner")
        with pytest.raises(InputError, match=r"model, look, target.*'corner'"):
            clipviz.register_explainer("corner", lambda model, look: None, replace=True)
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


def test_a_softmax_is_the_models_own_probability(model: Model, picture: Image.Image) -> None:
    others = ["a cat", "a bird"]
    heatmap = clipviz.explain([picture], "a dog", model=model, method="gradcam", against=others, contrast="softmax")[
        0, 0
    ]
    assert heatmap.score == pytest.approx(model.probabilities([picture], ["a dog", *others])[0, 0], abs=1e-6)
    assert heatmap.title.startswith("'a dog' against 'a cat', 'a bird': probability 0.")
    assert heatmap.provenance["contrast"] == "softmax" and heatmap.provenance["baseline"] is None
    with pytest.raises(InputError, match=r"against=\[...\]"):
        clipviz.explain([picture], "a dog", model=model, contrast="softmax")
    with pytest.raises(InputError, match="margin, softmax"):
        clipviz.explain([picture], "a dog", model=model, contrast="softmx", against="a cat")


def test_a_softmax_is_explained_by_the_chain_rule(model: Model, picture: Image.Image) -> None:
    """d p_0 = s p_0 (d cos_0 - sum_k p_k d cos_k), with the maps of the cosines one by one."""
    texts = ["a dog", "a cat", "a bird"]
    look = model.look(picture)
    alone = clipviz.explain([look], texts, method="gradcam").values[0].astype(np.float64)  # [3, h, w]
    soft = clipviz.explain([look], texts[0], method="gradcam", against=texts[1:], contrast="softmax").values[0, 0]
    p = model.probabilities([picture], texts)[0].astype(np.float64)
    want = model.logit_scale * p[0] * (alone[0] - np.tensordot(p, alone, 1))
    np.testing.assert_allclose(soft, want, atol=1e-4 * np.abs(want).max())


def test_the_neutral_baseline_is_taken_off_and_told(model: Model, picture: Image.Image) -> None:
    look = model.look(picture)
    own = clipviz.explain([look], "a dog", method="gradcam", baseline="neutral")[0, 0]
    same = clipviz.explain([look], "a dog", method="gradcam", against=list(NEUTRAL))[0, 0]
    np.testing.assert_allclose(own.values, same.values, atol=1e-6 * np.abs(same.values).max())
    assert own.score == pytest.approx(same.score) and own.against == ()
    assert own.provenance["baseline"] == list(NEUTRAL) and same.provenance["baseline"] is None
    assert own.title.startswith("'a dog' minus neutral texts: ")
    assert any("minus neutral texts" in t.get_text() for t in own.plot().texts)
    both = clipviz.explain([look], "a dog", method="gradcam", baseline="neutral", contrast="softmax")
    assert both[0, 0].title.startswith("'a dog' against neutral texts: probability ")
    assert any("neutral" in t.get_text() for t in both.plot().texts)
    with pytest.raises(InputError, match="give one of them"):
        clipviz.explain([look], "a dog", baseline="neutral", against="a cat")
    with pytest.raises(InputError, match="'neutral' or None"):
        clipviz.explain([look], "a dog", baseline="nuetral")


def test_the_bundled_model_names_unseen_neutral_words_once(picture: Image.Image) -> None:
    with pytest.warns(ClipvizWarning) as said:
        clipviz.explain([picture], "a red circle", method="gradcam", baseline="neutral")
    assert len([w for w in said if "neutral texts" in str(w.message)]) == len(said) == 1


def test_a_method_that_does_not_read_the_text_says_so(model: Model, picture: Image.Image) -> None:
    found = clipviz.explain([picture], ["a dog", "a cat"], model=model, method="eigencam")
    np.testing.assert_array_equal(found[0, 0].values, found[0, 1].values)
    for heatmap in found[0]:
        assert "eigencam does not read the text: its map is the same for every text." in heatmap.notes
        assert heatmap.provenance["uses_text"] is False
    for figure in (found.plot(), found[0, 0].plot()):
        assert any("does not read the text" in " ".join(t.get_text().split()) for t in figure.texts)
    assert not clipviz.gradcam(picture, "a dog", model=model).notes


def test_eigencam_with_the_sign_of_a_text_reads_it(vit: Model, picture: Image.Image) -> None:
    found = clipviz.explain([picture], "a dog", model=vit, method="eigencam", sign="text")[0, 0]
    assert found.provenance["uses_text"] is True and not found.notes


def test_what_a_method_is_stands_in_the_provenance(vit: Model, picture: Image.Image) -> None:
    about = clipviz.gradcam(picture, "a dog", model=vit).provenance
    assert (about["signed"], about["additive"], about["uses_text"]) == (True, False, True)
    whole = clipviz.explain([picture], "a dog", model=vit, method="head_decomposition", against="a cat")[0, 0]
    assert whole.provenance["additive"] and whole.unit == "contribution to margin"
    assert clipviz.gradcam(picture, "a dog", model=vit).unit == "gradcam, its own unit"


def test_without_a_method_the_default_answers(
    model: Model, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clipviz.explain([picture], "a dog", model=model)[0, 0].method == DEFAULTS[model.kind]
    monkeypatch.setitem(DEFAULTS, model.kind, "layercam")
    monkeypatch.setitem(DEFAULT_OPTIONS, model.kind, {"layer": 1})
    about = clipviz.explain([picture], "a dog", model=model)[0, 0].provenance
    assert (about["method"], about["options"]) == ("layercam", {"layer": "1"})
    about = clipviz.explain([picture], "a dog", model=model, layer=2)[0, 0].provenance
    assert about["options"] == {"layer": "2"}  # the caller's own come first
    assert clipviz.explain([picture], "a dog", model=model, method="layercam")[0, 0].provenance["options"] == {}
    assert clipviz.gradcam(picture, "a dog", model=model).method == "gradcam"


GROWTH = """
import json, resource, sys
import torch
import clipviz
from clipviz.clip import Config, TextConfig, ViTConfig
from clipviz.model import Model
from clipviz.weights import Weights, build

torch.manual_seed(0)
config = Config(24, ViTConfig(64, 16, 48, 3, 16), TextConfig(context_length=16, width=32, heads=2, layers=2))
model = Model("small", Weights(build(config, None, "a small model")))
paths, peaks = json.loads(sys.argv[1]), []
for count in (3, 15):
    images = paths[:count] if sys.argv[2] == "paths" else clipviz.open_source(paths[0].rpartition("/")[0])
    if sys.argv[2] == "source":
        images = images.select(range(count))
    found = clipviz.explain(images, ["a dog", "a cat"], model=model)
    assert len(found) == count
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # kB; bytes on a Mac
print(json.dumps(peaks))
"""


@pytest.mark.parametrize("kind", ["paths", "source"])
def test_memory_does_not_grow_with_the_pictures(kind: str, tmp_path: Path) -> None:
    """4 megapixels are 12 MB decoded: 12 more of them would be 144 MB, were they kept."""
    (tmp_path / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((2448, 1632)).save(tmp_path / "pictures" / "00.jpg")
    first = tmp_path / "pictures" / "00.jpg"
    for i in range(1, 15):
        (tmp_path / "pictures" / f"{i:02}.jpg").write_bytes(first.read_bytes())
    paths = [str(tmp_path / "pictures" / f"{i:02}.jpg") for i in range(15)]
    done = subprocess.run([sys.executable, "-c", GROWTH, json.dumps(paths), kind], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    few, many = (peak / (1024 if sys.platform != "darwin" else 1024**2) for peak in json.loads(done.stdout))
    print(f"{kind}: {few:.0f} MB at the peak of 3 pictures, {many:.0f} MB at that of 15")
    assert many - few < 60, (few, many)
