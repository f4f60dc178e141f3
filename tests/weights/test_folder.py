"""A model as a folder: what it must hold, and what is said where it does not."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import torch

from clipviz.clip import CLIP, CBOWConfig, Config, ViTConfig
from clipviz.errors import InputError, ModelError
from clipviz.files import replace
from clipviz.weights import fingerprint, read_file, read_folder, save_folder, to_open_clip
from clipviz.weights.configs import OtherArchitecture, config_from_open_clip
from clipviz.weights.folder import CONFIG

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


@pytest.fixture
def folder(vit: CLIP, tmp_path: Path) -> Path:
    return save_folder(tmp_path / "m", vit, mean=MEAN, std=STD, seen_token_ids=[5, 3], card={"domain": "toys"})


def edit(folder: Path, change) -> None:
    config = json.loads((folder / CONFIG).read_text())
    change(config)
    (folder / CONFIG).write_text(json.dumps(config))


def test_what_is_saved_is_read(clip: CLIP, tmp_path: Path) -> None:
    save_folder(tmp_path / "m", clip, mean=MEAN, std=STD, interpolation="bilinear", resize_mode="longest")
    found = read_folder(tmp_path / "m")
    assert fingerprint(found.clip) == fingerprint(clip)
    assert found.clip.config == clip.config
    assert found.preprocess == {"mean": list(MEAN), "std": list(STD), "interpolation": "bilinear",
                                "resize_mode": "longest"}  # fmt: skip
    assert found.seen_token_ids is None


def test_seen_tokens_and_the_card_come_along(folder: Path) -> None:
    found = read_folder(folder)
    assert found.seen_token_ids == frozenset({3, 5})
    assert found.card == {"domain": "toys"}


def test_a_bin_holds_the_same_as_safetensors(folder: Path, vit: CLIP) -> None:
    (folder / "open_clip_model.safetensors").unlink()
    torch.save(to_open_clip(vit.state_dict()), folder / "open_clip_pytorch_model.bin")
    assert fingerprint(read_folder(folder).clip) == fingerprint(vit)


def test_only_the_rows_that_occurred(vit: CLIP, tmp_path: Path) -> None:
    whole = save_folder(tmp_path / "a", vit, half=True, seen_token_ids=[7, 9])
    rows = save_folder(tmp_path / "b", vit, half=True, seen_token_ids=[7, 9], only_seen_rows=True)
    size = [sum(p.stat().st_size for p in each.iterdir()) for each in (whole, rows)]
    assert size[1] < size[0] / 5
    first, again = read_folder(rows).clip, read_folder(rows).clip
    assert fingerprint(first) == fingerprint(again)
    table = first.text.token_embedding.weight
    assert torch.equal(table[[7, 9]], vit.text.token_embedding.weight[[7, 9]].half().float())
    assert table[8].std().item() == pytest.approx(0.02, rel=0.5)
    (rows / "seen_tokens.json").unlink()
    with pytest.raises(ModelError, match=r"seen_tokens\.json.*missing"):
        read_folder(rows)


def test_a_bag_of_words_is_saved_and_read(tmp_path: Path) -> None:
    config = Config(24, ViTConfig(32, 8, 64, 2, 64), CBOWConfig(16, 1000, 32))
    clip = CLIP(config).eval()
    found = read_folder(save_folder(tmp_path / "m", clip)).clip
    assert found.config == config
    assert fingerprint(found) == fingerprint(clip)
    with pytest.raises(ModelError, match=r"layout='open_clip'"):
        save_folder(tmp_path / "h", clip, layout="transformers")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.pop("model_cfg"), "no 'model_cfg'"),
        (lambda c: c["model_cfg"].pop("embed_dim"), "no 'embed_dim'"),
        (lambda c: c.pop("preprocess_cfg"), "does not say how pictures are prepared .*0.48145466"),
        (lambda c: c["preprocess_cfg"].pop("std"), r"\(std\)"),
        (lambda c: c["preprocess_cfg"].update(meen=[0, 0, 0]), "unknown key 'meen'. Did you mean 'mean'"),
        (lambda c: c["preprocess_cfg"].update(std=[1, 0, 1]), "positive"),
        (lambda c: c["preprocess_cfg"].update(mean=[0.5]), "not three numbers"),
        (lambda c: c["preprocess_cfg"].update(resize_mode="stretch"), "shortest or longest or squash"),
        (lambda c: c["model_cfg"].update(quikgelu=True), "unknown key 'quikgelu'. Did you mean 'quick_gelu'"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(patchsize=8), "Did you mean 'patch_size'"),
        (lambda c: c["model_cfg"]["text_cfg"].update(with_=8), "unknown key 'with_'"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(width=128), "of another shape.*another architecture"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(layers=3), "12 missing"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(layers=1), "12 left over"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(image_size=[32, 64]), "square"),
        (lambda c: c["model_cfg"].update(vision_cfg=3), "vision_cfg = 3: it is a mapping"),
        (lambda c: c.update(model_cfg=[]), "is a mapping"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(width="64"), "width = '64': a whole number above 0"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(mlp_ratio="4"), "mlp_ratio = '4'"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(layers=[1, 1, 1]), "has 4 stages"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(head_width=7), "they must fit"),
        (lambda c: c["model_cfg"]["text_cfg"].update(heads=7), "must divide it"),
        (lambda c: c["model_cfg"].update(quick_gelu="yes"), "true or false"),
        (lambda c: c.update(preprocess_cfg=3), "is 3: it is a mapping"),
        (lambda c: c["preprocess_cfg"].update(fill_color=300), "0 to 255"),
        (lambda c: c.update(clipviz="x"), "'clipviz': 'x'"),
        (lambda c: c["clipviz"].update(format="new"), "whole number as 'format'"),
        (lambda c: c.update(model_cgf={}), "unknown key 'model_cgf'. Did you mean 'model_cfg'"),
        (lambda c: c["clipviz"].update(format=2, version="9.9"), r"clipviz 9\.9, which is newer"),
    ],
)  # fmt: skip
def test_a_folder_that_does_not_fit_is_refused_in_a_sentence(folder: Path, change, says: str) -> None:
    edit(folder, change)
    with pytest.raises(ModelError, match=says) as told:
        read_folder(folder)
    assert str(told.value).count(". ") <= 2


def test_files_that_are_missing_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"has no open_clip_config\.json"):
        read_folder(tmp_path / "empty")
    with pytest.raises(ModelError, match=r"no such folder"):
        read_folder(tmp_path / "nowhere")
    (folder / CONFIG).write_text("{")
    with pytest.raises(ModelError, match=r"is no JSON"):
        read_folder(folder)
    (folder / CONFIG).write_text("[]")
    with pytest.raises(ModelError, match=r"list, not a mapping"):
        read_folder(folder)


def test_without_weights(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"but no weights: put open_clip_model.safetensors"):
        read_folder(folder)


def test_what_a_folder_does_not_tell_is_asked_and_its_contrary_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"says quick_gelu.*leave `activation` out"):
        read_folder(folder, False)
    assert read_folder(folder, True, mean=MEAN).preprocess["mean"] == list(MEAN)
    with pytest.raises(ModelError, match=r"leave `mean` out"):
        read_folder(folder, mean=(0.5, 0.5, 0.5))
    edit(folder, lambda c: c.pop("preprocess_cfg"))
    assert read_folder(folder, mean=MEAN, std=STD).preprocess == {"mean": list(MEAN), "std": list(STD)}


def test_an_interrupted_save_leaves_the_old_folder_whole(folder: Path, vit: CLIP, monkeypatch) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def interrupted(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr("clipviz.weights.saving.json.dumps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_folder(folder, vit, mean=STD, std=STD)
    with pytest.raises(KeyboardInterrupt):
        save_folder(folder.parent / "new", vit, mean=STD, std=STD)
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    save_folder(folder, vit, mean=STD, std=STD)  # and the next one replaces it: nothing of the old is left
    assert sorted(p.name for p in folder.iterdir()) == [CONFIG, "open_clip_model.safetensors"]


def test_no_other_file_is_lost_by_saving(folder: Path, vit: CLIP) -> None:
    replace(folder / "notes.txt", lambda path: Path(path).write_text("mine"))
    with pytest.raises(InputError, match=r"other files \(notes\.txt\)"):
        save_folder(folder, vit)
    with pytest.raises(InputError, match=r"is a file"):
        save_folder(folder / "notes.txt", vit)
    with pytest.raises(ModelError, match=r"'open_clip' or 'transformers'"):
        save_folder(folder, vit, layout="hugging")
    assert (folder / "notes.txt").read_text() == "mine"


def test_open_clip_reads_what_is_saved(clip: CLIP, tmp_path: Path) -> None:
    import open_clip

    save_folder(tmp_path / "m", clip, mean=MEAN, std=STD)
    module, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'm'}")
    module.eval()
    pixels = torch.randn(2, 3, clip.config.vision.image_size, clip.config.vision.image_size)
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'm'}")(["a dog", "a photo of a cat"])
    with torch.no_grad():
        torch.testing.assert_close(module.encode_image(pixels), clip.visual(pixels), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(module.encode_text(tokens), clip.text(tokens), atol=1e-5, rtol=1e-5)
    assert transform.transforms[-1].mean == list(MEAN) or tuple(transform.transforms[-1].mean) == MEAN


@pytest.mark.parametrize(
    ("text_cfg", "says"),
    [
        ({"tokenizer_kwargs": {"trust_remote_code": True}}, "hands its tokenizer trust_remote_code = True.*take"),
        ({"tokenizer_kwargs": {"clean": 3}}, "clean = 3"),
        ({"tokenizer_kwargs": "x"}, "is a mapping of clean"),
        ({"hf_tokenizer_name": "."}, "is a path or no name"),
        ({"hf_tokenizer_name": "../m"}, "is a path or no name"),
        ({"hf_model_name": "/tmp"}, "is a path or no name"),
        ({"hf_model_name": "inside"}, "is a path or no name"),
        ({"hf_model_name": 3}, "is a path or no name"),
    ],
)
def test_a_hostile_tokenizer_is_refused_and_nothing_runs(folder: Path, monkeypatch, text_cfg: dict, says: str) -> None:
    import open_clip

    trap = folder.parent / "trapped"
    (folder / "evil.py").write_text(f"open({str(trap)!r}, 'w')\nclass Evil: pass\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}))
    (folder / "inside").mkdir()
    edit(folder, lambda c: c["model_cfg"]["text_cfg"].update({"hf_tokenizer_name": "bert-base-uncased"} | text_cfg))
    monkeypatch.setattr(open_clip, "create_model", lambda *a, **k: pytest.fail("open_clip was asked"))
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda *a, **k: pytest.fail("open_clip was asked"))
    with pytest.raises(ModelError, match=says):
        read_folder(folder)
    assert not trap.exists()


def test_open_clips_own_configurations_name_nothing_that_is_refused() -> None:
    import open_clip

    for name in open_clip.list_models():
        with contextlib.suppress(OtherArchitecture):
            config_from_open_clip(open_clip.get_model_config(name))


@pytest.mark.parametrize(
    "seen",
    [{}, *({"seen_token_ids": ids} for ids in ([49408], [-1], ["a"], 3)),
     {"seen_token_ids": [3], "other_rows": {"seed": "x"}}],
)  # fmt: skip
def test_malformed_seen_tokens_are_told(folder: Path, seen: dict) -> None:
    (folder / "seen_tokens.json").write_text(json.dumps(seen))
    with pytest.raises(ModelError, match=r"seen_tokens\.json' has (no 'seen_token_ids'|other_rows)"):
        read_folder(folder)


def test_shards_without_their_index_are_named(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(ModelError, match=r"is part 1 of 2 of a model.*index"):
        read_folder(folder)
    with pytest.raises(ModelError, match=r"is part 1 of 2 of a model.*index"):
        read_file(folder / "model-00001-of-00002.safetensors", True, mean=MEAN, std=STD)


def test_the_contrary_activation_is_refused_where_open_clip_runs_the_folder(folder: Path) -> None:
    edit(folder, lambda c: c["model_cfg"]["vision_cfg"].update(pool_type="avg"))
    with pytest.raises(ModelError, match=r"says quick_gelu.*leave `activation` out"):
        read_folder(folder, False)


def test_tensors_that_open_clip_misses_are_named(folder: Path) -> None:
    edit(folder, lambda c: c["model_cfg"]["vision_cfg"].update(layers=3, pool_type="avg"))
    with pytest.raises(ModelError, match=r"12 missing: visual\.transformer\.resblocks\.2\."):
        read_folder(folder)


def test_the_colour_of_the_padding_is_kept(vit: CLIP, tmp_path: Path) -> None:
    save_folder(tmp_path / "m", vit, resize_mode="longest", fill_color=[1, 2, 3])
    assert read_folder(tmp_path / "m").preprocess["fill_color"] == [1, 2, 3]
