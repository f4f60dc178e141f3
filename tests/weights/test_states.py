"""Files of weights: every layout gives the same network, and a damaged or hostile one gives a sentence."""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clipviz.clip import CLIP
from clipviz.errors import ModelError
from clipviz.weights import build, fingerprint, from_open_clip, read_state, save_folder, to_open_clip
from clipviz.weights.states import read_shards


def stored(path: Path, clip: CLIP, layout: str, theirs) -> Path:
    state = to_open_clip(clip.state_dict())
    if layout == "safetensors":
        save_file(state, path / "w.safetensors")
        return path / "w.safetensors"
    if layout == "custom":
        state = theirs(clip, custom_text=True).state_dict()
    if layout == "module":
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
        optimizer.param_groups[0]["params"][0].grad = torch.ones(3)
        optimizer.step()
        state = {f"module.{k}": v for k, v in state.items()}
        state = {"epoch": 3, "name": "run", "state_dict": state, "optimizer": optimizer.state_dict()}
    torch.save(state, path / "w.pt", _use_new_zipfile_serialization=layout != "legacy")
    return path / "w.pt"


@pytest.mark.parametrize("layout", ["safetensors", "bin", "legacy", "custom", "module"])
def test_every_file_of_open_clip_holds_the_same_network(layout: str, clip: CLIP, theirs, tmp_path: Path) -> None:
    state = from_open_clip(read_state(stored(tmp_path, clip, layout, theirs)))
    assert fingerprint(build(clip.config, state, "it")) == fingerprint(clip)


def test_a_truncated_file_is_no_model(vit: CLIP, theirs, tmp_path: Path) -> None:
    for layout in ("safetensors", "bin", "legacy"):
        path = stored(tmp_path, vit, layout, theirs)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(ModelError, match=r"damaged|cannot be read"):
            read_state(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"w\.pt"):
        read_state(path)
    with pytest.raises(ModelError, match=r"no weights file"):
        read_state(tmp_path / "nowhere.pt")


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
def test_a_pickle_with_more_than_tensors_is_refused_and_not_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    held = {"w": torch.ones(2)}
    for name, more in (("options", argparse.Namespace(lr=1)), ("trap", Trap())):
        torch.save({**held, name: more}, tmp_path / f"{name}.pt")
        with pytest.raises(ModelError, match=r"more than tensors.*safetensors.torch.save_file"):
            read_state(tmp_path / f"{name}.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError):
        read_state(tmp_path / "plain.pt")
    assert not (tmp_path / "trapped").exists()


def test_what_is_no_state_dict_is_told(tmp_path: Path) -> None:
    for content in ([torch.ones(2)], {"a": 1}, {}, torch.ones(2)):
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(ModelError, match=r"not a state dict"):
            read_state(tmp_path / "w.pt")


def test_what_is_missing_and_left_over_is_named_with_the_likely_cause(vit: CLIP) -> None:
    state = vit.state_dict()
    lacking = dict(list(state.items())[10:])
    with pytest.raises(ModelError, match=r"10 missing \((\S+, ){5}\.\.\.\).*stored in several"):
        build(vit.config, lacking, "it")
    with pytest.raises(ModelError, match=r"2 left over \(x, y\).*another kind"):
        build(vit.config, {**state, "x": torch.ones(1), "y": torch.ones(1)}, "it")
    with pytest.raises(ModelError, match=r"visual\.proj \(64, 25\) for \(64, 24\).*another architecture"):
        build(vit.config, {**state, "visual.proj": torch.ones(64, 25)}, "it")


def test_the_fingerprint_is_of_the_weights_not_of_the_file(vit: CLIP, theirs, tmp_path: Path) -> None:
    changed = {**vit.state_dict(), "visual.proj": vit.visual.proj + 1e-6}
    assert fingerprint(build(vit.config, changed, "it")) != fingerprint(vit)
    save_folder(tmp_path / "m", vit)
    again = read_state(tmp_path / "m" / "open_clip_model.safetensors")
    assert fingerprint(build(vit.config, from_open_clip(again), "it")) == fingerprint(vit)


def test_loading_within_inference_mode_gives_ordinary_tensors(vit: CLIP) -> None:
    with torch.inference_mode():
        clip = build(vit.config, vit.state_dict(), "it")
    assert not any(p.is_inference() or p.requires_grad for p in clip.parameters())
    assert not clip.training


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", 3, None, ["x"]])
def test_shards_lie_beside_their_index(name, tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "x.safetensors", "b": name}}))
    with pytest.raises(ModelError, match=r"names the shard .*beside the index"):
        read_shards(index)
