"""transformers' CLIPModel: read, written, taken from memory; equal to 1e-5."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from clipviz.clip import CLIP, Config, TextConfig, ViTConfig
from clipviz.errors import ModelError
from clipviz.weights import fingerprint, from_module, read_folder, save_folder
from clipviz.weights.huggingface import config_from_huggingface, config_to_huggingface

transformers = pytest.importorskip("transformers")
MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


@pytest.fixture(params=["quick_gelu", "gelu"])
def theirs(request: pytest.FixtureRequest):
    """A small CLIPModel of random weights, its heads and widths all different from each other."""
    torch.manual_seed(0)
    text = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2,
            "max_position_embeddings": 16, "hidden_act": request.param}  # fmt: skip
    vision = {"hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 3, "num_attention_heads": 3,
              "image_size": 32, "patch_size": 8, "hidden_act": request.param}  # fmt: skip
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    return transformers.CLIPModel(config).eval()


def agree(model, clip: CLIP) -> None:
    pixels, tokens = torch.randn(2, 3, 32, 32), torch.zeros(2, 16, dtype=torch.long)
    tokens[:, :4] = torch.tensor([[49406, 320, 1929, 49407], [49406, 2368, 49407, 0]])
    with torch.no_grad():
        said = model(input_ids=tokens, pixel_values=pixels)
        unit = [torch.nn.functional.normalize(v, dim=-1) for v in (clip.visual(pixels), clip.text(tokens))]
    torch.testing.assert_close(unit[0], said.image_embeds, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(unit[1], said.text_embeds, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(clip.logit_scale.data, model.logit_scale.data)


def saved(model, path: Path, **more) -> Path:
    model.save_pretrained(path, **more)
    transformers.CLIPImageProcessor(image_mean=MEAN, image_std=STD, resample=2).save_pretrained(path)
    return path


def test_a_folder_of_transformers(theirs, tmp_path: Path) -> None:
    found = read_folder(saved(theirs, tmp_path / "m"))
    agree(theirs, found.clip)
    assert found.preprocess == {"mean": MEAN, "std": STD, "interpolation": "bilinear", "resize_mode": "shortest"}


def test_shards(theirs, tmp_path: Path) -> None:
    path = saved(theirs, tmp_path / "m", max_shard_size="300KB")
    assert (path / "model.safetensors.index.json").is_file()
    agree(theirs, read_folder(path).clip)
    shards = sorted(path.glob("model-*.safetensors"))
    assert len(shards) > 2
    shards[1].unlink()
    with pytest.raises(ModelError, match=rf"{len(shards) - 1} of {len(shards)} shards: put {shards[1].name} beside"):
        read_folder(path)


def test_shards_of_different_downloads(theirs, tmp_path: Path) -> None:
    path = saved(theirs, tmp_path / "m", max_shard_size="300KB")
    shards = sorted(path.glob("model-*.safetensors"))
    shards[1].write_bytes(shards[0].read_bytes())
    with pytest.raises(ModelError, match=r"lack .* different downloads"):
        read_folder(path)


def test_what_we_save_transformers_loads(vit: CLIP, tmp_path: Path) -> None:
    path = save_folder(tmp_path / "m", vit, mean=MEAN, std=STD, layout="transformers")
    model, told = transformers.CLIPModel.from_pretrained(path, output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    agree(model.eval(), vit)
    processor = transformers.CLIPImageProcessor.from_pretrained(path)
    assert list(processor.image_mean) == MEAN
    found = read_folder(path)
    assert fingerprint(found.clip) == fingerprint(vit)
    assert found.clip.config == vit.config


def test_a_model_in_memory(theirs) -> None:
    processor = transformers.CLIPImageProcessor(image_mean=MEAN, image_std=STD)
    found = from_module(theirs, processor)
    agree(theirs, found.clip)
    assert found.preprocess["mean"] == MEAN


def test_a_resnet_has_no_place_there(clip: CLIP, tmp_path: Path) -> None:
    if hasattr(clip.visual, "attnpool"):
        with pytest.raises(ModelError, match=r"layout='open_clip'"):
            save_folder(tmp_path / "m", clip, layout="transformers")
        assert not (tmp_path / "m").exists()


def test_a_configuration_there_and_back() -> None:
    config = Config(24, ViTConfig(32, 8, 96, 3, 32, 2.0), TextConfig(16, 1000, 64, 2, 2), False)
    assert config_from_huggingface(config_to_huggingface(config)) == config
    # what config.json leaves out has transformers' defaults: this is openai/clip-vit-base-patch32
    assert config_from_huggingface({"model_type": "clip"}) == Config(512, ViTConfig(), TextConfig(), True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "siglip"}, "model_type 'siglip'"),
        ({"vision_config": {"hiden_size": 3}}, "unknown key 'hiden_size'. Did you mean 'hidden_size'"),
        ({"text_config": {"hidden_act": "gelu"}}, r"activations \['gelu', 'quick_gelu'\]"),
        ({"vision_config": {"layer_norm_eps": 1e-6}}, "layer_norm_eps"),
        ({"text_config": {"intermediate_size": 1024}}, "4 x hidden_size"),
        ({"text_config": {"eos_token_id": 7}}, "pools at token 7"),
    ],
)
def test_another_configuration_is_refused(change: dict, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        config_from_huggingface({"model_type": "clip", **change})


def test_a_folder_that_lacks_something(theirs, tmp_path: Path) -> None:
    path = saved(theirs, tmp_path / "m")
    (path / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"does not say how pictures are prepared"):
        read_folder(path)
    assert read_folder(path, mean=MEAN, std=STD).preprocess == {"mean": MEAN, "std": STD}
    with pytest.raises(ModelError, match=r"leave `activation` out"):
        read_folder(path, theirs.config.text_config.hidden_act != "quick_gelu", mean=MEAN, std=STD)
    config = json.loads((path / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 4
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"12 missing"):
        read_folder(path, mean=MEAN, std=STD)
    (path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"but no weights"):
        read_folder(path, mean=MEAN, std=STD)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"size": {"shortest_edge": 256}, "crop_size": 224}, r"crop_size = 224.*\(equal\)"),
        ({"size": {"longest_edge": 224}}, r"size = .*a shortest_edge"),
        ({"do_normalize": False}, r"do_normalize = False"),
        ({"do_rescale": False}, r"do_rescale = False"),
        ({"do_resize": False}, r"do_resize = False"),
        ({"do_center_crop": False}, r"do_center_crop = False"),
        ({"rescale_factor": 1 / 127.5}, r"rescale_factor"),
        ({"rescale_factor": "x"}, r"rescale_factor"),
        ({"resample": 9}, r"resample = 9"),
    ],
)
def test_another_preparation_is_refused(said: dict, says: str) -> None:
    from clipviz.weights.huggingface import preprocess_from_huggingface

    with pytest.raises(ModelError, match=says):
        preprocess_from_huggingface({"image_mean": MEAN, "image_std": STD, **said})
    square = {"height": 224, "width": 224}
    for squash in ({"size": square, "do_center_crop": False}, {"size": square, "crop_size": 224}):
        found = preprocess_from_huggingface({"image_mean": MEAN, "image_std": STD, **squash})
        assert found["resize_mode"] == "squash"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vision_config": 3}, "is a mapping"),
        ({"vision_config": {"hidden_size": "64"}}, "whole number"),
        ({"vision_config": {"num_attention_heads": 7}}, "they must fit"),
        ({"text_config": {"num_attention_heads": 7}}, "must divide"),
        ({"text_config": {"num_attention_heads": 0}}, "below 1"),
    ],
)
def test_malformed_values_are_told(change: dict, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        config_from_huggingface({"model_type": "clip", **change})
