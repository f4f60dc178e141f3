"""Relevance: the rule written out in loops, with gradients taken at the attention itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.explanation.methods.gradients import score_gradients
from clipviz.explanation.registry import find_explainer
from clipviz.explanation.target import Target
from clipviz.model import Look, Model

from ..conftest import small_model


@pytest.fixture(scope="module")
def model() -> Model:
    model = small_model("vit")
    model.clip.visual.double()
    with torch.no_grad():
        for name, weight in model.clip.visual.named_parameters():
            if name.endswith("in_proj_weight"):
                weight.mul_(3)
    return model


@pytest.mark.parametrize("start", [0, 1, -1])
def test_is_the_definition(model: Model, start: int) -> None:
    draw = torch.Generator().manual_seed(4)
    pixels = torch.randn(1, 3, 64, 64, generator=draw, dtype=torch.float64)
    texts = F.normalize(torch.randn(2, 24, generator=draw, dtype=torch.float64), dim=-1)
    look, target = Look(model, pixels, None, None), Target(texts, texts[:0], ("a", "b"))  # type: ignore[arg-type]
    taps = [f"block.{i}.probs" for i in range(start % 3, 3)]
    given = look.trace(taps)
    found = find_explainer("relevance", model).function(model, look, target, start=start)
    for p in range(2):
        tokens = given[taps[0]].shape[-1]
        relevance = np.eye(tokens)
        for tap in taps:
            probs = given[tap][0].numpy()  # [H, T, T]
            gradient = model.logit_scale * score_gradients(model, tap, given, target)[0, p].numpy()
            moved = np.zeros((tokens, tokens))
            for h in range(len(probs)):
                for i in range(tokens):
                    for j in range(tokens):
                        moved[i, j] += max(0.0, gradient[h, i, j] * probs[h, i, j]) / len(probs)
            relevance = relevance + moved @ relevance
        want = relevance[0, 1:]
        assert want.max() > 1e-3
        np.testing.assert_allclose(found[0, p].numpy().ravel(), want, atol=1e-9 * want.max(), rtol=0)


def test_a_probability_has_the_scale_in_it_already(vit: Model, picture: Image.Image) -> None:
    """d p = s p (1 - p) (d cos_0 - d cos_1): the last block's relevance is linear in it where its sign is kept."""
    look, texts = vit.look(picture), ["a dog", "a cat"]
    soft = clipviz.explain([look], texts[0], method="relevance", against=texts[1], contrast="softmax", start=-1)
    margin = clipviz.explain([look], texts[0], method="relevance", against=texts[1], start=-1)
    p = soft[0, 0].score
    want = p * (1 - p) * margin.values  # whose scale is s
    np.testing.assert_allclose(soft.values, want, atol=1e-4 * np.abs(want).max())
