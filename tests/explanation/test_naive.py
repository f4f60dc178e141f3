"""The registered methods against a second, naive writing of each, both in float64.

The networks are random, with every bias, gain and position drawn and the attention sharpened: at initialisation
the biases are zero and the attention is almost even, and half of all mistakes could not be seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from clipviz.explanation.registry import find_explainer
from clipviz.explanation.target import Target
from clipviz.model import Look, Model

from .conftest import small_model
from .naive import attention_maps, decomposition, dense, surgery
from .naive.gradients import Score, gradients
from .naive.network import Net, normalised, run
from .naive.pooling import attention_pool

TEXTS, PICTURES = 3, 2
NEAR = 1e-9  # of the largest value of a map: both compute in float64


def sharpened(kind: str) -> Model:
    model = small_model(kind)
    model.clip.double()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.clip.visual.named_parameters():
            if name.endswith("in_proj_weight"):
                p.mul_(3)
            elif name.endswith(("q_proj.weight", "k_proj.weight")):
                p.mul_(2)
            elif p.ndim == 1:
                p.add_(0.3 * torch.randn(p.shape, generator=draw, dtype=p.dtype))
        for name, b in model.clip.visual.named_buffers():
            if name.endswith("running_mean"):
                b.add_(0.1 * torch.randn(b.shape, generator=draw, dtype=b.dtype))
    return model


@pytest.fixture(scope="module")
def vit() -> Model:
    return sharpened("vit")


@pytest.fixture(scope="module")
def resnet() -> Model:
    return sharpened("resnet")


@pytest.fixture(scope="module")
def net(vit: Model) -> Net:
    return Net(numbers(vit), vit.clip.config.vision.heads, vit.clip.config.quick_gelu)


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randn(PICTURES, 3, 64, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture(scope="module")
def vectors() -> torch.Tensor:
    """Five unit vectors: three texts that are asked for, and two beside them."""
    drawn = torch.randn(TEXTS + 2, 24, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=-1)


def numbers(model: Model) -> dict[str, np.ndarray]:
    return {name: p.numpy().astype(np.float64) for name, p in model.clip.visual.state_dict().items()}


def target_of(vectors: torch.Tensor, kind: str) -> Target:
    """ "cosine", "margin" or "softmax" of the first three, to the last two."""
    texts, others = vectors[:TEXTS], vectors[TEXTS:]
    names, other_names = ("a", "b", "c"), ("d", "e")
    if kind == "cosine":
        return Target(texts, others[:0], names)
    return Target(texts, others, names, other_names, contrast=kind, scale=5.0)


def scores_of(vectors: torch.Tensor, kind: str) -> list[Score]:
    """The same for the naive side."""
    others = [] if kind == "cosine" else list(vectors[TEXTS:].numpy())
    contrast = "softmax" if kind == "softmax" else "margin"
    return [Score(text.numpy(), others, contrast, 5.0) for text in vectors[:TEXTS]]


def ours(name: str, model: Model, pixels: torch.Tensor, target: Target, **options: Any) -> np.ndarray:
    return maps_of(find_explainer(name, model).function(model, Look(model, pixels, None, None), target, **options))


def maps_of(found: Any) -> np.ndarray:
    return getattr(found, "maps", found).detach().cpu().double().numpy()


def each(pixels: torch.Tensor, asked: list[Any], make: Callable[[np.ndarray, Any], np.ndarray]) -> np.ndarray:
    """[N, P, h, w] from a function of one picture and one text."""
    return np.stack([np.stack([make(picture, one) for one in asked]) for picture in pixels.numpy()])


def assert_near(got: np.ndarray, naive: np.ndarray) -> None:
    assert got.shape == naive.shape
    largest = np.abs(naive).max()
    assert largest > 1e-4  # a map of nothing would match a map of nothing
    assert np.abs(naive - naive.mean(axis=(2, 3), keepdims=True)).max() > 1e-2 * largest  # and a flat one a flat one
    assert np.abs(got - naive).max() <= NEAR * largest, f"apart by {np.abs(got - naive).max() / largest:.3g} of the top"


# The oracle itself


def test_naive_forward_is_the_network(vit: Model, net: Net, pixels: torch.Tensor) -> None:
    whole = vit.clip.visual(pixels).detach().numpy()
    for picture, embedding in zip(pixels.numpy(), whole, strict=True):
        assert np.abs(run(net, picture).embedding - embedding).max() < 1e-9


def test_naive_forward_knows_both_activations(pixels: torch.Tensor) -> None:
    from clipviz.clip import CLIP, Config, ViTConfig

    from .conftest import TEXT

    torch.manual_seed(4)
    clip = CLIP(Config(24, ViTConfig(64, 16, 48, 3, 16), TEXT, quick_gelu=False)).double()
    net = Net({name: p.detach().numpy() for name, p in clip.visual.state_dict().items()}, 3, quick_gelu=False)
    got = run(net, pixels[0].numpy()).embedding
    assert np.abs(got - clip.visual(pixels[:1])[0].detach().numpy()).max() < 1e-9


def test_naive_parts_are_the_networks(vit: Model, net: Net, pixels: torch.Tensor) -> None:
    kinds = ("q", "k", "v", "probs", "attn", "mlp")
    seen = vit.clip.visual.trace(pixels[:1], [f"block.{l}.{kind}" for l in range(net.layers) for kind in kinds])
    mine = run(net, pixels[0].numpy())
    for kind in kinds:
        for l, value in enumerate(getattr(mine, kind)):
            assert np.abs(value - seen[f"block.{l}.{kind}"][0].detach().numpy()).max() < 1e-9, (kind, l)


def test_naive_pooling_is_the_networks(resnet: Model, pixels: torch.Tensor) -> None:
    seen = resnet.clip.visual.trace(pixels, ["stage.4"])
    for cells, embedding in zip(seen["stage.4"].detach().numpy(), seen["embedding"].detach().numpy(), strict=True):
        got = attention_pool(numbers(resnet), cells, resnet.clip.config.vision.heads)
        assert np.abs(got - embedding).max() < 1e-9


def test_attention_of_the_tested_network_is_uneven(net: Net, pixels: torch.Tensor) -> None:
    for A in run(net, pixels[0].numpy()).probs:
        assert A[:, 0].max() > 2 / A.shape[-1]


@pytest.mark.parametrize("kind", ["cosine", "margin", "softmax"])
@pytest.mark.parametrize(
    "what, block, index",
    [("probs", 0, (1, 5, 9)), ("probs", 1, (0, 0, 3)), ("probs", 2, (2, 0, 16)), ("heads", 2, (0, 20))],
)
def test_naive_gradients_are_finite_differences(
    net: Net, pixels: torch.Tensor, vectors: torch.Tensor, kind: str, what: str, block: int, index: tuple[int, ...]
) -> None:
    picture, score = pixels[0].numpy(), scores_of(vectors, kind)[1]
    found = gradients(net, picture, score)[("probs", "heads").index(what)][block][index]
    ends = [score(run(net, picture, (what, block, index, step)).unit) for step in (1e-5, -1e-5)]
    assert found != 0
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(found, rel=1e-5, abs=1e-9)


def test_naive_decomposition_is_complete(net: Net, pixels: torch.Tensor, vectors: torch.Tensor) -> None:
    for picture in pixels.numpy():
        found, remainder = decomposition.head_decomposition(net, picture, vectors[0].numpy())
        assert found.sum() + remainder == pytest.approx(run(net, picture).unit @ vectors[0].numpy(), abs=1e-12)


# Dense features


@pytest.mark.parametrize("kind", ["cosine", "margin"])
@pytest.mark.parametrize("name", ["patch_similarity", "maskclip", "sclip", "clearclip", "naclip"])
def test_dense_features(
    vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor, name: str, kind: str
) -> None:
    got = ours(name, vit, pixels, target_of(vectors, kind))
    directions = [score.direction for score in scores_of(vectors, kind)]
    assert_near(got, each(pixels, directions, lambda picture, t: getattr(dense, name)(net, picture, t)))


def test_maskclip_with_the_residual(vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor) -> None:
    got = ours("maskclip", vit, pixels, target_of(vectors, "cosine"), residual=True)
    naive = each(
        pixels, list(vectors[:TEXTS].numpy()), lambda picture, t: dense.maskclip(net, picture, t, residual=True)
    )
    assert_near(got, naive)


def test_naclip_with_another_std(vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor) -> None:
    got = ours("naclip", vit, pixels, target_of(vectors, "cosine"), std=0.7)
    naive = each(pixels, list(vectors[:TEXTS].numpy()), lambda picture, t: dense.naclip(net, picture, t, std=0.7))
    assert_near(got, naive)


@pytest.mark.parametrize("kind", ["cosine", "margin"])
def test_maskclip_of_a_resnet(resnet: Model, pixels: torch.Tensor, vectors: torch.Tensor, kind: str) -> None:
    got = ours("maskclip", resnet, pixels, target_of(vectors, kind))
    cells = resnet.clip.visual.trace(pixels, ["stage.4"])["stage.4"].detach()
    directions = [score.direction for score in scores_of(vectors, kind)]
    weights = numbers(resnet)
    assert_near(got, each(cells, directions, lambda c, t: dense.maskclip_resnet(weights, c, t)))


# CLIP Surgery


@pytest.fixture(scope="module")
def empty(vit: Model) -> np.ndarray:
    """The unit vector of the empty text: its start, its end and nothing between."""
    tokens = torch.zeros(1, vit.clip.config.text.context_length, dtype=torch.long)
    words = vit.clip.config.text.vocab_size
    tokens[0, :2] = torch.tensor([words - 2, words - 1])  # the paper's last two
    return normalised(vit.clip.text(tokens)[0].detach().numpy())


@pytest.mark.parametrize("options", [{}, {"depth": 2}])
def test_clip_surgery_of_one_text(
    vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor, empty: np.ndarray, options: dict[str, int]
) -> None:
    got = ours("clip_surgery", vit, pixels, Target(vectors[:1], vectors[:0], ("a",)), **options)
    naive = each(
        pixels, [vectors[0].numpy()], lambda picture, t: surgery.of_one_text(net, picture, t, empty, **options)
    )
    assert_near(got, naive)


@pytest.mark.parametrize("kind", ["cosine", "margin"])
@pytest.mark.parametrize("options", [{}, {"depth": 1}])
def test_clip_surgery_of_labels(
    vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor, kind: str, options: dict[str, int]
) -> None:
    got = ours("clip_surgery", vit, pixels, target_of(vectors, kind), **options)
    labels = list(vectors.numpy()) if kind == "margin" else list(vectors[:TEXTS].numpy())
    naive = [surgery.of_labels(net, picture, labels, **options)[:TEXTS] for picture in pixels.numpy()]
    assert_near(got, np.stack([np.stack(maps) for maps in naive]))


def test_clip_surgery_of_one_text_against_another(
    vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor
) -> None:
    got = ours("clip_surgery", vit, pixels, Target(vectors[:1], vectors[4:], ("a",), ("e",)))
    labels = [vectors[0].numpy(), vectors[4].numpy()]
    naive = [surgery.of_labels(net, picture, labels)[:1] for picture in pixels.numpy()]
    assert_near(got, np.stack([np.stack(maps) for maps in naive]))


# Attention


@pytest.mark.parametrize("name", ["attention", "rollout"])
def test_attention_without_a_text(vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor, name: str) -> None:
    """The same map for every text."""
    got = ours(name, vit, pixels, target_of(vectors, "cosine"))
    assert_near(got, each(pixels, [None] * TEXTS, lambda picture, _: getattr(attention_maps, name)(net, picture)))


@pytest.mark.parametrize("kind", ["cosine", "margin", "softmax"])
@pytest.mark.parametrize("name", ["attention_x_gradient", "grad_eclip"])
def test_attention_with_a_gradient(
    vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor, name: str, kind: str
) -> None:
    got = ours(name, vit, pixels, target_of(vectors, kind))
    scores = scores_of(vectors, kind)
    assert_near(got, each(pixels, scores, lambda picture, score: getattr(attention_maps, name)(net, picture, score)))


@pytest.mark.parametrize("kind, options", [("cosine", {}), ("margin", {}), ("softmax", {}), ("cosine", {"start": 1})])
def test_relevance(
    vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor, kind: str, options: dict[str, int]
) -> None:
    got = ours("relevance", vit, pixels, target_of(vectors, kind), **options)
    # A softmax is taken at the logit scale already.
    scale = 1.0 if kind == "softmax" else math.exp(float(vit.clip.logit_scale.detach()))
    naive = each(pixels, scores_of(vectors, kind), lambda p, s: attention_maps.relevance(net, p, s, scale, **options))
    assert_near(got, naive)


# Decomposition


@pytest.mark.parametrize("kind", ["cosine", "margin"])
def test_head_decomposition(vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor, kind: str) -> None:
    got = ours("head_decomposition", vit, pixels, target_of(vectors, kind))
    directions = [score.direction for score in scores_of(vectors, kind)]
    naive = each(pixels, directions, lambda picture, t: decomposition.head_decomposition(net, picture, t)[0])
    assert_near(got, naive)


def test_head_decomposition_tells_its_remainder(
    vit: Model, net: Net, pixels: torch.Tensor, vectors: torch.Tensor
) -> None:
    for picture in pixels:
        look = Look(vit, picture[None], None, None)
        found = find_explainer("head_decomposition", vit).function(vit, look, target_of(vectors, "cosine"))
        assert len(found.details) == TEXTS
        for text, details in zip(vectors[:TEXTS].numpy(), found.details, strict=True):
            _, remainder = decomposition.head_decomposition(net, picture.numpy(), text)
            assert np.ravel(details["remainder"]) == pytest.approx([remainder], abs=1e-9)
