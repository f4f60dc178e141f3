import csv
import json

import pytest
import torch
from PIL import Image

import clipviz
from clipviz.errors import DataError, SpecError
from clipviz.synth import pairs
from clipviz.training import loop, model_at, read_recipe, train
from clipviz.weights import read_folder


def lines_of(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def same(a, b):
    one, other = (read_folder(folder).clip.state_dict() for folder in (a, b))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def run(tmp_path_factory, toy_recipe):
    out = tmp_path_factory.mktemp("run") / "toy"
    return out, train(toy_recipe, out=out, quiet=True)


def test_a_run_lowers_the_loss_and_writes_it_down(toy, tmp_path):
    train(toy, out=tmp_path, quiet=True, changes=["optim.samples=1920", "keep.log_steps=20"])
    lines = lines_of(tmp_path)
    assert [line["step"] for line in lines] == [20, 40, 60, 80, 100, 120]
    assert lines[-1]["samples"] == 1920 and lines[-1]["loss"] < lines[0]["loss"] - 0.1, lines
    assert set(lines[0]) == {
        "step", "samples", "loss", "learning_rate", "gradient_norm", "logit_scale", "samples_per_second", "skipped"
    }  # fmt: skip


def test_the_model_folder_is_whole(run):
    _, folder = run
    weights = read_folder(folder)
    assert weights.clip.config.text.vocab_size == 49408 and weights.clip.config.quick_gelu
    card = weights.card
    assert card["recipe"]["name"] == "toy" and card["samples_seen"] == 320
    assert set(card["held_out_pairs"]) == {" ".join(pair) for pair in pairs("unseen")}
    assert {"red", "circle"} <= set(card["training_classes"]) and "dog" not in card["training_classes"]
    table = weights.clip.text.token_embedding.weight
    assert table.shape[0] == 49408 and table.std(dim=1).min() > 0
    assert weights.seen_token_ids is not None and 49407 in weights.seen_token_ids
    model = clipviz.load(folder)
    assert model.unseen("a red circle") == [] and model.unseen("a nurse") == ["nurse"]


def test_the_record_says_what_the_run_is_made_of(run):
    out, _ = run
    record = json.loads((out / "run.json").read_text())
    assert read_recipe(record["recipe"]).name == "toy" and record["seed"] == 0 and record["steps"] == 20
    assert record["data"]["scenes"]["pictures"] == 48 and len(record["data"]["scenes"]["fingerprint"]) == 64
    (part,) = record["parts"]
    assert torch.__version__.startswith(part["versions"]["torch"]) and part["processes"] == 1 and part["step"] == 0


def test_the_last_checkpoints_are_kept_and_each_gives_a_model(run):
    out, folder = run
    assert sorted(path.name for path in (out / "checkpoints").glob("step-*")) == [
        f"step-{step:09d}.pt" for step in (10, 15, 20)
    ]
    assert same(model_at(out), folder) and not same(model_at(out, 10), folder)
    assert clipviz.load(model_at(out, 15)).card["samples_seen"] == 240
    assert clipviz.load(model_at(out, 0)).card["samples_seen"] == 0 and not same(model_at(out, 0), model_at(out, 10))
    with pytest.raises(DataError, match=r"step 5 .* there are \[10, 15, 20\]"):
        model_at(out, 5)


class Pulled(Exception):
    """Stands for the end of the process; SIGKILL itself is in test_killed.py."""


@pytest.mark.parametrize("at", [3, 12, 15])
def test_a_stopped_run_goes_on_to_the_same_weights(run, toy, tmp_path, monkeypatch, at):
    _, folder = run
    one = loop.Run._one

    def pulled(self, batch):
        if batch.step == at:
            raise Pulled
        return one(self, batch)

    monkeypatch.setattr(loop.Run, "_one", pulled)
    with pytest.raises(Pulled):
        train(toy, out=tmp_path, quiet=True)
    monkeypatch.undo()
    assert same(train(toy, out=tmp_path, resume=True, quiet=True), folder)
    assert [line["step"] for line in lines_of(tmp_path)] == list(range(2, 21, 2))
    clock = ("samples_per_second",)
    assert [{k: v for k, v in a.items() if k not in clock} for a in lines_of(tmp_path)] == [
        {k: v for k, v in b.items() if k not in clock} for b in lines_of(folder.parent)
    ]
    assert read_folder(tmp_path / "model").card["resumed_at"] == ([] if at < 5 else [at // 5 * 5])


def test_a_run_that_is_done_writes_the_same_model_again(run, toy, tmp_path):
    out = tmp_path / "again"
    folder = train(toy, out=out, quiet=True)
    before = (folder / "open_clip_model.safetensors").read_bytes()
    assert (train(toy, out=out, resume=True, quiet=True) / "open_clip_model.safetensors").read_bytes() == before


def test_a_folder_with_a_run_is_not_written_over(run, toy):
    out, _ = run
    with pytest.raises(DataError, match="already holds a run: pass resume=True"):
        train(toy, out=out, quiet=True)
    with pytest.raises(SpecError, match=r"optim\.samples=320"):
        train(toy, out=out, resume=True, quiet=True, changes=["optim.batch=8", "optim.samples=160"])
    with pytest.raises(SpecError, match=r"model\.width"):
        train(toy, out=out, resume=True, quiet=True, changes=["model.width=64"])


def test_damaged_pictures_are_passed_over_and_listed(toy, tmp_path):
    for i in range(20):
        (tmp_path / "p" / f"{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 60), (12 * i, 0, 0)).save(tmp_path / "p" / f"{i % 2}" / f"{i}.png")
    (tmp_path / "p" / "1" / "7.png").write_text("no picture")
    toy["data"]["sources"] = [{"path": str(tmp_path / "p"), "name": "p", "captions": [{"templates": ["a {label}"]}]}]
    train(toy, out=tmp_path / "run", quiet=True)
    (row,) = csv.DictReader((tmp_path / "run" / "skipped.csv").read_text().splitlines())
    assert (row["source"], row["id"]) == ("p", "1/7.png") and int(row["times"]) == 16  # once a lap of twenty pictures
    assert lines_of(tmp_path / "run")[-1]["skipped"] == 16


def test_other_data_under_a_run_are_refused(toy, tmp_path):
    for i in range(20):
        (tmp_path / "p" / f"{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 60), (12 * i, 0, 0)).save(tmp_path / "p" / f"{i % 2}" / f"{i}.png")
    toy["data"]["sources"] = [{"path": str(tmp_path / "p"), "name": "p", "captions": [{"templates": ["a {label}"]}]}]
    train(toy, out=tmp_path / "run", quiet=True)
    classes = tmp_path / "classes.json"
    source = {**toy["data"]["sources"][0], "classes": str(classes)}
    named = {**toy, "data": {"sources": [source]}}
    classes.write_text('[{"label": "0", "names": ["cat"]}, {"label": "1", "names": ["dog"]}]')
    train(named, out=tmp_path / "named", quiet=True)
    classes.write_text('[{"label": "0", "names": ["car"]}, {"label": "1", "names": ["tree"]}]')
    with pytest.raises(DataError, match="'p' is not what the run"):
        train(named, out=tmp_path / "named", resume=True, quiet=True)
    Image.new("RGB", (60, 60)).save(tmp_path / "p" / "1" / "7.png")
    with pytest.raises(DataError, match="'p' is not what the run"):
        train(toy, out=tmp_path / "run", resume=True, quiet=True)


def test_the_run_is_scored_on_dev_and_the_best_is_kept(toy, tmp_path):
    easy = {"kind": "scenes", "name": "easy", "n": 60, "level": "easy", "draw_seed": 5, "caption": "caption"}
    toy["data"]["dev"] = [easy]
    with pytest.raises(DataError, match="no training caption has"):
        train(
            {
                **toy,
                "data": {
                    **toy["data"],
                    "dev": [{**easy, "caption": "", "captions": [{"templates": ["naming {shape}"]}]}],
                },
            },
            out=tmp_path / "no",
            quiet=True,
        )
    toy["model"]["vocabulary"] = "all"
    train(toy, out=tmp_path, quiet=True, changes=["keep.dev_steps=10", "keep.steps=0"])
    scored = [line for line in lines_of(tmp_path) if "dev.easy.top1" in line]
    assert [line["step"] for line in scored] == [10, 20]
    assert all(0 <= line["dev.easy.top1"] <= 1 and 0 < line["dev.easy.chance"] < 0.2 for line in scored)
    best = torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)
    assert best["best"] == max(line["dev.easy.top1"] for line in scored)


def test_torch_is_left_as_it_was(toy, tmp_path):
    torch.manual_seed(1)
    before = torch.random.get_rng_state(), torch.get_num_threads()
    train(toy, out=tmp_path, quiet=True, changes=["optim.samples=32"])
    assert torch.equal(torch.random.get_rng_state(), before[0]) and torch.get_num_threads() == before[1]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    "changes",
    [
        ["loss.texts=all", "loss.local_weight=0.5", "optim.keep_patches=0.5"],
        ["memory.micro_batch=5", "memory.checkpoint_activations=true"],
        ["memory.precision=bfloat16", "memory.half_moments=true", "memory.half_text=true"],
        ["memory.precision=float64", "loss.multi_positive=false"],
        ["model.text=cbow", "model.vocabulary=all"],
    ],
)
def test_every_switch_runs_and_resumes_to_the_same_weights(toy, tmp_path, monkeypatch, changes):
    changes = [*changes, "optim.samples=128"]
    whole = train(toy, out=tmp_path / "whole", quiet=True, changes=changes)
    one = loop.Run._one

    def pulled(self, batch):
        if batch.step == 6:
            raise Pulled
        return one(self, batch)

    monkeypatch.setattr(loop.Run, "_one", pulled)
    with pytest.raises(Pulled):
        train(toy, out=tmp_path / "parts", quiet=True, changes=changes)
    monkeypatch.undo()
    assert same(train(toy, out=tmp_path / "parts", resume=True, quiet=True, changes=changes), whole)
