"""What holds for every method of the registry."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import clipviz
from clipviz.errors import ClipvizWarning, InputError, ModelError
from clipviz.explanation.registry import _REGISTRY, NEEDS, list_explainers
from clipviz.model import Model

from .conftest import small_model

TEXTS = ["a red circle", "the forest", "a dog"]
BRIDGE = "pytorch-grad-cam:GradCAMPlusPlus"
# What keeps the many passes of a method to a test's length; its meaning stays.
SMALL: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 8},
    "smoothgrad": {"samples": 3},
    "rise": {"samples": 30},
    "scorecam": {"channels": 12},
    "shap_patches": {"samples": 60},
}
# No meaning of a softmax at each patch: it subtracts what a set of labels shares.
NO_SOFTMAX = {"clip_surgery"}


def pairs() -> list[tuple[str, str]]:
    kinds = ("vit", "resnet")
    return [(k, m) for k in kinds for m in [*_REGISTRY, BRIDGE] if m == BRIDGE or k in NEEDS[_REGISTRY[m].needs]]


MODELS = {kind: small_model(kind) for kind in ("vit", "resnet")}


@pytest.fixture(params=pairs(), ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[Model, str]:
    kind, method = request.param
    return MODELS[kind], method


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClipvizWarning)
        yield


def maps(method: str, model: Model, picture: Any, texts: list[str], **options: Any) -> clipviz.Heatmaps:
    with quiet():
        return clipviz.explain([picture], texts, model=model, method=method, **SMALL.get(method, {}), **options)


def state(clip: torch.nn.Module) -> list[Any]:
    return [
        {k: (v.clone(), v._version) for k, v in clip.state_dict().items()},
        [
            (m.training, len(m._forward_hooks), len(m._backward_hooks), len(m._forward_pre_hooks), sorted(vars(m)))
            for m in clip.modules()
        ],
        [(p.dtype, p.device, p.requires_grad, p.grad is None) for p in clip.parameters()],
        (torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()),
    ]


def test_leaves_no_trace(pair: tuple[Model, str], picture: Image.Image) -> None:
    model, method = pair
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    before = state(model.clip)
    for around in (torch.enable_grad, torch.inference_mode):
        with around():
            mode = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            maps(method, model, picture, TEXTS[:1])
            assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == mode
    after = state(model.clip)
    assert before[1:] == after[1:]
    for name, (tensor, version) in before[0].items():
        assert torch.equal(tensor, after[0][name][0])
        assert version == after[0][name][1], f"{name} was written to"


def test_texts_do_not_mix_and_a_map_repeats_itself(pair: tuple[Model, str], picture: Image.Image) -> None:
    model, method = pair
    # What clip_surgery subtracts is the set of texts asked, unless it is named.
    named = {"labels": TEXTS} if method == "clip_surgery" else {}
    together = maps(method, model, picture, TEXTS, **named)
    alone = maps(method, model, picture, TEXTS[1:2], **named)
    assert together.values.shape[:2] == (1, 3)
    assert np.isfinite(together.values).all()
    near = 1e-4 * np.abs(together.values).max()
    np.testing.assert_allclose(together.values[0, 1], alone.values[0, 0], atol=near)
    assert together.values.std() > 0
    blind = not together[0, 0].provenance["uses_text"]
    assert blind == np.array_equal(together.values[0, 0], together.values[0, 2]), "uses_text is not honest"
    assert not blind or any("text" in note for note in together[0, 0].notes)


def test_of_a_probability(pair: tuple[Model, str], picture: Image.Image) -> None:
    model, method = pair
    asked = {"against": ["a cat"], "contrast": "softmax"}
    if method in NO_SOFTMAX:
        with pytest.raises(InputError, match="softmax"):
            maps(method, model, picture, TEXTS[:1], **asked)
        return
    found = maps(method, model, picture, TEXTS[:1], **asked)[0, 0]
    assert found.score == pytest.approx(model.probabilities([picture], [TEXTS[0], "a cat"])[0, 0], abs=1e-5)
    assert np.isfinite(found.values).all()


def test_of_tiles(pair: tuple[Model, str]) -> None:
    model, method = pair
    long = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 150, 3), dtype=np.uint8))
    found = maps(method, model, long, TEXTS[:2], view="tiles")[0, 1]
    h, w = found.values.shape
    assert w > h
    assert found.on_image().shape == (64, 150)


def test_a_picture_without_content_is_no_accident(pair: tuple[Model, str]) -> None:
    """Grey all over: a finite map, or zeros with a flag; never NaN."""
    model, method = pair
    found = maps(method, model, Image.new("RGB", (70, 70), (122, 116, 104)), TEXTS[:1])[0, 0]
    assert np.isfinite(found.values).all()
    assert found.constant == (not found.values.any())
    assert not found.constant or any("same everywhere" in note for note in found.notes)


@pytest.mark.parametrize("method", [name for name, e in _REGISTRY.items() if e.needs == "vit"])
def test_what_cannot_be_served_says_why_and_what_can(method: str) -> None:
    with pytest.raises(ModelError, match=r"needs a ViT, which small-resnet \(resnet\) is not. It can serve: .*gradcam"):
        clipviz.explain([Image.new("RGB", (8, 8))], TEXTS, model=MODELS["resnet"], method=method)


def test_the_table_names_every_method_and_what_serves(model: Model) -> None:
    every, fit = list_explainers(), list_explainers(model)
    assert set(every["name"]) == set(_REGISTRY)
    assert every["name"].is_unique
    assert (every["paper"].str.len() > 10).all()
    assert (every["passes"].str.len() > 5).all()
    assert set(every["family"]) >= {"gradients", "attention", "dense", "decomposition", "perturbation"}
    assert set(fit["name"]) == {name for name, explainer in _REGISTRY.items() if explainer.serves(model)}
    wanted = """gradcam gradcam++ layercam hirescam xgradcam eigencam integrated_gradients smoothgrad input_x_gradient
    attention rollout relevance legrad grad_eclip attention_x_gradient patch_similarity maskclip sclip clearclip naclip
    gem clip_surgery head_decomposition occlusion rise scorecam shap_patches"""
    assert set(wanted.split()) <= set(every["name"])
    blind = set(every.loc[~every["uses_text"], "name"])
    assert blind == {"eigencam", "attention", "rollout"}
