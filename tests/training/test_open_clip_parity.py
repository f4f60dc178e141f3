"""Against open_clip's own trainer, which its wheel ships: same weights, same batches, same losses.

``open_clip_train.train.train_one_epoch`` runs as its ``main`` would call it, with the arguments that its own parser
makes; only the batches and the network are handed to it.
"""

import json
import math
import shutil
from types import SimpleNamespace

import open_clip
import pytest
import torch
from open_clip_train.params import parse_args
from open_clip_train.scheduler import cosine_lr
from open_clip_train.train import train_one_epoch

from clipviz.training import loop, read_recipe, train
from clipviz.training.batches import Batches
from clipviz.training.network import build
from clipviz.training.optim import make_optimizer, rate
from clipviz.training.step import Step
from clipviz.training.towers import Towers
from clipviz.weights import config_to_open_clip, to_open_clip
from clipviz.weights.network import OPENAI_MEAN, OPENAI_STD

STEPS, BATCH = 50, 32
RECIPE = {
    "name": "parity",
    "seed": 3,
    "threads": 1,
    "model": {
        "width": 64, "head_width": 32, "layers": 2, "embed_dim": 32,
        "text_width": 32, "text_layers": 1, "context_length": 16,
    },
    "optim": {"samples": STEPS * BATCH, "batch": BATCH, "learning_rate": 1e-3, "warm_up": 10},
    "keep": {"log_steps": 1, "seconds": 0.0},
    "data": {"sources": [{"kind": "scenes", "n": 200, "captions": [{"templates": ["a {colour} {shape}"]}]}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The folder of a run with nothing in it but its scenes, which are drawn once for all tests."""
    out = tmp_path_factory.mktemp("drawn")
    Batches(read_recipe(RECIPE), out / loop.CACHE)
    return out


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Theirs:
    """open_clip's network with the weights that our recipe begins with, and its trainer around it."""

    def __init__(self, clip, recipe, *options):
        o = recipe.optim
        self.recipe = recipe
        self.clip = open_clip.CLIP(**config_to_open_clip(clip.config), output_dict=True)
        self.clip.load_state_dict(to_open_clip(clip.state_dict()))
        self.args = parse_args(
            ["--model", "ViT-tiny", "--device", "cpu", "--precision", "fp32", "--log-every-n-steps", "1",
             "--wd", str(o.weight_decay), "--lr", str(o.learning_rate), *options]
        )  # fmt: skip
        # what its main sets beside the parser
        self.args.distill, self.args.rank, self.args.world_size, self.args.wandb = False, 0, 1, False
        self.logged = []

    def undecayed(self):
        """The names that its main leaves out of the decay, by its own words."""
        exclude = lambda n, p: p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n  # noqa: E731
        return {n for n, p in self.clip.named_parameters() if exclude(n, p)}

    def train(self, batches, undecayed):
        """One epoch over batches of ours; its loss after each step."""
        args, named = self.args, dict(self.clip.named_parameters())
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for n, p in named.items() if n in undecayed], "weight_decay": 0.0},
                {"params": [p for n, p in named.items() if n not in undecayed], "weight_decay": args.wd},
            ],
            lr=args.lr, betas=(args.beta1, args.beta2), eps=args.eps,
        )  # fmt: skip
        # what it accumulates are the pieces of one batch of ours
        loader = Loader(pair for batch in batches for pair in zip(*self.shown(batch), strict=True))
        loader.num_batches, loader.num_samples = len(loader), len(loader) * BATCH // args.accum_freq
        scheduler = cosine_lr(optimizer, args.lr, self.recipe.warm_steps, self.recipe.steps)
        data = {"train": SimpleNamespace(dataloader=loader, set_epoch=lambda epoch: None)}
        train_one_epoch(
            self.clip, data, open_clip.create_loss(args), 0, optimizer, None, scheduler, None, args, tb_writer=self
        )
        return self.told("contrastive_loss")

    def shown(self, batch):
        """Its pixels and tokens: floats as its transform normalises them, texts padded to the whole context."""
        mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (OPENAI_MEAN, OPENAI_STD))
        pixels = (batch.pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std
        tokens = torch.zeros(len(batch.tokens), self.recipe.model.context_length, dtype=torch.long)
        tokens[:, : batch.tokens.shape[1]] = batch.tokens
        return pixels.chunk(self.args.accum_freq), tokens.chunk(self.args.accum_freq)

    def add_scalar(self, name, value, step):
        """As a TensorBoard writer's: this is where its trainer tells each step's numbers."""
        self.logged.append((name, value))

    def told(self, name):
        return [value for of, value in self.logged if of == f"train/{name}"]


class Loader(list):
    """A list of batches; its trainer asks a loader for two numbers besides."""


def undecayed(clip, recipe):
    """The names, in open_clip's writing, that our optimizer does not decay."""
    groups = make_optimizer(clip, recipe).param_groups
    free = {id(p) for group in groups if group["weight_decay"] == 0 for p in group["params"]}
    named = to_open_clip(dict(clip.named_parameters()))
    return {name for name, parameter in named.items() if id(parameter) in free}


def run(recipe, out, cache):
    """Our losses and logit scales after each step."""
    shutil.copytree(cache, out)
    train(recipe, out=out, quiet=True)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines], [line["logit_scale"] for line in lines]


def farthest(mine, other):
    assert len(mine) == len(other) == STEPS
    return max(abs(a - b) for a, b in zip(mine, other, strict=True))


def test_what_is_decayed_is_what_open_clip_decays():
    recipe = read_recipe(RECIPE)
    clip = build(recipe, None)
    assert undecayed(clip, recipe) == Theirs(clip, recipe).undecayed()


def test_the_learning_rate_is_open_clips_at_every_step():
    recipe, group = read_recipe(RECIPE), {}
    schedule = cosine_lr(SimpleNamespace(param_groups=[group]), recipe.optim.learning_rate, recipe.warm_steps, STEPS)
    for step in range(STEPS):
        schedule(step)
        assert rate(recipe, step) == pytest.approx(group["lr"], rel=1e-12)


CASES = {
    "plain": ([], []),
    "clipped": (["optim.clip_norm=0.5"], ["--grad-clip-norm", "0.5"]),
    "in pieces": (["memory.micro_batch=8", "memory.checkpoint_activations=true"], []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_has_the_losses_of_open_clips_trainer(case, tmp_path, cache):
    """Ours in pieces too: a whole batch of its own is what they must equal."""
    changes, options = CASES[case]
    recipe = read_recipe(RECIPE, changes)
    clip = build(recipe, None)
    theirs = Theirs(clip, recipe, *options)
    batches = Batches(recipe, cache / loop.CACHE)
    other = theirs.train([batches[step] for step in range(STEPS)], undecayed(clip, recipe))
    losses, scales = run(recipe, tmp_path / "run", cache)
    assert farthest(losses, other) < 1e-4
    # it tells the scale that a step began with, ours the one that it left
    assert scales[:-1] == pytest.approx(theirs.told("scale")[1:], abs=2e-3)
    assert other[-1] < other[0] - 0.3, "they learn"


def test_by_open_clips_own_rule_of_decay_and_with_a_scale_that_is_held_at_100(tmp_path, cache, monkeypatch):
    recipe = read_recipe(RECIPE)

    def begun(*arguments):
        clip = build(*arguments)
        clip.logit_scale.data.fill_(math.log(110))
        return clip

    theirs = Theirs(begun(recipe, None), recipe)

    def by_its_rule(clip, recipe):
        optimizer = make_optimizer(clip, recipe)
        names = theirs.undecayed()
        named = to_open_clip(dict(clip.named_parameters()))
        for group in optimizer.param_groups:
            free = group["weight_decay"] == 0
            group["params"] = [p for name, p in named.items() if (name in names) == free]
        return optimizer

    batches = Batches(recipe, cache / loop.CACHE)
    other = theirs.train([batches[step] for step in range(STEPS)], theirs.undecayed())
    monkeypatch.setattr(loop, "build", begun)
    monkeypatch.setattr(loop, "make_optimizer", by_its_rule)
    losses, scales = run(recipe, tmp_path / "run", cache)
    assert farthest(losses, other) < 1e-4
    assert scales[0] == 100.0 == pytest.approx(theirs.told("scale")[1], rel=1e-6)


def test_accumulating_does_not_multiply_the_logit_scales_gradient_as_open_clips_does(cache):
    """In float64, of one batch in four pieces; everything else there is the whole batch's too."""
    recipe = read_recipe(RECIPE)
    batch, clip = Batches(recipe, cache / loop.CACHE)[0], build(recipe, None).double()
    gradients = {}
    for pieces in (0, BATCH // 4):
        clip.zero_grad()
        Step(Towers(clip, OPENAI_MEAN, OPENAI_STD), pieces)(batch)
        gradients[pieces] = to_open_clip({name: p.grad.clone() for name, p in clip.named_parameters()})
    ours, whole = gradients[BATCH // 4], gradients[0]
    theirs = Theirs(build(recipe, None), recipe, "--accum-freq", "4")
    theirs.train([batch], set())
    for name, parameter in theirs.clip.named_parameters():
        assert torch.allclose(ours[name], whole[name], rtol=1e-6, atol=1e-12), name
        times = 4 if name == "logit_scale" else 1
        assert torch.allclose(parameter.grad.double(), times * whole[name], rtol=1e-3, atol=1e-6), name
