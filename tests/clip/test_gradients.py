"""The gradients of every parameter, and through `tail`, are what a small step shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.autograd import gradcheck
from torch.func import functional_call

from clipviz.clip import CLIP, CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig
from clipviz.clip.figure3 import loss
from clipviz.clip.transformer import BLOCK_TAPS

TEXT = TextConfig(context_length=6, vocab_size=12, width=8, heads=2, layers=2)
VIT = Config(5, ViTConfig(image_size=8, patch_size=4, width=8, layers=2, head_width=4), TEXT)
TINY = {
    "vit, QuickGELU": VIT,
    "vit, GELU": replace(VIT, quick_gelu=False),
    "resnet": Config(5, ResNetConfig(image_size=64, layers=(1, 1, 1, 2), width=2, head_width=16), TEXT),
    "bag of words": replace(VIT, text=CBOWConfig(context_length=6, vocab_size=12, width=8)),
}


@pytest.fixture
def setting(make_random, make_pictures, make_captions):
    def make(kind):
        torch.manual_seed(0)
        clip = make_random(CLIP(TINY[kind])).double()
        with torch.no_grad():
            clip.logit_scale.fill_(0.5)
        return clip, make_pictures(3, clip.config.vision.image_size).double(), make_captions(3, clip.config.text)

    return make


@pytest.mark.parametrize("kind", TINY)
def test_the_loss_differentiates_in_every_parameter(setting, kind):
    clip, pixels, tokens = setting(kind)
    whole = Whole(clip)
    dead = []
    for name, parameter in clip.named_parameters():

        def of(value, name=name):
            return functional_call(whole, {f"clip.{name}": value}, (pixels, tokens))

        value = parameter.detach().clone().requires_grad_()
        # a step that turns no ReLU off; in fast mode the whole tensor is stepped along random directions
        assert gradcheck(of, (value,), eps=1e-7, atol=1e-6, rtol=1e-3, fast_mode=value.numel() > 16), name
        (gradient,) = torch.autograd.grad(of(value), value)
        if gradient.abs().max() < 1e-12:
            dead.append(name)
    # one bias for all keys turns every logit of a softmax by the same: it is written so, and learns nothing
    assert dead == (["visual.attnpool.k_proj.bias"] if kind == "resnet" else [])


class Whole(torch.nn.Module):
    def __init__(self, clip):
        super().__init__()
        self.clip = clip

    def forward(self, pixels, tokens):
        return loss(self.clip, pixels, tokens)


def test_the_loss_differentiates_in_training_mode_too(setting):
    """Where batch norm sees its own batch."""
    clip, pixels, tokens = setting("resnet")
    whole = Whole(clip.train())
    for name in (
        "visual.conv1.weight",
        "visual.bn1.weight",
        "visual.layer3.0.conv2.weight",
        "visual.layer4.1.bn3.bias",
    ):
        buffers = {f"clip.{k}": b.clone() for k, b in clip.named_buffers()}

        def of(value, name=name, buffers=buffers):
            fresh = {k: b.clone() for k, b in buffers.items()}
            return functional_call(whole, {f"clip.{name}": value, **fresh}, (pixels, tokens))

        value = clip.get_parameter(name).detach().clone().requires_grad_()
        assert gradcheck(of, (value,), eps=1e-7, atol=1e-6, rtol=1e-3, fast_mode=True), name


LAST = [
    "embed",
    *(f"block.0.{part}" for part in BLOCK_TAPS),
    "block.0",
    *(f"block.1.{p}" for p in BLOCK_TAPS),
    "features",
]
POOL = ["stem", "stage.1", "stage.2", "stage.3", "stage.4", "pool.q", "pool.k", "pool.v", "pool.probs", "features"]


@pytest.mark.parametrize(("kind", "side", "taps"), [
    ("vit, QuickGELU", "visual", LAST), ("vit, GELU", "visual", LAST), ("vit, GELU", "text", LAST),
    ("resnet", "visual", POOL), ("bag of words", "text", ["embed", "features"]),
])  # fmt: skip
def test_tail_differentiates_in_the_tensor_of_every_tap(setting, kind, side, taps):
    clip, pixels, tokens = setting(kind)
    tower, x = (clip.visual, pixels[:2]) if side == "visual" else (clip.text, tokens[:2])
    assert set(taps) <= set(tower.taps())
    given = tower.trace(x, taps)
    for tap in taps:
        value = given[tap].detach().clone().requires_grad_()
        quick = value.numel() > 200

        def of(value, tap=tap):
            return tower.tail(tap, value, given)

        assert gradcheck(of, (value,), eps=1e-7, atol=1e-6, rtol=1e-3, fast_mode=quick), tap


def test_a_tail_holds_what_stands_beside_it_constant(setting):
    """The gradient at an attention is not mixed with that of the stream it is added to."""
    clip, pixels, _ = setting("vit, GELU")
    pixels = pixels.clone().requires_grad_()
    given = clip.visual.trace(pixels, ["block.1.attn"])
    value = given["block.1.attn"].detach().requires_grad_()
    out = clip.visual.tail("block.1.attn", value, given).sum()
    (at_value, at_pixels) = torch.autograd.grad(out, (value, pixels), allow_unused=True)
    assert at_value.abs().max() > 0 and at_pixels is None
