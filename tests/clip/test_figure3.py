"""The paper's pseudocode, run as numpy, gives what our lines beside it give."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from clipviz.clip import CLIP, CBOWConfig
from clipviz.clip import figure3 as page


def l2_normalize(x, axis):
    return x / np.linalg.norm(x, axis=axis, keepdims=True)


def cross_entropy_loss(logits, labels, axis):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return -log[labels, labels].mean()


@pytest.fixture(scope="module", params=["transformer", "bag of words"])
def clip(request, small, make_random):
    clip = small("vit", torch.float64)
    if request.param == "bag of words":
        torch.manual_seed(0)
        clip = make_random(CLIP(replace(clip.config, text=CBOWConfig(16, 64, 32)))).double()
    return clip


def test_the_pseudocode_runs_and_agrees(clip, make_pictures, make_captions):
    pixels = make_pictures(6, clip.config.vision.image_size).double()
    tokens = make_captions(6, clip.config.text)

    def features(tower, x):
        return tower.trace(torch.from_numpy(x), ["features"])["features"].numpy()

    paper = {
        "np": np, "l2_normalize": l2_normalize, "cross_entropy_loss": cross_entropy_loss,
        "image_encoder": lambda I: features(clip.visual, I.transpose(0, 3, 1, 2)),
        "text_encoder": lambda T: features(clip.text, T),
        "I": pixels.permute(0, 2, 3, 1).numpy(), "T": tokens.numpy(), "n": 6,
        "W_i": clip.visual.proj.numpy(), "W_t": clip.text.text_projection.numpy(), "t": clip.logit_scale.numpy(),
    }  # fmt: skip
    exec(page.FIGURE_3, paper)
    assert clip.config.text.width == paper["T_f"].shape[1]
    assert float(page.loss(clip, pixels, tokens)) == pytest.approx(float(paper["loss"]), rel=1e-10)
    images, texts, scale = clip(pixels, tokens)
    assert np.allclose(images, paper["I_e"], atol=1e-10) and np.allclose(texts, paper["T_e"], atol=1e-10)
    assert np.allclose(scale * images @ texts.T, paper["logits"], atol=1e-10)


def test_a_resnet_has_the_same_loss(small, make_pictures, make_captions):
    clip = small("resnet", torch.float64)
    pixels, tokens = make_pictures(5, 96).double(), make_captions(5, clip.config.text)
    images, texts, scale = clip(pixels, tokens)
    logits = scale * images @ texts.T
    expected = (F.cross_entropy(logits, torch.arange(5)) + F.cross_entropy(logits.T, torch.arange(5))) / 2
    assert torch.isclose(page.loss(clip, pixels, tokens), expected, rtol=1e-12)


def test_every_statement_of_the_paper_stands_above_ours_in_its_order():
    statements = [line for line in page.FIGURE_3.splitlines() if line and not line.startswith("#")]
    lines = [line.strip() for line in inspect.getsource(page.loss).splitlines()]
    quoted = [line.removeprefix("# ") for line in lines if line.startswith("#")]
    assert quoted == statements
    for i, line in enumerate(lines):
        if line.startswith("#"):
            assert lines[i + 1] and not lines[i + 1].startswith("#"), f"nothing of ours under: {line}"
