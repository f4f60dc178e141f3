"""One file without a configuration: what shapes tell is inferred, what they do not is asked by name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clipviz.clip import ARCHITECTURES, CLIP, TextConfig
from clipviz.errors import ModelError
from clipviz.weights import config_from_open_clip, fingerprint, read_file, to_open_clip
from clipviz.weights.huggingface import to_huggingface
from clipviz.weights.shapes import headless, infer_config

TOLD = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_nine_are_known_by_their_shapes(name: str, quick: bool) -> None:
    config = dataclasses.replace(ARCHITECTURES[name], quick_gelu=quick)
    with torch.device("meta"):
        state = CLIP(config).state_dict()
    assert infer_config(state, quick, "it") == config
    assert infer_config(state, quick, "it", openai=True) == config


def test_heads_that_are_not_64_wide_are_those_of_the_architecture() -> None:
    import open_clip

    for name in ("ViT-H-14", "ViT-g-14", "ViT-bigG-14"):
        config = config_from_open_clip(open_clip.get_model_config(name))
        with torch.device("meta"):
            state = CLIP(config).state_dict()
        assert infer_config(state, False, "it") == config
        assert infer_config(state, False, "it", openai=True) == config  # an archive need not be OpenAI's
        assert headless(config) != config


@pytest.fixture
def file(vit: CLIP, tmp_path: Path) -> Path:
    save_file(to_open_clip(vit.state_dict()), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.fixture
def known(vit: CLIP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The small architecture as one that open_clip knows."""
    import open_clip.factory

    from clipviz.weights import config_to_open_clip, shapes

    monkeypatch.setitem(
        open_clip.factory._MODEL_CONFIGS, "small", config_to_open_clip(vit.config) | {"quick_gelu": False}
    )
    shapes._architectures.cache_clear()
    yield "small"
    shapes._architectures.cache_clear()


def test_what_is_ambiguous_is_asked_by_name(file: Path, vit: CLIP) -> None:
    with pytest.raises(ModelError, match=r'add activation="quick_gelu".*or activation="gelu"'):
        read_file(file, None, **TOLD)
    with pytest.raises(ModelError, match=r"\(mean and std\).*by name.*mean=\(0\.48145466"):
        read_file(file, True)
    with pytest.raises(ModelError, match=r"number of heads.*no architecture of open_clip has these shapes: name"):
        read_file(file, True, **TOLD)


def test_a_known_architecture_needs_no_name(file: Path, vit: CLIP, known: str) -> None:
    found = read_file(file, True, **TOLD)
    assert fingerprint(found.clip) == fingerprint(vit)
    assert found.clip.config == vit.config
    assert found.preprocess == {"mean": [0.5] * 3, "std": [0.5] * 3}
    assert fingerprint(read_file(file, False, name=known, **TOLD).clip) == fingerprint(vit)


def test_two_architectures_of_one_shape_are_named(file: Path, vit: CLIP, known: str, monkeypatch) -> None:
    import open_clip.factory

    from clipviz.weights import config_to_open_clip

    other = dataclasses.replace(vit.config, text=dataclasses.replace(vit.config.text, heads=4), quick_gelu=False)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "other", config_to_open_clip(other))
    with pytest.raises(ModelError, match=r"other and small fit alike: name the architecture"):
        read_file(file, True, **TOLD)
    assert read_file(file, True, name="other", **TOLD).clip.config.text == TextConfig(16, width=64, heads=4, layers=2)


def test_a_name_that_does_not_fit(file: Path) -> None:
    with pytest.raises(ModelError, match=r"do not fit.*missing"):
        read_file(file, True, name="RN50", **TOLD)
    with pytest.raises(ModelError, match=r"Did you mean"):
        read_file(file, True, name="ViT-B-23", **TOLD)
    # an architecture called -quickgelu tells the activation itself
    with pytest.raises(ModelError, match=r"do not fit"):
        read_file(file, None, name="ViT-B-32-quickgelu", **TOLD)


def test_what_is_no_clip_is_told(tmp_path: Path) -> None:
    save_file({"fc.weight": torch.ones(2, 2)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"not those of a CLIP.*begins with fc\.weight"):
        read_file(tmp_path / "w.safetensors", True, **TOLD)


def test_files_in_the_names_of_transformers(vit: CLIP, known: str, tmp_path: Path) -> None:
    state = {k: v.clone().contiguous() for k, v in to_huggingface(vit.state_dict()).items()}
    save_file(state, tmp_path / "w.safetensors")
    assert fingerprint(read_file(tmp_path / "w.safetensors", True, **TOLD).clip) == fingerprint(vit)
    halves = {name: f"{i % 2}.safetensors" for i, name in enumerate(state)}
    for i in range(2):
        save_file({k: v for k, v in state.items() if halves[k] == f"{i}.safetensors"}, tmp_path / f"{i}.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": halves}))
    assert fingerprint(read_file(tmp_path / "model.safetensors.index.json", True, **TOLD).clip) == fingerprint(vit)
    (tmp_path / "1.safetensors").unlink()
    with pytest.raises(ModelError, match=r"holds 1 of 2 shards: put 1\.safetensors"):
        read_file(tmp_path / "model.safetensors.index.json", True, **TOLD)
    with pytest.raises(ModelError, match=r"no architecture|not those|do not fit|missing"):
        read_file(tmp_path / "0.safetensors", True, **TOLD)


def test_another_input_size_equals_open_clips(file: Path, vit: CLIP, known: str) -> None:
    from types import SimpleNamespace

    from open_clip.model import resize_pos_embed

    found = read_file(file, True, image_size=48, **TOLD)
    state = to_open_clip(vit.state_dict())
    resize_pos_embed(state, SimpleNamespace(visual=SimpleNamespace(grid_size=(6, 6))))
    torch.testing.assert_close(found.clip.visual.positional_embedding.data, state["visual.positional_embedding"])
    assert found.clip.config.vision.grid == 6
    for size in (50, 0, -8, 4):
        with pytest.raises(ModelError, match=r"no multiple of the model's 8 px cells: take"):
            read_file(file, True, image_size=size, **TOLD)


def test_a_file_of_an_architecture_that_open_clip_runs(vit: CLIP, file: Path, monkeypatch) -> None:
    import open_clip.factory

    from clipviz.weights import OtherNetwork, config_to_open_clip

    config = config_to_open_clip(vit.config)
    config["vision_cfg"]["pool_type"] = "avg"
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "averaged", config)
    found = read_file(file, None, name="averaged", **TOLD).clip
    assert isinstance(found, OtherNetwork)
    assert torch.equal(found.module.visual.proj, vit.visual.proj)
