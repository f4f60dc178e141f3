"""`load`: by name, tag, folder and file; what cannot be loaded is told in a sentence that says what to type."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import clipviz
from clipviz import assets
from clipviz.clip import CLIP
from clipviz.errors import ClipvizWarning, ModelError
from clipviz.model import Model
from clipviz.weights import to_open_clip

TOLD = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
TEXTS = ["a dog", "a photo of a traditional building", "산"]


def test_the_bundled_model(require, picture) -> None:
    require((Path(assets.__file__).parent / assets.MODEL).is_dir(), "clipviz-tiny is not trained yet")
    model = clipviz.load()
    assert model.name == "clipviz-tiny"
    assert model.grid == (7, 7)
    assert model.card
    assert model.unseen("a red circle") == []
    assert model.unseen("a red parliament") == ["parliament"]
    with pytest.raises(ModelError, match=r"type load\(\)"):
        clipviz.load("clipviz-tiny")
    with pytest.raises(ModelError, match=r"leave `activation` out"):
        clipviz.load(activation="gelu" if model.clip.config.quick_gelu else "quick_gelu")


def test_a_folder(vit: Model, picture, tmp_path: Path) -> None:
    vit.save(tmp_path / "mine")
    again = clipviz.load(tmp_path / "mine")
    assert again.name == "mine"
    assert again.unseen("a zebrafish")
    assert {**again.provenance, "model": ""} == {**vit.provenance, "model": ""}
    assert np.array_equal(again.encode_images([picture]), vit.encode_images([picture]))
    assert clipviz.load(str(tmp_path / "mine"), image_size=64).grid == (8, 8)
    with pytest.raises(ModelError, match=r"has no tag: leave 'openai' out"):
        clipviz.load(tmp_path / "mine", "openai")


def test_a_file_and_an_architecture_with_a_file(tmp_path: Path, monkeypatch) -> None:
    import open_clip

    module, _, transform = open_clip.create_model_and_transforms("ViT-B-32", force_quick_gelu=True)
    module = module.eval().requires_grad_(False)
    torch.save({"state_dict": {f"module.{k}": v for k, v in module.state_dict().items()}}, tmp_path / "run.pt")
    by_shape = clipviz.load(tmp_path / "run.pt", activation="quick_gelu", **TOLD)
    assert by_shape.name == "run"
    named = clipviz.load("ViT-B-32", tmp_path / "run.pt", activation="quick_gelu", **TOLD)
    assert (named.name, named.tag) == ("ViT-B-32", "run.pt")
    assert by_shape.provenance["weights_sha256"] == named.provenance["weights_sha256"]
    # and as open_clip's own tag, faked by a file: the tag's activation, although the architecture has none
    told = {**open_clip.pretrained._PRETRAINED["ViT-B-32"]["openai"], "file": str(tmp_path / "run.pt")}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED["ViT-B-32"], "openai", told)
    tagged = clipviz.load("ViT-B-32", "openai")
    wrapped = Model.wrap(module, transform)
    pixels = torch.randn(4, 3, 224, 224)
    tokens = open_clip.get_tokenizer("ViT-B-32")(TEXTS)
    with torch.no_grad():
        expected = module.encode_image(pixels), module.encode_text(tokens)
        for model in (tagged, wrapped):
            assert model.clip.config.quick_gelu
            torch.testing.assert_close(model.clip.visual(pixels), expected[0], atol=1e-5, rtol=0)
            torch.testing.assert_close(model.clip.text(tokens), expected[1], atol=1e-5, rtol=0)
    assert (tagged.mean, tagged.std, tagged.view) == (wrapped.mean, wrapped.std, "crop")
    with pytest.raises(ModelError, match=r"trained with quick_gelu.*leave `activation` out"):
        clipviz.load("ViT-B-32", "openai", activation="gelu")


def test_random_weights_warn() -> None:
    with pytest.warns(ClipvizWarning, match=r"RN50 has random weights") as caught:
        model = clipviz.load("RN50", None, image_size=64)
    assert caught[0].filename == __file__
    assert (model.kind, model.tag, model.grid) == ("resnet", "random", (2, 2))


@pytest.mark.parametrize("tag", ["openai", None])
def test_a_tag_without_a_name(tag: str | None) -> None:
    with pytest.raises(ModelError, match=rf"none is named: type load\('ViT-B-32', {tag!r}\)"):
        clipviz.load(tag=tag)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ViT-B-23",), r"no architecture of open_clip and no folder\. Did you mean"),
        (("ViT-B-32",), r"does not say which weights: type load\('ViT-B-32', 'openai'\)"),
        (("ViT-M-32",), r"type load\('ViT-M-32', None\)"),
        (("ViT-B-32", "opnai"), r"no tag of ViT-B-32\. Did you mean 'openai'"),
        (("./nowhere",), r"no folder or file './nowhere'"),
        (("model.safetensors",), r"no folder or file 'model\.safetensors'"),
        (("ViT-B-32", "runs/epoch_3.pt"), r"no file of weights 'runs/epoch_3\.pt'"),
    ],
)
def test_names_that_load_nothing(arguments: tuple, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        clipviz.load(*arguments)


def test_options_that_are_not_known(vit: Model, tmp_path: Path) -> None:
    vit.save(tmp_path / "m")
    for more, says in (
        ({"activation": "relu"}, "'quick_gelu' or 'gelu'"),
        ({"activation": "gelu"}, "leave `activation` out"),
        ({"precision": "int4"}, "'fp32' or 'bf16'"),
        ({"device": "abacus"}, "'cpu' always can"),
        ({"image_size": 33}, "8 px cells"),
        ({"std": (1, 1, 1)}, "leave `std` out"),
    ):
        with pytest.raises(ModelError, match=says):
            clipviz.load(tmp_path / "m", **more)
    with pytest.raises(ModelError, match="leave them out"):
        clipviz.load("RN50", None, **TOLD)


def test_without_a_network_a_sentence_comes_soon(tmp_path: Path) -> None:
    code = (
        "import clipviz\ntry: clipviz.load('ViT-B-32', 'laion2b_s34b_b79k')\nexcept clipviz.ClipvizError as e: print(e)"
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HOME": str(tmp_path)}
    began = time.perf_counter()
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert time.perf_counter() - began < 60
    assert "'laion/CLIP-ViT-B-32-laion2B-s34B-b79K/open_clip_model.safetensors'" in said
    assert "clipviz.load(), which works offline" in said


def test_all_of_it_within_inference_mode(vit: Model, picture, tmp_path: Path) -> None:
    vit.save(tmp_path / "m")
    outside = clipviz.gradcam(picture, "a dog", model=vit)
    with torch.inference_mode():
        model = clipviz.load(tmp_path / "m", image_size=32)
        vectors = model.encode_images([picture]), model.encode_texts(["a dog"])
        heatmap = clipviz.gradcam(picture, "a dog", model=model)
        wrapped = Model.wrap(_theirs(vit.clip), {"mean": vit.mean, "std": vit.std})
        assert np.array_equal(clipviz.gradcam(picture, "a dog", model=wrapped).values, heatmap.values)
    assert np.array_equal(heatmap.values, outside.values)
    assert np.array_equal(vectors[0], vit.encode_images([picture]))


def _theirs(clip: CLIP) -> torch.nn.Module:
    import open_clip

    from clipviz.weights import config_to_open_clip

    with torch.inference_mode(False):
        module = open_clip.CLIP(**config_to_open_clip(clip.config))
        module.load_state_dict(to_open_clip(clip.state_dict()), strict=False)
    return module.eval()
