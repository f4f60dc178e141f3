"""Occlusion, RISE and Score-CAM: equal to their peers and to naive loops, the same again by seed, and thrifty."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import clipviz
from clipviz.errors import ClipvizError
from clipviz.explanation.methods.inputs import blank_pixels
from clipviz.explanation.methods.masking import cell_of_pixel, grid_of
from clipviz.explanation.methods.places import as_grid, spatial_tap
from clipviz.explanation.methods.rise import SmoothMasks, estimate
from clipviz.model import Look, Model
from clipviz.weights import config_to_open_clip

from ..conftest import small_model

TEXTS = ["a red circle", "the forest"]
# Few masks, so that each runs in a moment.
METHODS: dict[str, dict[str, Any]] = {
    "occlusion": {},
    "rise": {"samples": 40},
    "scorecam": {"channels": 8},
    "shap_patches": {"cells": 4, "samples": 40},
}


def scorer(model: Model, texts: list[str] = TEXTS) -> Callable[[Tensor], Tensor]:
    """Pixels [B, 3, S, S] -> cosines [B, P], by nothing of ours but the network."""
    vectors = torch.from_numpy(model.encode_texts(texts))
    return lambda pixels: F.normalize(model.network.visual(pixels), dim=-1).detach() @ vectors.T.to(pixels.dtype)


def values(model: Model, picture: Any, method: str, texts: Any = TEXTS, **options: Any) -> np.ndarray:
    return clipviz.explain([picture], texts, model=model, method=method, **options).values[0]


@pytest.fixture(scope="module")
def large() -> tuple[Model, Model]:
    """A ViT of 6 x 6 cells, a ResNet of 4 x 4: windows have somewhere to go. Neither is blind to the picture."""
    vit, resnet = small_model("vit", 96), small_model("resnet", 128)
    chance = torch.Generator().manual_seed(3)
    for name, parameter in resnet.clip.visual.named_parameters():
        if ".bn" in name and name.endswith("weight"):
            parameter.data.uniform_(0.5, 1.5, generator=chance)
    return vit, resnet


@pytest.fixture(scope="module")
def other() -> Model:
    """A network that is not the paper's, run by open_clip."""
    import open_clip
    from open_clip.tokenizer import SimpleTokenizer

    config = config_to_open_clip(small_model("vit").clip.config)
    config["vision_cfg"]["pool_type"] = "avg"
    random_state = torch.get_rng_state()
    torch.manual_seed(0)
    module = open_clip.CustomTextCLIP(**config).eval().requires_grad_(False)
    torch.set_rng_state(random_state)
    told = {"mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}
    return Model.wrap(module, told, SimpleTokenizer(context_length=16), name="avg")


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 1), (3, 2), (2, 2), (3, 3)])
@pytest.mark.parametrize("kind", [0, 1])
def test_occlusion_is_captums(large: tuple[Model, Model], picture: Image.Image, kind: int, window: int, stride: int):
    from captum.attr import Occlusion

    model = large[kind]
    pixels, frame = model.prepare(picture)
    look = Look(model, pixels.double(), picture, frame)  # a drop is small beside the two cosines that it lies between
    cell = model.image_size // model.grid[0]
    forward = scorer(model)
    try:
        model.clip.visual.double()
        for blank in ("mean", "black"):
            base = blank_pixels(model, look.pixels, blank)
            ours = clipviz.explain(look, TEXTS, method="occlusion", window=window, stride=stride, blank=blank)
            for j in range(2):
                theirs = Occlusion(lambda x, j=j: forward(x)[:, j]).attribute(
                    look.pixels, (3, window * cell, window * cell), (3, stride * cell, stride * cell), baselines=base
                )
                theirs = theirs[0, 0, cell // 2 :: cell, cell // 2 :: cell].numpy()
                np.testing.assert_allclose(ours[0, j].values, theirs, atol=1e-4 * np.abs(theirs).max(), rtol=0)
    finally:
        model.clip.visual.float()


@pytest.mark.parametrize("blank", ["mean", "black", "blur"])
def test_rise_is_a_naive_loop_over_the_same_masks(model: Model, picture: Image.Image, blank: str) -> None:
    pixels, _ = model.prepare(picture)
    base, forward = blank_pixels(model, pixels, blank)[0], scorer(model)
    masks = SmoothMasks(30, 3, 0.4, model.image_size, 5, pixels)
    (h, w), cell = model.grid, model.image_size // model.grid[0]
    total, whole, scores = np.zeros((2, h, w)), np.zeros((h, w)), []
    for i in range(30):
        mask = masks(torch.tensor([i]))[0]
        score = forward((base + mask * (pixels[0] - base))[None])[0].double().numpy()
        cells = mask.double().reshape(h, cell, w, cell).mean(dim=(1, 3)).numpy()
        total, whole = total + score[:, None, None] * cells, whole + cells
        scores.append(score)
    options = {"samples": 30, "points": 3, "keep": 0.4, "seed": 5, "blank": blank}
    plain = values(model, picture, "rise", centred=False, **options)
    np.testing.assert_allclose(plain, total / (30 * 0.4), atol=1e-5 * np.abs(plain).max())
    centred = values(model, picture, "rise", **options)
    mean = np.mean(scores, axis=0)[:, None, None]
    np.testing.assert_allclose(centred, (total - mean * whole) / (29 * 0.4), atol=1e-6)


def test_masks_are_smooth_and_everywhere_as_likely_to_keep() -> None:
    masks = SmoothMasks(4000, 4, 0.3, 40, 0, torch.zeros(1))
    found = masks(torch.arange(4000))
    assert found.shape == (4000, 40, 40)
    assert found.min() >= 0
    assert found.max() <= 1
    # A pixel's standard error is at most sqrt(0.3 x 0.7 / 4000) = 0.0072.
    assert (found.mean(dim=0) - 0.3).abs().max() < 5 * 0.0072
    steps = found.diff(dim=1).abs().max()
    assert steps <= 1 / 10 + 1e-6  # from one point to the next are 10 pixels
    cells = found.reshape(4000, 5, 8, 5, 8).mean(dim=(2, 4))
    torch.testing.assert_close(masks.over_cells(5, 5), cells)
    assert masks.shifts.unique().tolist() == list(range(10))


def test_masks_are_what_enlarging_and_cutting_gives() -> None:
    masks = SmoothMasks(6, 3, 0.5, 20, 1, torch.zeros(1, dtype=torch.float64))  # cells of 7 pixels, cut from 28
    for i, bits in enumerate(masks.bits):
        large = F.interpolate(bits[None, None], size=(28, 28), mode="bilinear", align_corners=False)[0, 0]
        down, across = masks.shifts[:, i]
        torch.testing.assert_close(masks(torch.tensor([i]))[0], large[down : down + 20, across : across + 20])


def test_rise_is_without_bias_on_a_linear_network() -> None:
    """With cells kept by themselves, the score goes up by weight x (1 - keep) where a cell is seen."""
    rng, keep, weights = np.random.default_rng(0), 0.5, torch.tensor([[0.3, -0.2, 0.0, 0.1]]).double()
    runs, errors = [], []
    for _ in range(400):
        cells = torch.from_numpy(rng.random((50, 4)) < keep).double()
        scores = 0.7 + cells @ weights.T  # [M, 1]
        (centred, error), (plain, _) = (estimate(scores, cells, keep, on) for on in (True, False))
        runs.append(torch.stack([centred[0], plain[0]]))
        errors.append(error[0])
    found = torch.stack(runs)  # [runs, 2, 4]
    mean, spread = found.mean(dim=0), found.std(dim=0)
    want = weights[0] * (1 - keep)
    score = 0.7 + keep * weights.sum()
    assert ((mean[0] - want).abs() < 4 * spread[0] / 20).all()
    assert ((mean[1] - want - score).abs() < 4 * spread[1] / 20).all()
    assert (spread[0] < spread[1] / 2).all()  # what centring is for
    np.testing.assert_allclose(torch.stack(errors).mean(dim=0), spread[0], rtol=0.2)


@pytest.mark.parametrize("against", [None, "a cat"])
def test_scorecam_is_a_naive_loop(model: Model, picture: Image.Image, against: str | None) -> None:
    look = model.look(picture)
    tap = spatial_tap(model)
    grid = as_grid(look.trace([tap])[tap], model)[0]
    pixels, forward = look.pixels, scorer(model, [*TEXTS, against or "-"])
    chosen = sorted(range(len(grid)), key=lambda c: -grid[c].var().item())[:12]
    gains, kept = [], []
    empty = forward(torch.zeros_like(pixels))[0]
    for c in sorted(chosen):
        mask = F.interpolate(grid[None, None, c], size=(model.image_size,) * 2, mode="bilinear")[0, 0]
        mask = (mask - mask.min()) / (mask.max() - mask.min()) if mask.max() > mask.min() else torch.zeros_like(mask)
        gains.append(forward(pixels * mask)[0] - empty)
        kept.append(grid[c])
    gain = torch.stack(gains)
    gain = gain[:, :2] - gain[:, 2:] if against else gain[:, :2]
    weights = torch.softmax(model.logit_scale * gain, dim=0)
    want = torch.einsum("cp,chw->phw", weights, torch.stack(kept)).numpy()
    found = clipviz.explain(look, TEXTS, method="scorecam", channels=12, against=against)
    np.testing.assert_allclose(found.values[0], want, atol=1e-4 * np.abs(want).max())
    for j in range(2):
        told = found[0, j].details
        assert told["effective_channels"] == pytest.approx(1 / weights[:, j].square().sum().item(), rel=1e-3)
        assert told["layer"] == tap


@pytest.mark.parametrize("kind", [0, 1])
def test_scorecam_is_pytorch_grad_cams_where_its_scores_are_bare(
    large: tuple[Model, Model], picture: Image.Image, kind: int
) -> None:
    import open_clip
    from pytorch_grad_cam import ScoreCAM

    model = large[kind]
    network = open_clip.CustomTextCLIP(**config_to_open_clip(model.clip.config)).eval()
    visual = {k.removeprefix("visual."): v for k, v in model.clip.state_dict().items() if k.startswith("visual.")}
    network.visual.load_state_dict(visual)
    layer = network.visual.layer4 if kind else network.visual.transformer.resblocks[-1].ln_1
    vector = torch.from_numpy(model.encode_texts(TEXTS[:1])[0])
    pixels, _ = model.prepare(picture)
    cam = ScoreCAM(network.visual, [layer], None if kind else lambda tokens: as_grid(tokens, model))
    target = [lambda output: F.normalize(output, dim=-1) @ vector]
    cam(input_tensor=pixels, targets=target)
    seen = cam.activations_and_grads.activations[0].numpy()
    with torch.no_grad():
        theirs = cam.get_cam_image(pixels, layer, target, seen, None, eigen_smooth=False)[0]
    ours = values(model, picture, "scorecam", TEXTS[:1], scale=1.0, align_corners=True)[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
    ours = clipviz.explain([picture], TEXTS[:1], model=model, method="scorecam", scale=1.0)[0, 0].details
    scaled = clipviz.explain([picture], TEXTS[:1], model=model, method="scorecam", scale=1e4)[0, 0].details
    assert ours["effective_channels"] > 0.99 * ours["channels"]  # the trap: all but uniform
    assert scaled["effective_channels"] < 0.5 * ours["channels"]


def test_scorecam_in_a_softmax_weighs_log_odds(vit: Model, picture: Image.Image) -> None:
    look, others = vit.look(picture), ["a cat", "a dog"]
    found = clipviz.explain(look, TEXTS, method="scorecam", against=others, contrast="softmax", channels=6)
    told = found[0, 0].details
    assert 1 < told["effective_channels"] < 6
    assert 0 < told["baseline_score"] < 1


@pytest.mark.parametrize("method", METHODS)
def test_texts_share_the_passes_and_the_memory_of_a_batch(
    vit: Model, picture: Image.Image, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, sizes = type(vit.clip.visual).forward, []

    def counted(self: Any, x: Tensor, *rest: Any, **more: Any) -> Tensor:
        sizes.append(len(x))
        return forward(self, x, *rest, **more)

    monkeypatch.setattr(type(vit.clip.visual), "forward", counted)
    one = values(vit, picture, method, TEXTS[1], batch_size=4, **METHODS[method])
    alone, sizes[:] = list(sizes), []
    many = values(vit, picture, method, [f"a thing {i}" for i in range(20)] + TEXTS, batch_size=4, **METHODS[method])
    assert sizes == alone
    assert max(sizes) == 4
    np.testing.assert_allclose(many[-1], one[0], atol=1e-6)
    assert np.abs(many[-1] - many[-2]).max() > 1e-3 * np.abs(many[-1]).max()  # another text, another map
    whole = values(vit, picture, method, TEXTS[1], batch_size=64, **METHODS[method])
    np.testing.assert_allclose(whole, one, atol=1e-5 * max(1, np.abs(one).max()))


@pytest.mark.parametrize("method", ["rise", "shap_patches"])
def test_a_seed_is_all_that_chance_hangs_on(vit: Model, picture: Image.Image, method: str) -> None:
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    before = torch.get_rng_state().clone(), str(np.random.get_state()), random.getstate()
    first = values(vit, picture, method, seed=3, **METHODS[method])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (str(np.random.get_state()), random.getstate()) == before[1:]
    torch.manual_seed(2), np.random.seed(2)
    np.testing.assert_array_equal(values(vit, picture, method, seed=3, **METHODS[method]), first)
    assert np.abs(values(vit, picture, method, seed=4, **METHODS[method]) - first).max() > 1e-5


@pytest.mark.parametrize("method", ["occlusion", "rise", "shap_patches"])
def test_a_model_that_gives_vectors_only_is_served(other: Model, picture: Image.Image, method: str) -> None:
    assert other.kind == "other"
    found = clipviz.explain([picture], TEXTS, model=other, method=method, **METHODS[method])
    assert found.values.shape == (1, 2, *grid_of(other))
    assert not found[0, 0].constant
    if method == "occlusion":
        pixels, _ = other.prepare(picture)
        drops, forward = [], scorer(other)
        size = other.image_size // 16
        options = {"window": 1}
        for k in (0, 37, 255):
            covered = pixels.clone()
            row, column = divmod(k, 16)
            covered[..., row * size : (row + 1) * size, column * size : (column + 1) * size] = 0
            drops.append((forward(pixels) - forward(covered))[0, 0].item())
        ours = values(other, picture, "occlusion", **options)[0].reshape(-1)[[0, 37, 255]]
        np.testing.assert_allclose(ours, drops, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_tiles_are_explained_one_by_one(vit: Model, method: str) -> None:
    long = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 160, 3), dtype=np.uint8))
    found = clipviz.explain([long], TEXTS, model=vit, method=method, view="tiles", **METHODS[method])[0, 0]
    tiles = len(found.frame.tiles)
    assert tiles > 1
    assert found.values.shape[1] > vit.grid[1]
    assert len(found.details["baseline_score"]) == tiles


def test_pixels_behind_the_last_whole_cell_count_to_it() -> None:
    assert cell_of_pixel(11, 3).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("occlusion", {"window": 5}, "window=5 is not a whole number from 1 to 4"),
        ("occlusion", {"window": 2, "stride": 3}, "leaves cells between windows"),
        ("occlusion", {"stride": 0}, "stride=0"),
        ("occlusion", {"blank": "mena"}, "Did you mean 'mean'"),
        ("occlusion", {"batch_size": 0}, "batch_size=0"),
        ("rise", {"samples": 1}, "samples=1"),
        ("rise", {"keep": 1.0}, "keep=1.0 is no probability"),
        ("rise", {"points": 0}, "points=0"),
        ("rise", {"seed": "x"}, "seed='x'"),
        ("rise", {"sample": 10}, "Did you mean 'samples'"),
        ("scorecam", {"channels": 49}, "from 1 to 48"),
        ("scorecam", {"scale": -1}, "scale=-1 is no factor"),
        ("scorecam", {"layer": 7}, "layer=7"),
    ],
)
def test_what_is_refused(vit: Model, picture: Image.Image, method: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ClipvizError) as raised:
        values(vit, picture, method, **options)
    assert said in str(raised.value)


@pytest.mark.parametrize("method", ["occlusion", "rise", "shap_patches"])
def test_a_picture_that_is_its_own_blank_has_a_constant_map(method: str, model: Model) -> None:
    black = Image.new("RGB", (70, 70))
    options = {"occlusion": {}, "rise": {"samples": 40}, "shap_patches": {"cells": 2}}[method]
    for against in (None, ["a cat"]):
        asked = {"model": model, "method": method, "against": against, "batch_size": 7, **options}
        found = clipviz.explain([black], ["a dog"], blank="black", **asked)[0, 0]
        assert found.constant and any("same everywhere" in note for note in found.notes)
        assert not clipviz.explain([black], ["a dog"], blank="mean", **asked)[0, 0].constant
