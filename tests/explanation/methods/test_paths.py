"""GEM equals its own wheel; CLIP Surgery is the paper's formula, and says what it subtracted."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.clip import CLIP, Config, TextConfig, ViTConfig, resize_positions
from clipviz.errors import InputError, PromptError
from clipviz.explanation.methods.dense import dense_features
from clipviz.explanation.registry import find_explainer
from clipviz.explanation.target import Target
from clipviz.model import Look, Model
from clipviz.weights import Weights, build

ORACLES = Path(__file__).parents[3] / "benchmarks" / "oracles"
TEXTS = ["a red circle", "the forest", "a cat"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The file that ran the wheel, for the weights that it ran it with."""
    spec = importlib.util.spec_from_file_location("oracle_of_gem", ORACLES / "gem.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def gem_vit(script: ModuleType, size: int) -> Model:
    """The network of the oracle, for pictures of ``size``."""
    shape = dict(script.SHAPE)
    embed, trained = shape.pop("embed_dim"), shape.pop("image_size")
    text = TextConfig(context_length=16, width=32, heads=2, layers=1)
    torch.manual_seed(0)
    state = CLIP(Config(embed, ViTConfig(trained, **shape), text)).state_dict()
    visual = {name.removeprefix("visual."): tuple(v.shape) for name, v in state.items() if name.startswith("visual.")}
    state |= {f"visual.{name}": torch.from_numpy(value) for name, value in script.weights(visual).items()}
    positions = "visual.positional_embedding"
    state[positions] = resize_positions(state[positions], size // shape["patch_size"])
    return Model("gem", Weights(build(Config(embed, ViTConfig(size, **shape), text), state, "the oracle's weights")))


def ask(model: Model, look: Look, method: str, target: Target, **options: object) -> torch.Tensor:
    """The raw maps [N, P, h, w]."""
    found = find_explainer(method, model).function(model, look, target, **options)
    return getattr(found, "maps", found)


@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize("case", ["default", "shallow", "often", "sharp"])
def test_gem_equals_its_wheel(script: ModuleType, picture: Image.Image, case: str, size: int) -> None:
    with np.load(ORACLES / "gem.npz") as kept:
        about, theirs, texts = json.loads(str(kept["about"])), kept[f"{case}/{size}"], torch.from_numpy(kept["texts"])
        rivals = [kept[f"{other}/{size}"] for other in about["cases"] if other != case]
    assert about["seed"] == script.SEED
    assert about["shape"] == script.SHAPE
    model = gem_vit(script, size)
    seen = model.look(picture)
    look = Look(model, torch.from_numpy(script.pictures(size)), seen.picture, seen.frame)
    depth, iterations, inverse_temperature = about["cases"][case]
    target = Target(texts, texts[:0], tuple(about["texts"]))
    ours = ask(
        model, look, "gem", target, depth=depth, iterations=iterations, inverse_temperature=inverse_temperature
    ).numpy()
    near = 1e-4 * np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, atol=near, rtol=0)
    assert all(np.abs(ours - rival).max() > 100 * near for rival in rivals)  # the options matter, so they were met
    if case == "default":
        np.testing.assert_array_equal(ask(model, look, "gem", target), ours)


def naive_second_path(model: Model, pixels: torch.Tensor, depth: int) -> torch.Tensor:
    """[1 + h*w, E]: the class token's own vector and the patches of CLIP Surgery's path, head by head."""
    visual = model.clip.visual
    blocks = visual.transformer.resblocks
    x = visual.embed(pixels)
    path = None
    for i, block in enumerate(blocks):
        if i >= len(blocks) - depth:
            path = x if path is None else path
            width, h = x.shape[-1], block.ln_1(x)[0]  # [T, D]
            v = h @ block.attn.in_proj_weight[2 * width :].T + block.attn.in_proj_bias[2 * width :]
            heads = []
            for part in v.split(width // block.attn.heads, dim=-1):
                rows = []
                for token in part:
                    weights = torch.stack([token @ other for other in part]) * part.shape[-1] ** -0.5
                    rows.append(weights.softmax(dim=0) @ part)
                heads.append(torch.stack(rows))
            path = path + torch.cat(heads, dim=-1) @ block.attn.out_proj.weight.T + block.attn.out_proj.bias
        x = model.clip.visual.trace(pixels, [f"block.{i}"])[f"block.{i}"]
    tokens = torch.cat([x[0, :1], path[0, 1:]])
    return F.normalize(visual.ln_post(tokens) @ visual.proj, dim=-1)


@pytest.mark.parametrize("depth", [1, 2, 6])
def test_clip_surgery_is_its_formula(picture: Image.Image, vit: Model, depth: int) -> None:
    model = double(vit)
    seen = model.look(picture)
    look = Look(model, seen.pixels.double(), seen.picture, seen.frame)
    texts = F.normalize(torch.randn(4, model.embed_dim, generator=torch.Generator().manual_seed(0)).double(), dim=-1)
    tokens = naive_second_path(model, look.pixels, min(depth, 3))
    first, cells = tokens[0], tokens[1:]
    powers = torch.stack([torch.exp(2 * first @ text) for text in texts])
    weights = powers / powers.mean()
    wanted = torch.zeros(2, len(cells)).double()
    for i, cell in enumerate(cells):
        shared = sum(weights[s] * (cell @ texts[s]) for s in range(4)) / 4
        for t in range(2):
            wanted[t, i] = weights[t] * (cell @ texts[t]) - shared
    target = Target(texts[:2], texts[2:], ("a", "b"), ("c", "d"))
    maps = ask(model, look, "clip_surgery", target, depth=depth)
    assert maps.dtype == torch.float64
    np.testing.assert_allclose(maps[0].flatten(1).numpy(), wanted.numpy(), atol=1e-12)


def double(model: Model) -> Model:
    """The same network in float64; its text tower stays."""
    copy = Model("double", Weights(build(model.clip.config, model.clip.state_dict(), "a copy")))
    copy.clip.visual.double()
    return copy


def subtracted(heatmap: clipviz.Heatmap) -> list[str]:
    return heatmap.provenance["details"]["subtracted"]


def test_one_text_alone_subtracts_the_empty_text(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    alone = clipviz.explain(look, TEXTS[:1], method="clip_surgery")[0, 0]
    assert subtracted(alone) == [""]
    assert np.ptp(alone.values) > 1e-3
    ends = torch.tensor([[vit.tokenizer.sot_token_id, vit.tokenizer.eot_token_id]])
    with torch.no_grad():
        empty = F.normalize(vit.clip.text(ends), dim=-1)
    direction = torch.from_numpy(vit.encode_texts(TEXTS[:1])) - empty  # [1, E]
    cells = dense_features(vit, look, "clip_surgery")[0] @ direction.T
    np.testing.assert_allclose(alone.values.ravel(), cells[:, 0].numpy(), atol=1e-6)


def test_the_set_is_told_and_can_be_named(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    both = clipviz.explain(look, TEXTS[:2], method="clip_surgery")
    assert subtracted(both[0, 0]) == subtracted(both[0, 1]) == TEXTS[:2]
    assert both[0, 0].provenance["details"]["blocks"] == 3  # of the six, those that there are
    one = clipviz.explain(look, TEXTS[0], against=TEXTS[1], method="clip_surgery")[0, 0]
    assert subtracted(one) == TEXTS[:2]
    np.testing.assert_allclose(one.values, both[0, 0].values, atol=1e-6)
    named = clipviz.explain(look, TEXTS[0], labels=TEXTS[:2], method="clip_surgery")[0, 0]
    np.testing.assert_allclose(named.values, both[0, 0].values, atol=1e-6)
    added = clipviz.explain(look, TEXTS[:2], labels=TEXTS[1:], method="clip_surgery")
    three = clipviz.explain(look, TEXTS, method="clip_surgery")
    assert subtracted(added[0, 0]) == TEXTS  # it was missing, and came first
    assert subtracted(added[0, 1]) == TEXTS[1:]
    np.testing.assert_allclose(added[0, 0].values, three[0, 0].values, atol=1e-6)
    assert np.abs(three[0, 0].values - both[0, 0].values).max() > 1e-3  # another set, another map
    turned = clipviz.explain(look, TEXTS[::-1], method="clip_surgery")
    np.testing.assert_allclose(turned[0, 2].values, three[0, 0].values, atol=1e-6)
    neutral = clipviz.explain(look, TEXTS[0], baseline="neutral", method="clip_surgery")[0, 0]
    assert subtracted(neutral)[:2] == [TEXTS[0], "a photo"]
    itself = clipviz.explain(look, TEXTS[0], labels=TEXTS[0], method="clip_surgery")[0, 0]
    assert subtracted(itself) == [""]


@pytest.mark.parametrize(
    "method, options, error, words",
    [
        ("clip_surgery", {"against": ["a dog"], "contrast": "softmax"}, InputError, "contrast='margin'"),
        ("clip_surgery", {"against": ["a dog"], "labels": ["a cow"]}, InputError, "leave out against="),
        ("clip_surgery", {"labels": []}, PromptError, "At least one text"),
        ("clip_surgery", {"depth": 0}, InputError, "depth=0 .* from 1 on, such as 6"),
        ("clip_surgery", {"label": ["a cow"]}, InputError, "labels"),
        ("gem", {"depth": 1}, InputError, "depth=1 .* from 2 on, such as 7"),
        ("gem", {"depth": True}, InputError, "depth=True"),
        ("gem", {"iterations": 1.5}, InputError, "iterations=1.5"),
        ("gem", {"inverse_temperature": 0}, InputError, "inverse_temperature=0 .* above 0"),
        ("gem", {"temperature": 2.0}, InputError, "inverse_temperature"),
    ],
)
def test_bad_options(
    vit: Model, picture: Image.Image, method: str, options: dict[str, object], error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        clipviz.explain(picture, TEXTS[:1], model=vit, method=method, **options)
