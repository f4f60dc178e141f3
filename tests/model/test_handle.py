"""`Model`: vectors of pictures and texts of every kind, provenance, saving, and what it refuses."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz import assets
from clipviz.errors import ClipvizWarning, InputError, ModelError, PromptError
from clipviz.model import Model
from clipviz.text import Prompt, PromptSet
from clipviz.weights import Weights

from .conftest import TOLD, small_clip

TEXTS = ["a dog", "a photo of a rather traditional building", "산", "a cat"]


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("name", ["ViT-B-32", "RN50"])
def test_a_wrapped_model_equals_open_clips(name: str, quick: bool, picture) -> None:
    import open_clip

    torch.manual_seed(0)
    module, _, transform = open_clip.create_model_and_transforms(name, force_quick_gelu=quick)
    for key, tensor in module.eval().state_dict().items():
        if "running_" in key:
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    model = Model.wrap(module, transform, open_clip.get_tokenizer(name))
    assert model.provenance["activation"] == ("quick_gelu" if quick else "gelu")
    pictures = [picture, picture.rotate(90, expand=True), picture.resize((300, 301))]
    with torch.no_grad():
        pixels = torch.stack([transform(p) for p in pictures])
        seen = F.normalize(module.encode_image(pixels), dim=-1).numpy()
        read = F.normalize(module.encode_text(open_clip.tokenize(TEXTS)), dim=-1).numpy()
    np.testing.assert_allclose(model.encode_images(pictures), seen, atol=1e-5)
    np.testing.assert_allclose(model.encode_texts(TEXTS), read, atol=1e-5)
    assert (model.mean, model.view) == (clipviz.weights.OPENAI_MEAN, "crop")


def test_pictures_of_mixed_sizes_and_types(model: Model, picture, tmp_path: Path) -> None:
    array = np.asarray(picture)
    picture.save(tmp_path / "p.png")
    held = io.BytesIO((tmp_path / "p.png").read_bytes())
    kinds = [picture, array, array / 255.0, torch.from_numpy(array.copy()).permute(2, 0, 1), str(tmp_path / "p.png"),
             tmp_path / "p.png", held.getvalue(), held, model.look(picture)]  # fmt: skip
    others = [Image.new("L", (31, 200), 80), np.zeros((64, 64), np.uint8)]
    found = model.encode_images([*kinds, *others], batch_size=4)
    assert found.shape == (11, 24)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found[: len(kinds)], np.repeat(found[:1], len(kinds), 0), atol=1e-5)
    one_by_one = np.concatenate([model.encode_images(each) for each in (picture, *others[:1], others[1])])
    np.testing.assert_allclose(one_by_one, found[[0, -2, -1]], atol=1e-5)
    assert model.encode_images([]).shape == (0, 24)
    assert model.encode_images(iter([picture])).shape == (1, 24)  # a generator has no length


def test_one_picture_of_any_kind_is_one_and_an_array_of_four_axes_is_many(vit: Model, picture) -> None:
    file = io.BytesIO()
    picture.save(file, "PNG")
    held = file.getvalue()
    expected = vit.encode_images([picture])
    for one in (bytearray(held), memoryview(held), io.BytesIO(held), np.asarray(picture)):
        np.testing.assert_allclose(vit.encode_images(one), expected, atol=1e-6)
    many = np.stack([np.asarray(picture), np.asarray(picture)[::-1], np.asarray(picture)[:, ::-1]])
    found = vit.encode_images(many)
    assert found.shape == (3, 24)
    np.testing.assert_allclose(found, vit.encode_images(list(many)), atol=1e-6)
    np.testing.assert_allclose(found[:1], expected, atol=1e-6)
    with pytest.raises(InputError, match=r"got a dict; pass its values"):
        vit.encode_images({"a": picture})


@pytest.mark.parametrize("told", [{}, {"fill_color": 200}, {"fill_color": [10, 90, 200]}])
def test_the_padding_is_open_clips(told: dict, picture) -> None:
    from open_clip.transform import image_transform

    model = Model("m", Weights(small_clip(), {**TOLD, "resize_mode": "longest", **told}))
    colour = told.get("fill_color", 0)
    colour = tuple(colour) if isinstance(colour, list) else colour
    theirs = image_transform(32, is_train=False, **TOLD, resize_mode="longest", fill_color=colour)
    for each in (picture, picture.rotate(90, expand=True)):
        expected = theirs(each).numpy()
        np.testing.assert_allclose(model.prepare(each)[0][0].numpy(), expected, atol=1e-6)
        np.testing.assert_allclose(model.prepare(each, "pad")[0][0].numpy(), expected, atol=1e-6)


def test_a_callers_own_padding_is_the_mean_colour(vit: Model, picture) -> None:
    corner = vit.prepare(picture, "pad")[0][0, :, 0, 0]
    assert corner.abs().max() < 0.5 / 255 / min(TOLD["std"]) + 1e-6


def test_tiles_are_averaged(vit: Model, picture) -> None:
    pixels, frame = vit.prepare(picture, "tiles")
    assert len(pixels) > 1
    assert frame.view == "tiles"
    with torch.no_grad():
        unit = F.normalize(vit.clip.visual(pixels), dim=-1)
    mean = F.normalize(unit.mean(0), dim=-1).numpy()
    np.testing.assert_allclose(vit.encode_images([picture, picture], view="tiles", batch_size=3)[1], mean, atol=1e-6)
    with pytest.raises(InputError, match=r"crop, pad, squash, tiles"):
        vit.prepare(picture, "whole")


def test_the_ensemble_is_the_renormalised_mean(vit: Model) -> None:
    prompts = PromptSet.of(["dog", "cat"], templates=("a {}", "a photo of a {}", "{}"))
    found = vit.encode_prompts(prompts)
    each = vit.encode_texts(["a cat", "a photo of a cat", "cat"])
    mean = each.mean(0) / np.linalg.norm(each.mean(0))
    np.testing.assert_allclose(found[1], mean, atol=1e-6)
    np.testing.assert_allclose(vit.encode_prompts("cat")[0], each[2], atol=1e-6)
    np.testing.assert_allclose(vit.encode_prompts(["dog", Prompt("cat", ("a {}",))])[1], each[0], atol=1e-6)
    assert abs(np.linalg.norm(each.mean(0)) - 1) > 1e-4  # or there was nothing to renormalise


def test_texts_that_are_too_long_or_blank(vit: Model) -> None:
    long = "dog " * 20
    with pytest.warns(ClipvizWarning, match=r"has 20 tokens and small reads 14: the last 6 were cut"):
        cut = vit.encode_texts([long])
    np.testing.assert_allclose(cut, vit.encode_texts(["dog " * 14]), atol=1e-6)
    with pytest.raises(PromptError, match=r"shorten it by 6 tokens"):
        vit.encode_texts([long], strict=True)
    with pytest.warns(ClipvizWarning, match=r"\.\.\.' has 40 tokens"):
        vit.tokenize([long + long])
    for blank in ("", "  \n", 3, None):
        with pytest.raises(PromptError, match=r"one non-blank string"):
            vit.encode_texts([blank])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vit.encode_texts(["dog " * 14], strict=True)
    assert vit.encode_texts([]).shape == (0, 24)
    assert np.array_equal(vit.encode_texts("a dog"), vit.encode_texts(["a dog"]))


def test_our_ids_are_open_clips(vit: Model) -> None:
    from open_clip.tokenizer import SimpleTokenizer

    texts = [*TEXTS, "don't  &amp; stop 123 ☃", "A" * 300]
    with pytest.warns(ClipvizWarning, match="were cut"):
        ours = vit.tokenize(texts)
    assert torch.equal(ours, SimpleTokenizer(context_length=16)(texts))


def test_words_that_were_never_seen(vit: Model) -> None:
    assert vit.unseen("a dog, and a (zebrafish)!") == ["zebrafish"]
    assert Model("untold", Weights(small_clip())).unseen("a zebrafish") == []


def test_punctuation_of_any_script_is_no_word(vit: Model) -> None:
    for text in ("¿a red dog?", "“a red dog”", "‘a red dog’", "«a red dog»", "a dog — red…"):
        assert vit.unseen(text) == []
    assert vit.unseen("¿“zebrafish”?") == ["zebrafish"]


def test_the_bundled_model_has_seen_its_words_in_any_quotes(require) -> None:
    require((Path(assets.__file__).parent / assets.MODEL).is_dir(), "clipviz-tiny is not trained yet")
    model = clipviz.load()
    for text in ("¿a red circle?", "“a red circle”", "‘a red circle’"):
        assert model.unseen(text) == []


def test_provenance_says_what_the_model_is(model: Model) -> None:
    told = model.provenance
    assert told["kind"] == model.kind == ("resnet" if model.name == "resnet" else "vit")
    assert told["grid"] == list(model.grid)
    assert (told["mean"], told["std"]) == (TOLD["mean"], TOLD["std"])
    assert len(told["weights_sha256"]) == 64
    assert model.name in repr(model)
    assert model.flops().image > model.flops().text / 100 > 0


def test_probabilities_are_a_softmax_over_the_named_texts(vit: Model, picture) -> None:
    found = vit.probabilities([picture, np.zeros((9, 9), np.uint8)], ["a dog", "a cat", "a tree"])
    cosines = vit.encode_images([picture]) @ vit.encode_texts(["a dog", "a cat", "a tree"]).T
    expected = torch.from_numpy(cosines * vit.logit_scale).softmax(-1).numpy()
    np.testing.assert_allclose(found[:1], expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert vit.logit_bias is None


def test_a_look_belongs_to_its_model(vit: Model, picture) -> None:
    other = Model("other", Weights(small_clip()))
    with pytest.raises(ModelError, match=r"look again with this model"):
        vit.encode_images([other.look(picture)])
    look = vit.look(picture)
    assert vit.look(look) is look
    assert set(vit.look(picture).trace(["embedding"])) == {"embedding"}
    assert {"embedding", "block.0"} <= set(vit.look(picture).trace(["embedding", "block.0"]))
    assert "embedding" in look.trace()
    assert "small" in repr(look)


@pytest.mark.parametrize("layout", ["open_clip", "transformers"])
def test_saving_keeps_the_model(vit: Model, picture, layout: str, tmp_path: Path) -> None:
    vit.save(tmp_path / "m", layout=layout)
    again = clipviz.load(tmp_path / "m")
    assert again.provenance["weights_sha256"] == vit.provenance["weights_sha256"]
    assert np.array_equal(again.encode_images([picture]), vit.encode_images([picture]))
    vit.save(tmp_path / "h", layout=layout, half=True)
    half = clipviz.load(tmp_path / "h")
    assert (half.encode_images([picture]) * vit.encode_images([picture])).sum() > 0.999


def test_a_view_of_its_own_is_kept(tmp_path: Path) -> None:
    model = Model("m", Weights(small_clip(), {**TOLD, "resize_mode": "squash", "interpolation": "bilinear"}))
    assert model.view == "squash"
    for layout in ("open_clip", "transformers"):
        again = clipviz.load(model.save(tmp_path / layout, layout=layout))
        assert (again.view, again.interpolation) == ("squash", "bilinear")
    padded = Model("m", Weights(small_clip(), {**TOLD, "resize_mode": "longest"}))
    assert clipviz.load(padded.save(tmp_path / "p")).view == "pad"
    for fill in (0, 77, (1, 2, 3)):
        filled = Model("m", Weights(small_clip(), {**TOLD, "resize_mode": "longest", "fill_color": fill}))
        assert clipviz.load(filled.save(tmp_path / "f")).fill == fill
    with pytest.raises(ModelError, match=r"cannot pad"):
        padded.save(tmp_path / "q", layout="transformers")
