"""What is not the paper's runs inside open_clip behind the same `Model`, and says what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import clipviz
from clipviz.errors import ClipvizWarning, ModelError, PromptError
from clipviz.model import Model
from clipviz.weights import config_to_open_clip

from .conftest import TOLD, small_clip

TEXTS = ["a dog", "a photo of a cat"]
# One of each family that open_clip can build with no network. NLLB-CLIP cannot: its text tower is described on the
# Hugging Face hub only. The tokenizers of SigLIP, SigLIP 2 and MobileCLIP's kin come from there too, so that
# for those the texts are given as numbers.
FAMILIES = {
    "SigLIP": "ViT-B-16-SigLIP",
    "SigLIP 2": "ViT-B-32-SigLIP2-256",
    "EVA": "EVA02-B-16",
    "CoCa": "coca_ViT-B-32",
    "ConvNeXt": "convnext_base",
    "MobileCLIP": "MobileCLIP-S1",
}


def small_module(**more) -> torch.nn.Module:
    """A small network that is not the paper's: with ``init_logit_bias`` it is judged as SigLIP is."""
    import open_clip

    config = config_to_open_clip(small_clip().config)
    config["vision_cfg"]["pool_type"] = "avg"
    torch.manual_seed(0)
    return open_clip.CustomTextCLIP(**config, **more).eval().requires_grad_(False)


@pytest.fixture
def words():
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(context_length=16)


@pytest.fixture
def other(words) -> Model:
    return Model.wrap(small_module(), TOLD, words, name="avg")


def test_vectors_are_open_clips(other: Model, words, picture) -> None:
    assert other.kind == "other"
    module = small_module()
    pixels, _ = other.prepare(picture)
    np.testing.assert_allclose(
        other.encode_images([picture]), F.normalize(module.encode_image(pixels), dim=-1), atol=1e-6
    )
    np.testing.assert_allclose(
        other.encode_texts(TEXTS), F.normalize(module.encode_text(words(TEXTS)), dim=-1), atol=1e-6
    )
    assert other.encode_images([]).shape == other.encode_texts([]).shape == (0, 24)
    assert other.encode_images([picture], view="tiles").shape == (1, 24)
    assert other.encode_prompts(TEXTS).shape == (2, 24)
    assert other.look(picture).trace()["embedding"].shape == (1, 24)
    assert other.look(picture).trace(["embedding"])["embedding"].shape == (1, 24)
    assert other.unseen("anything") == []


def test_it_is_honest_about_what_it_cannot_do(other: Model, picture, tmp_path: Path) -> None:
    for attempt in (
        lambda: other.clip,
        lambda: other.grid,
        lambda: other.flops(),
        lambda: other.save(tmp_path / "m"),
        lambda: other.look(picture).trace(["block.0"]),
    ):
        with pytest.raises(ModelError, match=r"run by open_clip: it gives vectors, and cannot be looked into"):
            attempt()
    with pytest.raises(PromptError, match=r"leave out strict=True"):
        other.encode_texts(TEXTS, strict=True)
    assert other.provenance["grid"] is None
    assert "run by open_clip" in repr(other)
    with pytest.raises(ModelError, match=r"wrapped without a tokenizer"):
        Model.wrap(small_module(), TOLD).encode_texts(TEXTS)


def test_the_bias_and_the_sigmoid_of_siglip(words, picture) -> None:
    model = Model.wrap(small_module(init_logit_bias=-2.0, init_logit_scale=1.0), TOLD, words)
    assert model.logit_bias == -2.0
    cosines = model.encode_images([picture]) @ model.encode_texts(TEXTS).T
    expected = 1 / (1 + np.exp(-(cosines * np.exp(1.0) - 2)))
    np.testing.assert_allclose(model.probabilities([picture], TEXTS), expected, atol=1e-6)
    # each pair stands for itself: another text in the set changes nothing
    np.testing.assert_allclose(model.probabilities([picture], TEXTS[:1]), expected[:, :1], atol=1e-6)


def test_bfloat16(words, picture, other: Model) -> None:
    quick = Model.wrap(small_module(), TOLD, words, precision="bf16")
    assert (quick.encode_images([picture]) * other.encode_images([picture])).sum() > 0.99


def test_a_folder_of_open_clip(other: Model, picture, tmp_path: Path) -> None:
    config = config_to_open_clip(small_clip().config)
    config["vision_cfg"]["pool_type"] = "avg"
    folder = tmp_path / "m"
    folder.mkdir()
    told = {"model_cfg": {**config, "custom_text": True}, "preprocess_cfg": TOLD}
    (folder / "open_clip_config.json").write_text(json.dumps(told))
    torch.save(small_module().state_dict(), folder / "open_clip_pytorch_model.bin")
    model = clipviz.load(folder)
    assert model.kind == "other"
    assert np.array_equal(model.encode_images([picture]), other.encode_images([picture]))
    assert np.array_equal(model.encode_texts(TEXTS), other.encode_texts(TEXTS))
    assert model.provenance["weights_sha256"] == other.provenance["weights_sha256"]
    assert clipviz.list_models(folder, source="local").iloc[0]["kind"] == "other"
    state = small_module().state_dict()
    state.pop("visual.proj")
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelError, match=r"open_clip could not build"):
        clipviz.load(folder)


def test_a_tower_that_only_the_hub_describes() -> None:
    import huggingface_hub.constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(ModelError, match=r"text tower 'facebook/nllb-200-distilled-600M'.*hub only"):
            clipviz.load("nllb-clip-base", None)


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_one_of_each_family(family: str, picture) -> None:
    import huggingface_hub.constants

    name = FAMILIES[family]
    with pytest.warns(ClipvizWarning, match=r"random weights"):
        model = clipviz.load(name, None)
    assert model.kind == "other"
    found = model.encode_images([picture, picture.rotate(90)])
    assert found.shape == (2, model.embed_dim)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert (model.logit_bias is not None) == ("SigLIP" in name)
    tokens = torch.randint(1, 1000, (2, getattr(model.network.module, "context_length", None) or 64))
    with torch.no_grad():
        assert model.network.text(tokens).shape == (2, model.embed_dim)
    if "SigLIP" in name:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
            with pytest.raises(ModelError, match=r"The tokenizer 'timm/.* could not be loaded"):
                model.encode_texts(["a dog"])
    else:
        assert model.encode_texts(["a dog", "a cat"]).shape == (2, model.embed_dim)
