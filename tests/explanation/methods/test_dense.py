"""Dense features: each method is its formula, another text costs no pass, and what cannot be served says so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import clipviz
from clipviz.clip import CLIP, Config, TextConfig, ViTConfig, resize_positions
from clipviz.errors import InputError, ModelError
from clipviz.explanation.methods.dense import FEATURES, dense_features
from clipviz.explanation.registry import find_explainer, list_explainers
from clipviz.explanation.target import Target
from clipviz.model import Look, Model
from clipviz.weights import Weights, build, config_to_open_clip

TEXTS = ["a red circle", "the forest"]
METHODS = ("patch_similarity", "maskclip", "sclip", "clearclip", "naclip", "gem", "clip_surgery")
TEXT_TOWER = TextConfig(context_length=16, width=32, heads=2, layers=1)


def vit_of(layers: int = 3, size: int = 64, trained: int = 64, dtype: torch.dtype = torch.float64) -> Model:
    """A ViT with patches of 16 whose positions are those of pictures of ``trained`` pixels."""
    torch.manual_seed(layers)
    state = CLIP(Config(24, ViTConfig(trained, 16, 48, layers, 16), TEXT_TOWER)).state_dict()
    for name, value in state.items():
        if "bias" in name:  # which begin as zeros, and would hide whether they are used
            torch.nn.init.normal_(value, std=0.2)
    name = "visual.positional_embedding"
    state[name] = resize_positions(state[name], size // 16)
    config = Config(24, ViTConfig(size, 16, 48, layers, 16), TEXT_TOWER)
    model = Model(f"vit-{layers}-{size}", Weights(build(config, state, "a small ViT")))
    model.clip.visual.to(dtype)
    return model


def look_of(model: Model, picture: Image.Image) -> Look:
    """A look in the precision of the model's network."""
    seen = model.look(picture)
    return Look(model, seen.pixels.to(next(model.clip.visual.parameters()).dtype), seen.picture, seen.frame)


def ask(model: Model, look: Look, method: str, target: Target, **options: object) -> Tensor:
    """The raw maps [N, P, h, w]."""
    found = find_explainer(method, model).function(model, look, target, **options)
    return getattr(found, "maps", found)


def some_texts(model: Model, count: int) -> Tensor:
    drawn = torch.randn(count, model.embed_dim, generator=torch.Generator().manual_seed(1))
    return F.normalize(drawn, dim=-1)


def similar(x: Tensor) -> Tensor:
    """[T, d] -> logits [T, T] of every token with every other, one at a time."""
    return torch.stack([torch.stack([a @ b for b in x]) for a in x]) * x.shape[-1] ** -0.5


def nearness(side: int, std: float) -> Tensor:
    """[1 + side^2, 1 + side^2]; the class token's row and column are zero."""
    w = torch.zeros(1 + side * side, 1 + side * side, dtype=torch.float64)
    for i in range(side * side):
        for j in range(side * side):
            far = (i // side - j // side) ** 2 + (i % side - j % side) ** 2
            w[1 + i, 1 + j] = np.exp(-far / (2 * std**2))
    return w


# method: (attention of one head, whether the residual and the MLP stay)
LAST_BLOCK: dict[str, tuple[Callable[..., Tensor], bool]] = {
    "patch_similarity": (lambda q, k, v, side: (q @ k.T * q.shape[-1] ** -0.5).softmax(dim=-1) @ v, True),
    "maskclip": (lambda q, k, v, side: v, False),
    "sclip": (lambda q, k, v, side: (similar(q).softmax(dim=-1) + similar(k).softmax(dim=-1)) @ v, True),
    "clearclip": (lambda q, k, v, side: similar(q).softmax(dim=-1) @ v, False),
    "naclip": (lambda q, k, v, side: (similar(k) + nearness(side, 5.0)).softmax(dim=-1) @ v, False),
}


def naive(model: Model, pixels: Tensor, method: str) -> Tensor:
    """The unit vectors [h*w, E] of the patches of one picture, head by head."""
    attend, whole = LAST_BLOCK[method]
    visual, (*before, block) = model.clip.visual, model.clip.visual.transformer.resblocks
    x = visual.embed(pixels)
    if before:
        x = visual.trace(pixels, [f"block.{len(before) - 1}"])[f"block.{len(before) - 1}"]
    x = x[0]  # [T, D]
    qkv = block.ln_1(x) @ block.attn.in_proj_weight.T + block.attn.in_proj_bias
    parts = [part.split(x.shape[-1] // block.attn.heads, dim=-1) for part in qkv.chunk(3, dim=-1)]
    heads = torch.cat([attend(q, k, v, model.grid[0]) for q, k, v in zip(*parts, strict=True)], dim=-1)
    y = heads @ block.attn.out_proj.weight.T + block.attn.out_proj.bias
    if whole:
        y = x + y
        y = y + block.mlp(block.ln_2(y))
    found = visual.ln_post(y) @ visual.proj
    return torch.stack([row / row.norm() for row in found[1:]])


@pytest.mark.parametrize("layers, size", [(3, 64), (1, 64), (2, 96)])
@pytest.mark.parametrize("method", LAST_BLOCK)
def test_is_the_formula(picture: Image.Image, method: str, layers: int, size: int) -> None:
    """In float64; with a single block, and on a larger grid than the network was made for."""
    model = vit_of(layers, size)
    look = look_of(model, picture)
    wanted = naive(model, look.pixels, method)
    found = dense_features(model, look, method)
    assert found.shape == (1, (size // 16) ** 2, 24)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found[0].numpy(), wanted.numpy(), atol=1e-12)
    texts = some_texts(model, 2)
    maps = ask(model, look, method, Target(texts, texts[:0], ("a", "b")))
    for j in range(2):
        cells = [float(row @ texts[j].double()) for row in wanted]
        np.testing.assert_allclose(maps[0, j].flatten().numpy(), cells, atol=1e-12)


def test_maskclip_of_a_resnet_is_the_formula(picture: Image.Image) -> None:
    from ..conftest import small_model

    model = small_model("resnet")
    pool = model.clip.visual.attnpool
    for linear in (pool.v_proj, pool.c_proj):
        torch.nn.init.normal_(linear.bias, std=0.2)
    model.clip.visual.double()
    look = look_of(model, picture)
    stage = look.trace(["stage.4"])["stage.4"][0]  # [C, h, w]
    texts = some_texts(model, 1).double()
    maps = ask(model, look, "maskclip", Target(texts, texts[:0], ("a",)))
    assert maps.shape == (1, 1, *model.grid)
    for row in range(model.grid[0]):
        for column in range(model.grid[1]):
            value = pool.v_proj.weight @ stage[:, row, column] + pool.v_proj.bias
            out = pool.c_proj.weight @ value + pool.c_proj.bias
            assert maps[0, 0, row, column].item() == pytest.approx((out @ texts[0] / out.norm()).item(), abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_the_family_is_registered(vit: Model, picture: Image.Image, method: str) -> None:
    row = list_explainers(vit).set_index("name").loc[method]
    assert (row["family"], row["uses_text"], row["signed"], row["additive"]) == ("dense", True, True, False)
    assert "arXiv" in row["paper"]
    unit = dense_features(vit, vit.look(picture), method)
    assert unit.shape == (1, 16, 24)
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones(1, 16))


@pytest.mark.parametrize("method", METHODS)
def test_several_tiles_do_not_mix(vit: Model, picture: Image.Image, method: str) -> None:
    tiles = vit.look(picture, "tiles")
    assert len(tiles.pixels) > 1
    together = dense_features(vit, tiles, method)
    for i in range(len(tiles.pixels)):
        alone = Look(vit, tiles.pixels[i : i + 1], tiles.picture, tiles.frame)
        torch.testing.assert_close(dense_features(vit, alone, method), together[i : i + 1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "clip_surgery"])
def test_targets(vit: Model, picture: Image.Image, method: str) -> None:
    look = vit.look(picture)
    a, b, c = (clipviz.explain(look, text, method=method)[0, 0].values for text in (*TEXTS, "a cat"))
    both = clipviz.explain(look, TEXTS[::-1], method=method)
    np.testing.assert_allclose(both[0, 1].values, a, atol=1e-6)
    np.testing.assert_allclose(both[0, 0].values, b, atol=1e-6)
    margin = clipviz.explain(look, TEXTS[0], against=[TEXTS[1], "a cat"], method=method)[0, 0].values
    np.testing.assert_allclose(margin, a - (b + c) / 2, atol=1e-6)
    chance = clipviz.explain(look, TEXTS[0], against=[TEXTS[1], "a cat"], contrast="softmax", method=method)[
        0, 0
    ].values
    powers = np.exp(vit.logit_scale * np.stack([a, b, c]))
    np.testing.assert_allclose(chance, powers[0] / powers.sum(axis=0), atol=1e-5)  # at each patch


@pytest.fixture
def passes(vit: Model, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for every pass of a picture through a vision transformer."""
    made: list[int] = []
    forward = type(vit.clip.visual).forward
    monkeypatch.setattr(
        type(vit.clip.visual), "forward", lambda self, *a, **k: (made.append(1), forward(self, *a, **k))[1]
    )
    return made


@pytest.mark.parametrize("layers", [3, 8])
def test_one_pass_serves_the_whole_family(picture: Image.Image, passes: list[int], layers: int) -> None:
    model = vit_of(layers, dtype=torch.float32)
    look = model.look(picture)
    found = {method: clipviz.explain(look, TEXTS[0], method=method)[0, 0].values for method in METHODS}
    assert passes == [1]
    for method in METHODS:
        other = clipviz.explain(look, TEXTS[1], method=method)[0, 0].values
        assert np.abs(other - found[method]).max() > 1e-3
    assert passes == [1]


def test_another_text_runs_no_block(vit: Model, picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipviz.clip.transformer import Attention

    look, ran, forward = vit.look(picture), [], Attention.forward
    target = [Target(some_texts(vit, 2)[i : i + 1], some_texts(vit, 2)[:0], ("a",)) for i in range(2)]
    monkeypatch.setattr(Attention, "forward", lambda self, *a, **k: (ran.append(1), forward(self, *a, **k))[1])
    maps, counts = [], []
    for one in target:
        maps.append([ask(vit, look, method, one) for method in METHODS[:-1]])
        counts.append(len(ran))
    assert counts[0] == counts[1] > 0
    assert all(not torch.equal(a, b) for a, b in zip(*maps, strict=True))


def test_features_are_made_once(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    first = dense_features(vit, look, "naclip")
    assert dense_features(vit, look, "naclip") is first
    assert dense_features(vit, look, "naclip", std=5.0) is first
    assert not torch.equal(dense_features(vit, look, "naclip", std=1.0), first)
    assert not first.requires_grad
    with torch.inference_mode():
        assert not dense_features(vit, look, "sclip").is_inference()  # so that it can be differentiated through


def test_a_layer_is_the_output_of_its_block(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    whole = vit.clip.visual.trace(look.pixels, [f"block.{i}" for i in range(3)])
    for layer, block in ((0, 0), (1, 1), (2, 2), (-1, 2), (-3, 0), ("block.1", 1)):
        tokens = whole[f"block.{block}"]
        wanted = F.normalize(vit.clip.visual.ln_post(tokens[:, 1:]) @ vit.clip.visual.proj, dim=-1)
        found = dense_features(vit, look, "patch_similarity", layer=layer)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    told = clipviz.explain(look, TEXTS[0], method="patch_similarity", layer=1)[0, 0]
    assert told.provenance["details"]["layer"] == "block.1"
    assert clipviz.explain(look, TEXTS[0], method="patch_similarity")[0, 0].provenance["details"]["layer"] == "block.2"


@pytest.mark.parametrize(
    "method, options, words",
    [
        ("patch_similarity", {"layer": 3}, "from 0 to 2"),
        ("patch_similarity", {"layer": "blok.1"}, "block.1"),
        ("naclip", {"std": 0}, "std=0 .* above 0"),
        ("naclip", {"std": "wide"}, "std='wide' .* above 0"),
        ("naclip", {"std": [5.0]}, "above 0"),
        ("naclip", {"sdt": 5.0}, "std"),
        ("sclip", {"depth": 3}, "takes no option 'depth'"),
    ],
)
def test_bad_options(vit: Model, picture: Image.Image, method: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        clipviz.explain(picture, TEXTS[0], model=vit, method=method, **options)


def test_bad_requests_for_features(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    with pytest.raises(InputError, match=r"no dense features 'maskclp'.*maskclip"):
        dense_features(vit, look, "maskclp")
    with pytest.raises(InputError, match="no dense features 'gradcam'"):
        dense_features(vit, look, "gradcam")
    with pytest.raises(InputError, match=r"'naclip' take no option 'sdt'.*std"):
        dense_features(vit, look, "naclip", sdt=1.0)
    with pytest.raises(InputError, match=r"'sclip' take no option 'std'\. It has none."):
        dense_features(vit, look, "sclip", std=1.0)
    with pytest.raises(ModelError, match="look again"):
        dense_features(vit_of(1), look, "maskclip")


def test_what_cannot_be_served_names_what_can(picture: Image.Image) -> None:
    import open_clip
    from open_clip.tokenizer import SimpleTokenizer

    from ..conftest import small_model

    resnet = small_model("resnet")
    for method in set(METHODS) - {"maskclip"}:
        with pytest.raises(ModelError, match=f"'{method}' needs a ViT.*maskclip"):
            dense_features(resnet, resnet.look(picture), method)
    config = config_to_open_clip(Config(24, ViTConfig(64, 16, 48, 2, 16), TEXT_TOWER))
    config["vision_cfg"]["pool_type"] = "avg"
    module = open_clip.CustomTextCLIP(**config).eval()
    told = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    other = Model.wrap(module, told, SimpleTokenizer(context_length=16), name="avg")
    assert other.kind == "other"
    able = set(list_explainers(other)["name"])
    assert not able & set(METHODS)
    for method in METHODS:
        with pytest.raises(ModelError, match=rf"'{method}' needs .* avg \(other\) is not. It can serve: ") as caught:
            clipviz.explain(picture, TEXTS[0], model=other, method=method)
        assert set(str(caught.value).split("It can serve: ")[1].rstrip(".").split(", ")) == (
            able or {"none of those registered"}
        )


def test_every_dense_method_is_tested_here() -> None:
    assert set(FEATURES) == set(METHODS)
