"""The recipes that ship: all are read, the small ones run, and the paper's nine have the paper's figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import clipviz
from clipviz import assets
from clipviz.clip import CBOW, ResNetConfig
from clipviz.training import read_recipe, train
from clipviz.training.network import on_meta, shape_of
from clipviz.training.optim import make_optimizer, rate

ROOT = Path(__file__).parents[2]
PAPER = ["RN50", "RN101", "RN50x4", "RN50x16", "RN50x64", "ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-L-14-336"]
SMALL = ["tiny", "scenes", "objectives", "cbow", "finetune", "planted_bias"]


@pytest.fixture(scope="module")
def facts(shared):
    return json.loads((shared / "facts" / "clip_paper.json").read_text(encoding="utf-8"))


def test_these_recipes_ship_and_no_others():
    found = {name for name in assets.names("train") if name.endswith(".toml")}
    assert found == {f"{name}.toml" for name in SMALL} | {f"paper/{name}.toml" for name in PAPER}


@pytest.mark.parametrize("name", [*SMALL, *(f"paper/{name}" for name in PAPER)])
def test_a_shipped_recipe_is_read_by_its_name(name):
    path = assets.find("train", name)
    recipe = read_recipe(path)
    assert read_recipe(recipe.to_dict()) == recipe
    assert recipe.warm_steps < recipe.steps
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any(f"train {name} " in line for line in head) or name == "objectives", "it says how it is run"


@pytest.mark.parametrize("name", PAPER)
def test_a_recipe_of_the_paper_has_its_hyper_parameters(name, facts):
    """A dry run: the whole network on the meta device, its optimizer, and the rate of every kind of step."""
    recipe = read_recipe(assets.find("train", f"paper/{name}"))
    said, row = (
        facts["training"],
        dict(zip(facts["architectures"]["columns"], facts["architectures"][name], strict=True)),
    )
    epochs = 1 if name == "ViT-L-14-336" else said["epochs"]
    assert recipe.optim.batch == said["batch"] and recipe.optim.samples == epochs * 400_000_000
    assert recipe.steps == epochs * 400_000_000 // 32768 and recipe.warm_steps == said["warmup_steps"]
    assert recipe.optim.weight_decay == said["weight_decay"] and recipe.optim.learning_rate == row["learning_rate"]
    assert rate(recipe, recipe.warm_steps) == row["learning_rate"] and rate(recipe, recipe.steps) < 1e-15

    clip = on_meta(recipe.model)
    parameters = list(clip.parameters())
    assert all(p.is_meta for p in parameters)
    assert round(sum(p.numel() for p in parameters) / 1e6, 2) == row["params_M"]
    assert clip.config.vision.image_size == row["resolution"] and clip.config.embed_dim == row["embed_dim"]
    assert clip.config.text.context_length == 77 and clip.config.quick_gelu
    optimizer = make_optimizer(clip, recipe)
    resnet = isinstance(clip.config.vision, ResNetConfig)
    adam = said["adam"]["resnet" if resnet else "vit"]
    for group in optimizer.param_groups:
        assert (*group["betas"], group["eps"]) == (adam["beta1"], adam["beta2"], adam["eps"])
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(parameters)
    assert recipe.memory.half_moments and recipe.memory.half_text and recipe.memory.checkpoint_activations
    assert recipe.data.sources[0].crop == (1.0, 1.0) and not recipe.data.sources[0].flip
    assert recipe.memory.micro_batch == 0 or not resnet, "a batch norm must see its whole batch"


@pytest.mark.parametrize("name", PAPER[:-1])
def test_its_pictures_are_of_its_resolution(name, facts):
    shape = shape_of(read_recipe(assets.find("train", f"paper/{name}")))
    row = dict(zip(facts["architectures"]["columns"], facts["architectures"][name], strict=True))
    assert shape.image_size == row["resolution"]
    assert shape.grid == (None if row["patch"] is None else row["resolution"] // row["patch"])


def test_the_larger_resolution_begins_from_the_smaller_ones_weights():
    recipe = read_recipe(assets.find("train", "paper/ViT-L-14-336"))
    assert recipe.model.weights == "runs/ViT-L-14/model" and recipe.model.architecture == "ViT-L-14-336"
    for name in PAPER[:-1]:
        assert not read_recipe(assets.find("train", f"paper/{name}")).model.weights


FEW = ["optim.samples=24", "optim.batch=8", "optim.warm_up=0.0", "keep.log_steps=1", "keep.dev_steps=0"]
PHOTOGRAPHS = ["data.sources.0.cache=false"]


def few_steps(name, out, *changes):
    recipe = read_recipe(ROOT / "train" / f"{name}.toml", [*FEW, *changes])
    assert recipe.steps == 3
    folder = train(recipe, out=out, quiet=True)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    return clipviz.load(folder)


def one_photograph_file(shared):
    data = shared / "data" / "tiny-imagenet"
    return [f"data.sources.0.path={data / 'val-00.parquet'}", f"data.sources.0.classes={data / 'classes.json'}"]


def test_scenes_runs_and_scores_itself(tmp_path):
    few = ["data.sources.0.n=24", "data.sources.1.n=24", "data.dev.0.n=60", "keep.dev_steps=3"]
    model = few_steps("scenes", tmp_path, *few)
    assert model.grid == (7, 7) and model.unseen("a red circle") == []
    last = json.loads((tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert 0 <= last["dev.easy.top1"] <= 1 and 0 < last["dev.easy.chance"] < 0.2


def test_cbow_runs_and_its_texts_have_no_order(shared, tmp_path):
    model = few_steps("cbow", tmp_path, *PHOTOGRAPHS, *one_photograph_file(shared), "data.sources.1.n=24")
    assert isinstance(model.clip.text, CBOW)
    one, other = model.encode_texts(["a red circle", "circle red a"])
    assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("frozen", [[], ["visual"]])
def test_finetune_goes_on_from_the_bundled_model(frozen, shared, tmp_path):
    changes = [*PHOTOGRAPHS, *one_photograph_file(shared), f"model.frozen={json.dumps(frozen)}"]
    model, parent = few_steps("finetune", tmp_path, *changes), clipviz.load()
    assert model.card["parent"]["weights_sha256"] == parent.provenance["weights_sha256"]
    assert model.clip.config == parent.clip.config and parent.seen_token_ids <= model.seen_token_ids
    before, after = parent.clip.state_dict(), model.clip.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert ("visual" in moved) == (not frozen) and "text" in moved
    near = [(before[name] - after[name]).abs().max() < 0.01 for name in before if not name.endswith("embedding.weight")]
    assert all(near), "three steps of a low rate"


def test_finetune_takes_another_model_with_another_shape(shared, tmp_path):
    oc_tiny = shared / "models" / "oc-tiny"
    changes = [*PHOTOGRAPHS, *one_photograph_file(shared), f"model.weights={oc_tiny}"]
    model = few_steps("finetune", tmp_path, *changes)
    assert model.clip.config == clipviz.load(oc_tiny).clip.config
    assert model.card["parent"]["model"] == "oc-tiny"
