"""A look before a run: what it says is what training will do, and it leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clipviz.errors import DataError, InputError, SpecError
from clipviz.training import read_recipe
from clipviz.training.batches import Batches
from clipviz.training.checked import duration
from clipviz.training.preview import check
from clipviz.training.trial import Kept

MODEL = {"width": 32, "head_width": 16, "layers": 2, "embed_dim": 16, "text_width": 32, "image_size": 32}
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200), "a very long name of a colour that nobody says": (9, 9, 9)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve pictures listed in a CSV file, of which one is damaged and two say nothing."""
    rows = ["path,caption"]
    for i in range(12):
        name, colour = list(COLOURS.items())[i % 3]
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'' if i in (4, 7) else name}")
    (tmp_path / "5.png").write_bytes(b"no picture at all")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "list.csv"


def recipe(path: Path, **changes: object) -> dict[str, object]:
    source = {"path": str(path), "caption": "caption", "name": "colours"}
    optim = {"samples": 64, "batch": 8}
    return {"name": "toy", "threads": 1, "model": MODEL, "data": {"sources": [source]}, "optim": optim, **changes}


def test_counts_what_is_in_the_data(data: Path) -> None:
    before = sorted(data.parent.rglob("*"))
    found = check(recipe(data), changes=["model.context_length=8"], steps=False)
    assert sorted(data.parent.rglob("*")) == before, "nothing is written"
    row = found.sources[0]
    assert (row["source"], row["pictures"], row["with a caption"], row["empty, dropped"]) == ("colours", 12, 10, 2)
    c = found.captions
    assert (c["pictures with a caption"], c["distinct things said"], c["captions counted"]) == (10, 3, 64)
    assert (c["tokens, least"], c["tokens, median"], c["tokens, most"]) == (3, 3, 12)
    assert 0.3 < c["cut at the context length"] < 0.5 and c["say the same as another of their batch"] > 0.8
    assert sum(share for _, share in found.frequent) == pytest.approx(1)
    assert any("multi_positive" in note for note in found.notes) and any("empty caption" in n for n in found.notes)
    assert [(source, name) for source, name, _ in found.damaged] == [("colours", "5.png")]
    assert "seconds in all" not in found.run and "no step was tried" in repr(found)


def test_the_sheet_shows_what_the_network_is_shown(data: Path, tmp_path: Path) -> None:
    found = check(recipe(data), changes=["model.context_length=8"], steps=False)
    real = Batches(read_recipe(recipe(data), ["model.context_length=8"]), tmp_path / "cache")[0]
    assert np.array_equal(found.pictures, real.pixels.numpy())
    for pixels, text in zip(found.pictures, found.shown, strict=True):
        (name,) = [name for name in COLOURS if name.startswith(text)]
        assert abs(pixels.astype(int) - COLOURS[name]).max() < 8
    assert "a very long name of a" in found.shown, "cut as the tokens are"


def test_steps_are_tried_and_counted_up(data: Path) -> None:
    found = check(recipe(data, optim={"samples": 640, "batch": 8, "keep_patches": 0.5, "full_from": 0.5}))
    run = found.run
    assert (run["steps"], run["pairs tried a step"]) == (80, 8)
    assert run["seconds a step"] == pytest.approx(run["seconds to read a step"] + run["seconds to compute a step"])
    assert run["seconds in all"] == pytest.approx(80 * run["seconds a step"])
    memory = found.memory
    assert memory["weights"] == memory["gradients"] and memory["Adam's statistics"] >= 2 * memory["weights"]
    assert memory["kept for the backward pass"] > 8 * 16 * 32 * 4 * 10  # pictures x tokens x width, of each of some


def test_micro_batches_and_recomputing_take_less_memory(data: Path) -> None:
    def kept(**memory: object) -> int:
        return check(recipe(data, memory=memory)).memory["kept for the backward pass"]

    whole = kept()
    assert kept(micro_batch=2) < 0.4 * whole
    assert kept(checkpoint_activations=True) < 0.6 * whole


def test_what_is_kept_is_let_go(data: Path) -> None:
    weights = torch.nn.Linear(4, 4)
    kept = Kept(weights)
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
        x = torch.ones(10, 4)
        y = weights(x).exp()
        assert kept.now == 2 * x.untyped_storage().nbytes(), "the input, and exp's result once; no weights"
        y.sum().backward()
    del y
    assert kept.now == 0 and kept.peak == 2 * x.untyped_storage().nbytes()


def test_drawn_pictures_are_sampled_and_it_is_said(tmp_path: Path) -> None:
    source = {"kind": "scenes", "n": 100_000, "level": "easy", "caption": "caption"}
    found = check({"model": MODEL, "data": {"sources": [source]}, "optim": {"samples": 640, "batch": 8}}, steps=False)
    assert found.sources[0]["pictures"] == 100_000 and found.sources[0]["looked at"] == 64
    assert any("first 64 of 100000" in note for note in found.notes)


def test_saved_by_suffix(data: Path, tmp_path: Path) -> None:
    found = check(recipe(data), steps=False)
    numbers = json.loads(found.save(tmp_path / "x.json").read_text())
    assert numbers["captions"]["distinct things said"] == 3 and numbers["damaged"][0][1] == "5.png"
    page = found.save(tmp_path / "x.html").read_text()
    assert "5.png" in page and "multi_positive" in page and page.count("data:image/png") == 1
    assert Image.open(found.save(tmp_path / "x.png")).width > 600
    assert set(found.to_pandas()["section"]) >= {"source colours", "captions", "run", "frequent", "damaged"}
    with pytest.raises(InputError, match=r"\.html, \.png, \.json"):
        found.save(tmp_path / "x.txt")


def test_a_recipe_that_cannot_run_is_told_before_it_runs(data: Path) -> None:
    with pytest.raises(SpecError, match="batch"):
        check(recipe(data), changes=["optim.batchs=4"])
    with pytest.raises(DataError, match="larger than the data"):
        check(recipe(data, optim={"samples": 64, "batch": 32}), steps=False)
    source = {"path": str(data), "caption": "captain"}
    with pytest.raises(DataError, match="caption"):
        check(recipe(data, data={"sources": [source]}), steps=False)
    dev = {"sources": [{"path": str(data), "caption": "caption"}], "dev": [{"path": str(data), "caption": "caption"}]}
    assert any("in its dev half" in note for note in check(recipe(data, data=dev), steps=False).notes)


def test_durations_are_said_in_their_own_units() -> None:
    said = [duration(s) for s in (0.0421, 7, 200, 9000, 400_000)]
    assert said == ["42.1 ms", "7.0 seconds", "3.3 minutes", "2.5 hours", "4.6 days"]
