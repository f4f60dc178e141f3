"""A batch in pieces, over processes, in shards, with recomputed blocks: the gradients are the whole batch's at once.

The other side of each comparison is written in this file as loops and plain cross entropy over the whole batch.
"""

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from clipviz.clip.taps import BLIND
from clipviz.errors import SpecError
from clipviz.training.batches import Batches
from clipviz.training.distributed import World
from clipviz.training.recipe import MemoryRecipe, OptimRecipe, Recipe
from clipviz.training.scaling import gradient_scaler
from clipviz.training.step import Step
from clipviz.training.towers import Towers


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


processes, grouped = _beside("processes"), _beside("groups")

EXACT = 1e-6  # relative, of each parameter's gradient


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("gradients")


@pytest.fixture(scope="module")
def naive(out):
    """The loss and the gradients of each case, from one batch and one network."""
    return {name: _naive(name, out / "cache") for name in processes.CASES}


def _naive(name, cache):
    vision, text, settings = processes.CASES[name]
    recipe = processes.recipe(vision.image_size, **settings)
    batch = processes.batch_of(Batches(recipe, cache), processes.STEP, name == processes.BARE)
    clip = processes.network(vision, text)
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (processes.MEAN, processes.STD))
    pixels = (batch.pixels.movedim(-1, 1).double() / 255 - mean) / std
    if batch.keep is None:
        images = clip.visual(pixels)
    else:
        images = clip.visual.pool(clip.visual.embed(pixels, batch.keep))
    images, texts = F.normalize(images, dim=-1), F.normalize(clip.text(batch.tokens), dim=-1)
    true = batch.true if recipe.loss.multi_positive else None
    loss = _loss(clip.logit_scale.exp() * images @ texts.T, true, batch.said)
    if recipe.loss.local_weight:
        best = torch.stack([_patches(clip, pixels, batch.keep) @ t for t in texts], dim=-1).max(dim=1).values
        loss = loss + recipe.loss.local_weight * _loss(clip.logit_scale.exp() * best, true, batch.said)
    loss.backward()
    found = {n: p.grad for n, p in clip.named_parameters()}
    return loss.item(), found | {n: b for n, b in clip.named_buffers() if "running" in n}


def _patches(clip, pixels, keep):
    """What the last block would add to the class token if it looked at that patch alone."""
    visual = clip.visual
    x = visual.embed(pixels, keep)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x, "", BLIND)
    last, width = visual.transformer.resblocks[-1], x.shape[-1]
    weight, bias = last.attn.in_proj_weight[2 * width :], last.attn.in_proj_bias[2 * width :]
    values = last.attn.out_proj(last.ln_1(x)[:, 1:] @ weight.T + bias)
    return F.normalize(visual.ln_post(values) @ visual.proj, dim=-1)


def _loss(logits, true, said):
    if true is None:
        own = torch.arange(len(logits))
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    shown = torch.tensor([[int(s) in row for s in said] for row in true.tolist()])
    return (_one_side(logits, shown) + _one_side(logits.T, shown.T)) / 2


def _one_side(logits, true):
    """For each positive of a row the cross entropy against the row's negatives alone; the mean of the rows' means."""
    rows = []
    for row, positive in zip(logits, true, strict=True):
        if positive.any() and not positive.all():
            each = [F.cross_entropy(torch.cat([p[None], row[~positive]]), torch.tensor(0)) for p in row[positive]]
            rows.append(torch.stack(each).mean())
    return torch.stack(rows).mean()


def _same(found, expected):
    (loss, gradients), (true_loss, true_gradients) = found, expected
    assert loss == pytest.approx(true_loss, rel=EXACT)
    assert gradients.keys() == true_gradients.keys() and "logit_scale" in gradients
    largest = max(g.norm() for g in true_gradients.values())
    for name, true in true_gradients.items():
        # what is zero by mathematics (keys' biases) is noise: a floor far below any gradient that is not
        assert (gradients[name] - true).norm() <= EXACT * true.norm() + 1e-12 * largest, name


@pytest.mark.parametrize("name", processes.CASES)
def test_at_once(name, naive, out):
    found = processes.gradients(World(), out / "cache", {}, {name: processes.CASES[name]})
    _same(found[name], naive[name])


@pytest.mark.parametrize("name", processes.BLIND)
def test_in_pieces(name, naive, out):
    found = processes.gradients(World(), out / "cache", {"micro_batch": 8}, {name: processes.CASES[name]})
    _same(found[name], naive[name])


@pytest.mark.parametrize("name", processes.CASES)
def test_with_recomputed_blocks(name, naive, out):
    memory = {"checkpoint_activations": True, "micro_batch": 9 if name in processes.BLIND else 0}
    found = processes.gradients(World(), out / "cache", memory, {name: processes.CASES[name]})
    _same(found[name], naive[name])


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4])
def test_over_processes(size, naive, out):
    found = grouped.start("gradients", out, size)
    assert set(found) == {"ddp", "ddp in pieces", "fsdp2", "fsdp2 in pieces"}
    for cases in found.values():
        assert len(cases) >= 3
        for name in cases:
            _same(cases[name], naive[name])


def test_the_cases_are_those_that_they_are_called(out):
    """Captions without pictures, pictures without captions, one that shows everything; texts that do not divide."""

    def true(name):
        recipe = processes.recipe(24, **processes.CASES[name][2])
        batch = processes.batch_of(Batches(recipe, out / "cache"), processes.STEP, name == processes.BARE)
        return (batch.true[:, :, None] == batch.said).any(dim=1)

    bare, two = true(processes.BARE), true("two captions")
    assert (~bare.any(dim=0)).any() and (~bare.any(dim=1)).any()
    assert two.all(dim=1).any() and two.shape[1] == 2
    assert true("all captions").shape[1] % 2 == 1


class Saved:
    """Bytes that the backward pass keeps, each storage once, without the weights."""

    def __init__(self, towers):
        self.own = {p.untyped_storage().data_ptr() for p in towers.parameters()}
        self.kept = {}

    def pack(self, tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.own:
            self.kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def bytes(self):
        return sum(self.kept.values())


@pytest.mark.parametrize("vision", [processes.VIT, processes.RESNET])
def test_recomputed_blocks_and_pieces_keep_less(vision, out):
    vision = dataclasses.replace(vision, layers=8) if vision is processes.VIT else vision
    recipe = processes.recipe(vision.image_size)
    batch = processes.batch_of(Batches(recipe, out / "cache"), 0)

    def kept(recompute, rows=64):
        towers = Towers(
            processes.network(vision, processes.TEXT),
            processes.MEAN,
            processes.STD,
            precision="float64",
            recompute=recompute,
        )
        saved = Saved(towers)
        with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda tensor: tensor):
            found = towers(batch.pixels[:rows], None, batch.tokens[:rows])
        assert found["images"].requires_grad
        return saved.bytes

    assert kept(True) < 0.5 * kept(False)
    assert kept(True, rows=8) < 0.2 * kept(True)


def test_batch_norm_is_not_shown_a_piece_unless_it_is_frozen(naive):
    clip = processes.network(processes.RESNET, processes.TEXT)
    with pytest.raises(SpecError, match="batch norm"):
        Step(Towers(clip, processes.MEAN, processes.STD), micro_batch=8)
    clip.visual.requires_grad_(False)
    towers = Towers(clip, processes.MEAN, processes.STD)
    Step(towers, micro_batch=8)
    assert not towers.train().clip.visual.training and towers.clip.text.training


@pytest.mark.parametrize("frozen", ["visual", "text"])
def test_a_frozen_tower_runs_once_and_changes_no_other_gradient(frozen, out):
    recipe = processes.recipe(24)
    batch = processes.batch_of(Batches(recipe, out / "cache"), 0)

    def gradients(micro_batch):
        clip = processes.network(processes.VIT, processes.TEXT)
        tower = getattr(clip, frozen)
        tower.requires_grad_(False)
        runs = []
        tower.transformer.register_forward_pre_hook(lambda *_: runs.append(torch.is_grad_enabled()))
        Step(Towers(clip, processes.MEAN, processes.STD, precision="float64"), micro_batch)(batch)
        return runs, {n: p.grad for n, p in clip.named_parameters() if p.grad is not None}

    (_, whole), (runs, pieces) = gradients(0), gradients(8)
    assert runs == [False] * 8
    assert whole.keys() == pieces.keys() and "logit_scale" in whole
    assert all(torch.allclose(pieces[n], whole[n], rtol=EXACT, atol=1e-12) for n in whole)


def test_pieces_see_the_random_numbers_of_their_first_run(out):
    """With dropout in the text tower the gradient is that of the masks which the loss was computed with."""
    recipe = processes.recipe(24)
    batch = processes.batch_of(Batches(recipe, out / "cache"), 0)

    class Dropped(torch.nn.Module):
        trained = True, True

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1, 8, dtype=torch.float64))
            self.masks = []

        def forward(self, pixels=None, keep=None, tokens=None):
            out = {"scale": self.weight.sum()}
            for name, rows in (("images", pixels), ("texts", tokens)):
                mask = torch.rand(len(rows), 8, dtype=torch.float64)
                self.masks.append(mask)
                out[name] = self.weight * mask
            return out

    towers = Dropped()
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    Step(towers, micro_batch=16)(batch)
    first, second = towers.masks[:8], towers.masks[8:]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    after = torch.random.get_rng_state()
    torch.random.set_rng_state(before)
    [torch.rand(16, 8, dtype=torch.float64) for _ in range(8)]
    assert torch.equal(torch.random.get_rng_state(), after), "chance goes on from where the first run left it"


def test_bfloat16_is_near_float32_at_once_and_in_pieces(out):
    recipe = processes.recipe(24, **{**processes.ALL, "local_weight": 0.5})
    batch = processes.batch_of(Batches(recipe, out / "cache"), 0)

    def gradient(precision, micro_batch):
        clip = processes.network(processes.VIT, processes.TEXT).float()
        towers = Towers(clip, processes.MEAN, processes.STD, local=True, precision=precision)
        found = towers(batch.pixels[:2], None, batch.tokens[:2])
        assert {value.dtype for value in found.values()} == {torch.float32}
        Step(towers, micro_batch, True, 0.5)(batch)
        assert {p.grad.dtype for p in clip.parameters()} == {torch.float32}
        return torch.cat([p.grad.flatten() for p in clip.parameters()])

    full = gradient("float32", 0)
    for micro_batch in (0, 8):
        near = F.cosine_similarity(gradient("bfloat16", micro_batch), full, dim=0)
        assert 0.98 < near < 1 - 1e-7, near


def test_float16_is_refused_where_there_is_no_scaler():
    recipe = Recipe(optim=OptimRecipe(samples=640), memory=MemoryRecipe(precision="float16"))
    with pytest.raises(SpecError, match="bfloat16"):
        gradient_scaler(recipe, torch.device("cpu"))
    assert not gradient_scaler(dataclasses.replace(recipe, memory=MemoryRecipe()), torch.device("cpu")).is_enabled()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="float16 with a scaler is for CUDA")
@pytest.mark.parametrize("micro_batch", [0, 8])
def test_float16_on_cuda_scales_and_unscales(micro_batch, out):
    recipe = processes.recipe(24)
    batch = processes.batch_of(Batches(recipe, out / "cache"), 0)
    batch.pixels, batch.tokens, batch.said = batch.pixels.cuda(), batch.tokens.cuda(), batch.said.cuda()

    def gradient(precision):
        clip = processes.network(processes.VIT, processes.TEXT).float().cuda()
        made = dataclasses.replace(recipe, memory=MemoryRecipe(precision=precision))
        scaler = gradient_scaler(made, torch.device("cuda"))
        towers = Towers(clip, processes.MEAN, processes.STD, precision=precision).cuda()
        optimizer = torch.optim.SGD(clip.parameters(), lr=0.1)
        Step(towers, micro_batch, backward=lambda loss: scaler.scale(loss).backward())(batch)
        scaler.unscale_(optimizer)
        return torch.cat([p.grad.flatten() for p in clip.parameters()])

    near = F.cosine_similarity(gradient("float16"), gradient("float32"), dim=0)
    assert 0.99 < near < 1 - 1e-9


def test_patches_alone_are_for_vision_transformers():
    with pytest.raises(SpecError, match="vision transformer"):
        Towers(processes.network(processes.RESNET, processes.TEXT), processes.MEAN, processes.STD, local=True)
