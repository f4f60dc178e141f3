"""`list_models`: a table of what can be loaded here and now, that agrees with what loading gives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from clipviz.errors import ClipvizWarning, InputError, ModelError
from clipviz.model import Model, list_models
from clipviz.model.catalogue import COLUMNS, _counts, _of_architecture
from clipviz.weights import config_from_open_clip


def test_every_tag_of_open_clip_is_a_row(tmp_path: Path) -> None:
    import open_clip

    list_models(cache_dir=tmp_path)  # imports, and the tables of architectures
    began = time.perf_counter()
    table = list_models(cache_dir=tmp_path)
    assert time.perf_counter() - began < 5
    assert tuple(table.columns) == COLUMNS
    theirs = table[table["source"] == "open_clip"]
    assert set(zip(theirs["name"], theirs["tag"], strict=True)) == set(open_clip.list_pretrained())
    assert not theirs["cached"].any()
    assert theirs[["image_size", "activation", "embed_dim", "kind", "where"]].notna().all(axis=None)
    row = theirs[(theirs["name"] == "ViT-B-32") & (theirs["tag"] == "openai")].iloc[0]
    assert (row["kind"], row["image_size"], row["activation"], row["embed_dim"], row["parameters"]) == (
        "vit", 224, "quick_gelu", 512, 151277313,
    )  # fmt: skip


def test_the_counts_are_those_of_the_models() -> None:
    import open_clip

    assert set(_counts()) == set(open_clip.list_models())
    for name in ("ViT-B-16", "RN50x4", "ViT-H-14", "coca_ViT-B-32", "ViT-B-16-SigLIP", "MobileCLIP-S1"):
        config = open_clip.get_model_config(name)
        custom = config.pop("custom_text", False)
        kind = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP if custom else open_clip.CLIP
        with torch.device("meta"):
            module = kind(**config)
        assert sum(p.numel() for p in module.parameters()) == _counts()[name], name
    uncounted = {name for name, count in _counts().items() if count is None}
    assert uncounted == {
        n for n in open_clip.list_models() if "hf_model_name" in open_clip.get_model_config(n)["text_cfg"]
    }


def test_folders_are_rows_that_say_what_loading_gives(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "models" / "mine")
    (tmp_path / "models" / "notes").mkdir()
    for given in (tmp_path / "models", tmp_path / "models" / "mine"):
        row = list_models(given, source="local").iloc[0]
        told = model.provenance
        assert {k: row[k] for k in ("kind", "image_size", "activation", "embed_dim")} == {
            k: told[k] for k in ("kind", "image_size", "activation", "embed_dim")
        }
        assert (row["name"], row["cached"]) == ("mine", True)
        assert row["parameters"] == sum(p.numel() for p in model.clip.parameters())
    with pytest.raises(ModelError, match=r"is no model folder and holds none"):
        list_models(tmp_path / "models" / "notes")


def test_filters(tmp_path: Path) -> None:
    assert set(list_models(name="siglip2")["kind"]) == {"other"}
    small = list_models(kind="resnet", image_size=[224, 288])
    assert set(small["name"]) <= {"RN50", "RN101", "RN50x4", "RN50-quickgelu", "RN101-quickgelu", "RN50x4-quickgelu"}
    assert len(small) > 3
    assert set(list_models(tag="openai", activation="quick_gelu", image_size=336)["name"]) >= {"ViT-L-14-336"}
    assert len(list_models(cached=True, source="open_clip", cache_dir=tmp_path)) == 0
    for column, value in (("activation", "gelu"), ("kind", "vit"), ("source", "open_clip")):
        assert set(list_models(**{column: value})[column]) == {value}
    assert len(list_models(source="clip")) == 0
    assert len(list_models(activation=["gelu", "quick_gelu"])) == len(list_models())
    assert list(list_models(name="no such").columns) == list(COLUMNS)
    with pytest.raises(InputError, match=r"no column 'activations'. Did you mean 'activation'"):
        list_models(activations="gelu")


def test_none_is_the_rows_without_one(vit: Model, tmp_path: Path) -> None:
    vit.save(tmp_path / "mine")
    untagged = list_models(tmp_path / "mine", tag=None)
    assert "mine" in set(untagged["name"])
    assert set(untagged["source"]) <= {"bundled", "local"}
    both = list_models(tmp_path / "mine", tag=[None, "openai"])
    assert len(both) == len(untagged) + len(list_models(tag=["openai"]))


def test_an_unreadable_folder_is_left_out(vit: Model, tmp_path: Path) -> None:
    vit.save(tmp_path / "good")
    for name, config in (("torn", '{"model_cfg": {'), ("empty", "{}"), ("list", "[]"), ("null", '{"model_cfg": null}')):
        vit.save(tmp_path / name)
        (tmp_path / name / "open_clip_config.json").write_text(config)
    with pytest.warns(ClipvizWarning, match="cannot be read and is left out of the table") as told:
        table = list_models(tmp_path, source="local")
    assert list(table["name"]) == ["good"]
    assert [name for name in ("empty", "list", "null", "torn") if any(f"{name}'" in str(w.message) for w in told)] == [
        "empty", "list", "null", "torn",
    ]  # fmt: skip
    assert {w.filename for w in told} == {__file__}


def test_the_activation_of_what_open_clip_runs() -> None:
    told = {"embed_dim": 8, "vision_cfg": {"image_size": 32, "timm_model_name": "convnext_base"}, "text_cfg": {}}
    quick = {**told, "quick_gelu": True}
    for config, tag, activation in (
        (told, None, "gelu"), (told, False, "gelu"), (told, True, "quick_gelu"),
        (quick, None, "quick_gelu"), (quick, False, "quick_gelu"), (quick, True, "quick_gelu"),
    ):  # fmt: skip
        row = _of_architecture(config, tag)
        assert (row["kind"], row["activation"]) == ("other", activation)
    assert set(list_models(name="roberta-ViT-B-32")["activation"]) == {"quick_gelu"}  # as its cfg says


def test_kind_is_what_the_network_can_look_into() -> None:
    import open_clip

    table = list_models(source="open_clip").drop_duplicates("name")
    for name in table[table["kind"] != "other"]["name"]:
        config_from_open_clip(open_clip.get_model_config(name))
    assert {
        "coca_ViT-B-32",
        "EVA02-B-16",
        "convnext_base",
        "MobileCLIP-S1",
        "nllb-clip-base",
        "ViT-B-16-SigLIP2",
    } <= set(table[table["kind"] == "other"]["name"])
