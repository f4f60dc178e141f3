"""LeGrad: the numbers of its own wheel, and the definition by autograd and by finite differences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.clip import Config, TextConfig, ViTConfig
from clipviz.clip.taps import Taps
from clipviz.errors import InputError
from clipviz.explanation.registry import find_explainer
from clipviz.explanation.target import Target
from clipviz.model import Look, Model
from clipviz.weights import Weights, build

from ..conftest import small_model

ORACLE = Path(__file__).resolve().parents[3] / "benchmarks" / "oracles" / "legrad.npz"


def legrad(look: Look, target: Target, **options: Any) -> torch.Tensor:
    return find_explainer("legrad", look.model).function(look.model, look, target, **options).maps


@pytest.mark.parametrize("start", [0, -2, -1])
def test_equals_the_wheel_before_its_scaling(start: int) -> None:
    with np.load(ORACLE) as stored:
        kept = {name: stored[name] for name in stored.files}
    about = json.loads(str(kept["about"]))
    assert about["versions"]["legrad_torch"] == "1.1"
    shape = about["vision"]
    config = Config(
        about["embed_dim"],
        ViTConfig(shape["image_size"], shape["patch_size"], shape["width"], shape["layers"], shape["head_width"]),
        TextConfig(context_length=8, vocab_size=16, width=16, heads=1, layers=1),
        quick_gelu=about["quick_gelu"],
    )
    model = Model("oracle", Weights(build(config, None, "the oracle")))
    weights = {name.removeprefix("weights."): w for name, w in kept.items() if name.startswith("weights.")}
    model.clip.visual.load_state_dict({name: torch.from_numpy(w.astype(np.float32)) for name, w in weights.items()})
    look = Look(model, torch.from_numpy(kept["pixels"].astype(np.float32)), None, None)  # type: ignore[arg-type]
    np.testing.assert_allclose(look.unit.numpy(), kept["units"], atol=1e-6)  # the same network
    texts = torch.from_numpy(kept["texts"])
    target = Target(texts, texts[:0], tuple(f"text {i}" for i in range(len(texts))))
    theirs = kept[f"maps.{start}"]
    ours = legrad(look, target, start=start).numpy()
    assert theirs.shape == ours.shape == (2, 5, 4, 4)
    assert np.ptp(theirs, axis=(2, 3)).min() > 0.01 * theirs.max()
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs.max(), rtol=0)
    if start == -2:
        assert torch.equal(legrad(look, target), legrad(look, target, start=-2))  # the wheel's default, and ours


@pytest.fixture(scope="module")
def look() -> Look:
    """Of QuickGELU in float64; the oracle has GELU."""
    model = small_model("vit")
    model.clip.visual.double()
    with torch.no_grad():
        for name, weight in model.clip.visual.named_parameters():
            if name.endswith("bias"):
                weight.add_(torch.linspace(-0.5, 0.5, len(weight)))
    draw = torch.Generator().manual_seed(5)
    return Look(model, torch.randn(2, 3, 64, 64, generator=draw, dtype=torch.float64), None, None)  # type: ignore[arg-type]


def asked(contrast: str) -> Target:
    draw = torch.Generator().manual_seed(6)
    vectors = F.normalize(torch.randn(5, 24, generator=draw, dtype=torch.float64), dim=-1)
    return Target(vectors[:3], vectors[3:], ("a", "b", "c"), ("d", "e"), contrast, 5.0)


def own_score(look: Look, i: int, probs: torch.Tensor, target: Target) -> torch.Tensor:
    """The score [N, P] of the mean token after block i, when its attention is ``probs``."""
    visual = look.model.clip.visual
    stream = f"block.{i - 1}" if i else "embed"
    see = Taps(instead={f"block.{i}.probs": probs})
    tokens = visual.transformer.resblocks[i](look.trace([stream])[stream], f"block.{i}", see)  # [N, T, D]
    return target(F.normalize(visual.ln_post(tokens.mean(dim=1)) @ visual.proj, dim=-1))


@pytest.mark.parametrize("contrast", ["margin", "softmax"])
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_is_the_definition(look: Look, layer: int, contrast: str) -> None:
    target, i = asked(contrast), layer % 3
    probs = look.trace([f"block.{i}.probs"])[f"block.{i}.probs"].clone().requires_grad_()  # [N, H, T, T]
    scores = own_score(look, i, probs, target).sum(dim=0)  # [P]
    found = legrad(look, target, layer=layer)
    for p in range(3):
        (gradient,) = torch.autograd.grad(scores[p], probs, retain_graph=True)
        heads, tokens = gradient.shape[1:3]
        want = np.zeros((2, tokens))
        for n in range(2):
            for h in range(heads):
                for row in range(tokens):
                    want[n] += np.maximum(gradient[n, h, row].numpy(), 0) / (heads * tokens)
        np.testing.assert_allclose(found[:, p].flatten(1).numpy(), want[:, 1:], atol=1e-9 * want.max(), rtol=0)


def test_by_finite_differences(look: Look) -> None:
    target = asked("margin")
    probs = look.trace(["block.1.probs"])["block.1.probs"]
    heads, tokens = probs.shape[1:3]
    found = legrad(look, target, layer=1).flatten(2)
    for patch in (0, 7):
        want = torch.zeros(2, 3, dtype=torch.float64)
        for h in range(heads):
            for row in range(tokens):
                moved = []
                for step in (1e-5, -1e-5):
                    other = probs.clone()
                    other[:, h, row, 1 + patch] += step
                    moved.append(own_score(look, 1, other, target))
                want += ((moved[0] - moved[1]) / 2e-5).clamp(min=0) / (heads * tokens)
        torch.testing.assert_close(found[:, :, patch], want, rtol=1e-5, atol=1e-9)


def test_blocks_add_up(look: Look) -> None:
    target = asked("margin")
    single = [legrad(look, target, layer=i) for i in range(3)]
    torch.testing.assert_close(legrad(look, target, start=0), single[0] + single[1] + single[2])
    torch.testing.assert_close(legrad(look, target), single[1] + single[2])


def test_tells_its_blocks_and_takes_one_way_to_name_them(vit: Model, picture: Image.Image) -> None:
    found = clipviz.explain(picture, "a dog", model=vit, method="legrad")[0, 0]
    assert found.provenance["details"] == {"layer": "block.1 to block.2"}
    with pytest.raises(InputError, match="legrad got start=1 and layer=0: name the first block, or the only one"):
        clipviz.explain(picture, "a dog", model=vit, method="legrad", start=1, layer=0)
