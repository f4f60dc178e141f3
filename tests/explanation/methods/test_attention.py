"""The family of attention, by definition, by finite differences, and alike for one text and for many.

Against a second writing of each, from the papers alone: `tests/explanation/test_naive.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.errors import InputError, ModelError
from clipviz.explanation.methods.attended import AT_ONCE
from clipviz.explanation.methods.gradients import score_gradients
from clipviz.explanation.registry import find_explainer
from clipviz.explanation.target import Target
from clipviz.model import Look, Model

from ..conftest import small_model

ALL = ("attention", "rollout", "attention_x_gradient", "grad_eclip", "relevance", "legrad")
BLIND = ("attention", "rollout")
EVERYWHERE = ("attention", "attention_x_gradient", "grad_eclip")
SERVED = [("vit", name) for name in ALL] + [("resnet", name) for name in EVERYWHERE]


def sharp(kind: str) -> Model:
    """In float64, with attention that is far from even, as it is not at initialisation."""
    model = small_model(kind)
    model.clip.visual.double()
    with torch.no_grad():
        for name, weight in model.clip.visual.named_parameters():
            if name.endswith(("in_proj_weight", "q_proj.weight", "k_proj.weight")):
                weight.mul_(3)
            elif name.endswith("in_proj_bias"):
                weight.add_(torch.linspace(-1, 1, len(weight)))
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {kind: sharp(kind) for kind in ("vit", "resnet")}


def seen(model: Model, pictures: int = 1) -> Look:
    draw = torch.Generator().manual_seed(1)
    pixels = torch.randn(pictures, 3, 64, 64, generator=draw, dtype=torch.float64)
    return Look(model, pixels, None, None)  # type: ignore[arg-type]


def asked(texts: int = 2, contrast: str = "margin") -> Target:
    draw = torch.Generator().manual_seed(2)
    vectors = F.normalize(torch.randn(texts + 2, 24, generator=draw, dtype=torch.float64), dim=-1)
    names = tuple(f"text {i}" for i in range(texts))
    return Target(vectors[:texts], vectors[texts:], names, ("d", "e"), contrast, 5.0)


def maps_of(name: str, look: Look, target: Target, **options: Any) -> torch.Tensor:
    found = find_explainer(name, look.model).function(look.model, look, target, **options)
    return getattr(found, "maps", found)


@pytest.mark.parametrize("contrast", ["margin", "softmax"])
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_every_layer_is_the_definition(models: dict[str, Model], layer: int, contrast: str) -> None:
    model, target = models["vit"], asked(2, contrast)
    look, i = seen(model), layer % 3
    given = look.trace([f"block.{i}.{part}" for part in ("q", "k", "v", "probs", "heads")])
    probs, q, k, v = (given[f"block.{i}.{part}"][0].numpy() for part in ("probs", "q", "k", "v"))  # [H, T, ...]
    by_probs = score_gradients(model, f"block.{i}.probs", given, target)[0].numpy()  # [P, H, T, T]
    by_heads = score_gradients(model, f"block.{i}.heads", given, target)[0].numpy()  # [P, H, T, D / H]
    heads, tokens = probs.shape[:2]

    def joined(part: np.ndarray, token: int) -> np.ndarray:
        return np.concatenate([part[h, token] for h in range(heads)])

    alike = []
    for j in range(1, tokens):
        a, b = joined(q, 0), joined(k, j)
        alike.append(a @ b / np.sqrt((a @ a) * (b @ b)))
    for p in range(2):
        attention, product, eclip = np.zeros(tokens - 1), np.zeros(tokens - 1), np.zeros(tokens - 1)
        for j in range(1, tokens):
            for h in range(heads):
                attention[j - 1] += probs[h, 0, j] / heads
                product[j - 1] += probs[h, 0, j] * by_probs[p, h, 0, j]
            loose = (alike[j - 1] - min(alike)) / (max(alike) - min(alike))
            eclip[j - 1] = loose * (joined(by_heads[p], 0) @ joined(v, j))
        for name, want in (("attention", attention), ("attention_x_gradient", product), ("grad_eclip", eclip)):
            got = maps_of(name, look, target, layer=layer)[0, p].numpy()
            assert np.abs(want).max() > 1e-6
            np.testing.assert_allclose(got.ravel(), want, atol=1e-9 * np.abs(want).max(), rtol=0)


@pytest.mark.parametrize("kind, layer", [("vit", 0), ("vit", 2), ("resnet", None)])
def test_attention_x_gradient_by_finite_differences(models: dict[str, Model], kind: str, layer: int | None) -> None:
    """A cell's number is what the score gains, per share, as the class token's attention to it grows in all heads."""
    model, target = models[kind], asked(1)
    look = seen(model)
    found = maps_of("attention_x_gradient", look, target, layer=layer)[0, 0].flatten()

    def score(cell: int, share: float) -> float:
        def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            probs = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)
            probs[:, :, 0, 1 + cell] *= 1 + share
            return probs @ v

        out = model.clip.visual(look.pixels, attend={"pool" if layer is None else layer: attend})
        return target(F.normalize(out, dim=-1)).item()

    for cell in range(len(found)):
        assert (score(cell, 1e-5) - score(cell, -1e-5)) / 2e-5 == pytest.approx(found[cell].item(), rel=1e-4, abs=1e-8)


def test_attention_of_a_resnet_is_that_of_its_pooling(models: dict[str, Model]) -> None:
    model, target = models["resnet"], asked(1)
    look = seen(model)
    given = look.trace(["pool.probs", "pool.v", "features"])
    probs, v = given["pool.probs"][0, :, 0], given["pool.v"][0]  # [H, T], [H, T, C / H]
    by_features = score_gradients(model, "features", given, target)[0, 0].unflatten(0, v.shape[::2])  # [H, C / H]
    product = probs * (v @ by_features[..., None])[..., 0]  # [H, T]
    attention = maps_of("attention", look, target)[0, 0].flatten()
    torch.testing.assert_close(attention, probs.mean(dim=0)[1:])
    found = maps_of("attention_x_gradient", look, target)[0, 0].flatten()
    torch.testing.assert_close(found, product.sum(dim=0)[1:])


@pytest.mark.parametrize("start", [0, 1, -1])
def test_rollout_is_the_product(models: dict[str, Model], start: int) -> None:
    look = seen(models["vit"])
    given = look.trace([f"block.{i}.probs" for i in range(3)])
    tokens = 1 + 4 * 4
    through = np.eye(tokens)
    for i in range(start % 3, 3):
        mean, after = given[f"block.{i}.probs"][0].mean(dim=0).numpy(), np.zeros((tokens, tokens))
        for row in range(tokens):
            for column in range(tokens):
                for k in range(tokens):
                    after[row, column] += (0.5 * mean[row, k] + 0.5 * (row == k)) * through[k, column]
        through = after
    got = maps_of("rollout", look, asked(1), start=start)[0, 0].flatten().numpy()
    np.testing.assert_allclose(got, through[0, 1:], atol=1e-12)
    assert got.sum() == pytest.approx(1 - through[0, 0])  # what is missing is the class token's own


def test_attention_leaves_the_class_token_its_share(models: dict[str, Model]) -> None:
    look = seen(models["vit"])
    got = maps_of("attention", look, asked(1))
    own = look.trace(["block.2.probs"])["block.2.probs"][:, :, 0, 0].mean(dim=1)
    assert got.sum().item() == pytest.approx(1 - own.item())
    assert own.item() > 1e-4


@pytest.mark.parametrize("kind, name", SERVED)
def test_many_texts_are_as_one_at_a_time(models: dict[str, Model], kind: str, name: str) -> None:
    """More of them than are walked back side by side, of two pictures that do not mix."""
    many, both = asked(AT_ONCE + 2), seen(models[kind], 2)
    together = maps_of(name, both, many)
    assert together.shape == (2, AT_ONCE + 2, *models[kind].grid)
    for n in (0, 1):
        alone = Look(models[kind], both.pixels[n : n + 1], None, None)  # type: ignore[arg-type]
        for j in (0, 1, AT_ONCE, AT_ONCE + 1):
            one = Target(many.texts[j : j + 1], many.others, many.names[j : j + 1], many.other_names)
            found = maps_of(name, alone, one)[0, 0]
            torch.testing.assert_close(together[n, j], found, rtol=0, atol=1e-10 * found.abs().max().item())
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("kind, name", SERVED)
def test_says_whether_the_text_matters(models: dict[str, Model], kind: str, name: str) -> None:
    explainer = find_explainer(name, models[kind])
    first, second = maps_of(name, seen(models[kind]), asked(2))[0]
    assert explainer.uses_text == (name not in BLIND)
    assert torch.equal(first, second) != explainer.uses_text
    if not explainer.signed:
        assert first.min() >= 0 and second.min() >= 0


@pytest.mark.parametrize("kind, name", SERVED)
def test_another_text_for_a_look_costs_no_image_pass(
    kind: str, name: str, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(kind)
    look, passes = model.look(picture), []
    forward = type(model.clip.visual).forward
    monkeypatch.setattr(
        type(model.clip.visual), "forward", lambda self, *a, **k: (passes.append(1), forward(self, *a, **k))[1]
    )
    first = clipviz.explain(look, "a red circle", method=name)[0, 0]
    assert passes == [1]
    second = clipviz.explain(look, "the forest", method=name)[0, 0]
    assert passes == [1]
    assert np.array_equal(first.values, second.values) == (name in BLIND)
    assert all(p.grad is None and not p.requires_grad for p in model.clip.parameters())


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("kind, name", SERVED)
def test_in_every_mode_of_the_caller(kind: str, name: str, around: type, picture: Image.Image) -> None:
    model = small_model(kind)
    plain = clipviz.explain(picture, "a red circle", model=model, method=name).values
    with around():
        mode = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        found = clipviz.explain(picture, "a red circle", model=model, method=name).values
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == mode
    np.testing.assert_array_equal(found, plain)


def test_keys_that_are_all_alike_give_no_nan() -> None:
    model = small_model("vit")
    width = model.clip.config.vision.width
    with torch.no_grad():
        model.clip.visual.transformer.resblocks[-1].attn.in_proj_weight[width : 2 * width] = 0
        model.clip.visual.transformer.resblocks[-1].attn.in_proj_bias[width : 2 * width] = 1
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    texts = F.normalize(torch.ones(1, 24), dim=-1)
    found = maps_of("grad_eclip", Look(model, pixels, None, None), Target(texts, texts[:0], ("",)))  # type: ignore[arg-type]
    assert torch.equal(found, torch.zeros_like(found))


@pytest.mark.parametrize("name", ["attention", "attention_x_gradient", "grad_eclip", "legrad"])
@pytest.mark.parametrize("layer", [3, -4, True, "last", 1.0])
def test_a_layer_that_is_not_there(vit: Model, picture: Image.Image, name: str, layer: Any) -> None:
    with pytest.raises(InputError, match=r"layer=.*small-vit.* 0 to 2"):
        clipviz.explain(picture, "a dog", model=vit, method=name, layer=layer)


@pytest.mark.parametrize("name", ["rollout", "relevance", "legrad"])
@pytest.mark.parametrize("start", [3, -4, False, "0"])
def test_a_start_that_is_not_there(vit: Model, picture: Image.Image, name: str, start: Any) -> None:
    with pytest.raises(InputError, match=r"start=.*small-vit.* 0 to 2"):
        clipviz.explain(picture, "a dog", model=vit, method=name, start=start)


@pytest.mark.parametrize("name", ALL)
def test_a_resnet_has_one_attention(picture: Image.Image, name: str) -> None:
    resnet = small_model("resnet")
    if name in EVERYWHERE:
        with pytest.raises(InputError, match="layer=2: small-resnet has one attention, its pooling; leave out layer="):
            clipviz.explain(picture, "a dog", model=resnet, method=name, layer=2)
    else:
        with pytest.raises(ModelError, match=f"'{name}' needs a ViT, .* It can serve: .*attention"):
            clipviz.explain(picture, "a dog", model=resnet, method=name)
