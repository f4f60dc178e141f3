"""Tags of open_clip: it finds the file, the tag's word on the activation wins, and nothing needs a network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from clipviz.clip import CLIP
from clipviz.errors import ModelError
from clipviz.weights import (
    cached_file,
    config_to_open_clip,
    fingerprint,
    random_weights,
    read_file,
    read_tag,
    to_open_clip,
)


@pytest.fixture
def small(vit: CLIP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small architecture without QuickGELU, of which two tags were trained with and without."""
    import open_clip.factory
    import open_clip.pretrained

    config = config_to_open_clip(dataclasses.replace(vit.config, quick_gelu=False))
    torch.save(to_open_clip(vit.state_dict()), tmp_path / "w.pt")
    told = {"file": str(tmp_path / "w.pt"), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "small", config)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small",
                        {"quick": {**told, "quick_gelu": True}, "plain": told})  # fmt: skip
    return "small"


def test_the_tag_says_the_activation_and_the_preprocessing(small: str, vit: CLIP) -> None:
    for tag, quick in (("quick", True), ("plain", False)):
        found = read_tag(small, tag)
        assert found.clip.config == dataclasses.replace(vit.config, quick_gelu=quick)
        assert fingerprint(found.clip) == fingerprint(vit)
        assert found.preprocess == {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
        assert read_tag(small, tag, quick).clip.config.quick_gelu is quick
        with pytest.raises(ModelError, match=r"plausible, wrong numbers: leave `activation` out"):
            read_tag(small, tag, not quick)
    with pytest.raises(ModelError, match=r"leave `mean` out"):
        read_tag(small, "plain", mean=(0.5, 0.5, 0.5))
    assert read_tag(small, "plain", image_size=48).clip.config.vision.image_size == 48


def test_names_that_are_not_known(small: str) -> None:
    with pytest.raises(ModelError, match=r"'quik' is no tag of small\. Did you mean 'quick'"):
        read_tag(small, "quik")
    with pytest.raises(ModelError, match=r"'ViT-B-31'.*Did you mean 'ViT-B-32'"):
        read_tag("ViT-B-31", "openai")
    with pytest.raises(ModelError, match=r"It has none: load\(name, None\)"):
        read_tag("ViT-M-32", "openai")


def test_without_a_network_the_sentence_names_the_file(tmp_path: Path, monkeypatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"wanted the file 'timm/vit_base_patch32_clip_224\.openai/open_clip_model"
                                         r"\.safetensors'.*clipviz\.load\(\), which works offline"):  # fmt: skip
        read_tag("ViT-B-32", "openai", cache_dir=tmp_path)


def test_what_is_cached(tmp_path: Path) -> None:
    import open_clip

    told = open_clip.get_pretrained_cfg("ViT-B-32", "openai")
    assert cached_file(told, tmp_path) is None
    snapshot = tmp_path / "models--timm--vit_base_patch32_clip_224.openai"
    (snapshot / "refs").mkdir(parents=True)
    (snapshot / "refs" / "main").write_text("abc")
    file = snapshot / "snapshots" / "abc" / "open_clip_model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert cached_file(told, tmp_path) == file
    assert cached_file({"file": str(file)}) == file
    assert cached_file({"file": str(tmp_path / "nowhere")}) is None
    assert cached_file({"url": "https://x/y.pt"}, tmp_path) is None
    (tmp_path / "y.pt").write_bytes(b"")
    assert cached_file({"url": "https://x/y.pt"}, tmp_path) == tmp_path / "y.pt"


def test_random_weights_have_the_asked_activation_and_size(small: str) -> None:
    assert random_weights(small).clip.config.quick_gelu is False
    assert random_weights(small, True, image_size=48).clip.config.vision.image_size == 48


def test_the_contrary_of_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has quick_gelu.*leave `activation` out"):
        random_weights("ViT-B-32-quickgelu", False)
    with pytest.raises(ModelError, match=r"has quick_gelu.*leave `activation` out"):
        read_file(tmp_path / "w.pt", False, name="ViT-B-32-quickgelu", mean=(0.5,) * 3, std=(0.5,) * 3)
    with pytest.raises(ModelError, match=r"was trained with quick_gelu"):  # its configuration says so, its tag does not
        read_tag("roberta-ViT-B-32", "laion2b_s12b_b32k", False)
