"""Head decomposition: every addend of the score by its definition, and all of them together the score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.errors import InputError, ModelError
from clipviz.explanation.methods.decomposition import _head_decomposition, addends
from clipviz.explanation.target import Target
from clipviz.model import Look, Model

from ..conftest import small_model

TEXTS = ["a red circle", "the forest"]


@pytest.fixture(scope="module")
def exact() -> Model:
    """A small ViT in float64 in which no bias is 0 and no gain 1, so that none can be forgotten."""
    model = small_model("vit")
    random = torch.Generator().manual_seed(1)
    for name, parameter in model.clip.visual.named_parameters():
        if parameter.ndim == 1:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=random) + (".weight" in name)
    model.clip.visual.double()
    return model


@pytest.fixture(scope="module")
def look(exact: Model, picture: Image.Image) -> Look:
    pixels, frame = exact.prepare(picture, "tiles")  # two tiles
    return Look(exact, pixels.double(), picture, frame)


def asked(model: Model, contrast: str = "margin", others: int = 0) -> Target:
    random = torch.Generator().manual_seed(2)
    unit = F.normalize(torch.randn(2 + others, model.embed_dim, generator=random, dtype=torch.float64), dim=-1)
    names = tuple(f"text {i}" for i in range(others))
    return Target(unit[:2], unit[2:], tuple(TEXTS), names, contrast, model.logit_scale)


@pytest.mark.parametrize(("contrast", "others"), [("margin", 0), ("margin", 2), ("softmax", 2)])
def test_map_and_remainder_are_the_score(exact: Model, look: Look, contrast: str, others: int) -> None:
    target = asked(exact, contrast, others)
    found = _head_decomposition(exact, look, target)
    score = target(F.normalize(exact.clip.visual(look.pixels), dim=-1))  # [N, P]
    assert found.maps.shape == (len(look.pixels), 2, *exact.grid)
    for j, told in enumerate(found.details):
        total = found.maps[:, j].sum(dim=(1, 2)) + torch.tensor(told["remainder"], dtype=torch.float64)
        torch.testing.assert_close(total, score[:, j], atol=1e-9, rtol=0)
        np.testing.assert_allclose(told["completeness_error"], 0, atol=1e-9)
        parts = np.array(list(told["parts"].values()))
        np.testing.assert_allclose(parts.sum(axis=0), told["remainder"], atol=1e-9)
        ours = {name for name, part in told["parts"].items() if np.abs(part).max() > 1e-6}
        assert ours == {"class token", "mlps", "embedding", "biases", "ln_post"} | (
            {"linearisation"} if contrast == "softmax" else set()
        )


def test_each_head_and_token_is_the_definition(exact: Model, look: Look) -> None:
    """(gamma (a - mean a) / sigma) proj . t / norm of one addend a at a time, with the statistics of the whole."""
    target, visual = asked(exact), exact.clip.visual
    found = addends(exact, look, target)
    depth = visual.config.layers
    seen = look.trace([f"block.{i}.{part}" for i in range(depth) for part in ("probs", "v")] + [f"block.{depth - 1}"])
    norm = visual.ln_post
    for n, j in ((0, 0), (1, 1)):
        last = seen[f"block.{depth - 1}"][n, 0]
        sigma = (last.var(correction=0) + norm.eps).sqrt()
        length = (norm(last) @ visual.proj).norm()

        def adds(a: torch.Tensor, j: int = j, sigma: torch.Tensor = sigma, length: torch.Tensor = length) -> float:
            return ((norm.weight * (a - a.mean()) / sigma) @ visual.proj @ target.texts[j] / length).item()

        for layer in range(depth):
            attention = visual.transformer.resblocks[layer].attn
            width = attention.out_proj.weight.shape[0] // attention.heads
            for head in range(attention.heads):
                columns = attention.out_proj.weight[:, head * width : (head + 1) * width]  # [D, d]
                for token in (0, 1, 7, 16):
                    value = seen[f"block.{layer}.v"][n, head, token] @ columns.T
                    addend = seen[f"block.{layer}.probs"][n, head, 0, token] * value
                    assert found.tokens[n, j, layer, head, token].item() == pytest.approx(adds(addend), abs=1e-12)
            assert found.bias[n, j, layer].item() == pytest.approx(adds(attention.out_proj.bias), abs=1e-12)


def test_on_a_trained_model_it_adds_up_in_float64(shared: Path, picture: Image.Image) -> None:
    model = clipviz.load(shared / "models" / "oc-tiny")
    texts = torch.from_numpy(model.encode_texts(["a photo of a lemon"])).double()
    model.clip.visual.double()
    pixels, frame = model.prepare(picture)
    (told,) = _head_decomposition(
        model, Look(model, pixels.double(), picture, frame), Target(texts, texts[:0], ("",))
    ).details
    assert abs(told["completeness_error"]) < 1e-6


def test_layers_add_up(vit: Model, picture: Image.Image) -> None:
    def values(**options: object) -> clipviz.Heatmap:
        return clipviz.explain([picture], TEXTS[:1], model=vit, method="head_decomposition", **options)[0, 0]

    every, alone = values(), [values(layers=i) for i in range(3)]
    np.testing.assert_allclose(sum(one.values for one in alone), every.values, atol=1e-6)
    np.testing.assert_allclose(values(layers=[-1, 0]).values, alone[0].values + alone[2].values, atol=1e-6)
    for one in (every, *alone):
        assert one.values.sum() + one.details["remainder"] == pytest.approx(one.score, abs=1e-5)
    assert alone[1].details["parts"]["other layers"] == pytest.approx(
        every.values.sum() - alone[1].values.sum(), abs=1e-5
    )


def test_another_text_costs_no_pass_and_has_another_map(
    vit: Model, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, passes = vit.look(picture), []
    forward = type(vit.clip.visual).forward
    monkeypatch.setattr(
        type(vit.clip.visual), "forward", lambda self, *a, **k: (passes.append(1), forward(self, *a, **k))[1]
    )
    first, second = (clipviz.explain(look, text, method="head_decomposition")[0, 0] for text in TEXTS)
    assert passes == [1]
    assert np.abs(first.values - second.values).max() > 1e-4
    both = clipviz.explain(look, TEXTS, method="head_decomposition")
    np.testing.assert_allclose(both[0, 1].values, second.values, atol=1e-7)


def test_what_is_refused(vit: Model, picture: Image.Image) -> None:
    for layers in (3, [0, -4], "last", [], True):
        with pytest.raises(InputError, match=r"0 to 2|names no block"):
            clipviz.explain([picture], "a dog", model=vit, method="head_decomposition", layers=layers)
    with pytest.raises(ModelError, match="needs a ViT"):
        clipviz.explain([picture], "a dog", model=small_model("resnet"), method="head_decomposition")
