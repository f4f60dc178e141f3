"""Insertion and deletion: by hand on a network whose answers are known, by a naive loop on a real one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from clipviz.errors import InputError
from clipviz.explanation.metrics import centre_map, insertion_deletion, random_map
from clipviz.explanation.metrics.hiding import blank_of, on_cells
from clipviz.explanation.target import Target
from clipviz.model import Look, Model

Linear = Callable[[Tensor, Tensor], Look]
# Four pixels, two of them dark: mean 0.5, and hiding a pixel takes weight x (pixel - 0.5).
PIXELS = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
WEIGHTS = torch.tensor([[0.3, 0.2], [0.1, -0.2]], dtype=torch.float64)
CELLS = WEIGHTS * (PIXELS - 0.5)  # 0.15, -0.1, 0.05, 0.1


def test_by_hand(linear: Linear, text: Target) -> None:
    found = insertion_deletion(linear(WEIGHTS, PIXELS), text, CELLS, baseline="mean", unit="pixel")
    assert (found.full, found.blank) == pytest.approx((0.4, 0.2))
    assert found.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    np.testing.assert_allclose(found.insertion, [0, 0.75, 1.25, 1.5, 1], atol=1e-12)
    np.testing.assert_allclose(found.deletion, [1, 0.25, -0.25, -0.5, 0], atol=1e-12)
    assert found.insertion_auc == pytest.approx((0 / 2 + 0.75 + 1.25 + 1.5 + 1 / 2) / 4)
    assert found.deletion_auc == pytest.approx((1 / 2 + 0.25 - 0.25 - 0.5) / 4, abs=1e-12)
    assert found.normalised and not found.left_out and not found.constant
    two = insertion_deletion(linear(WEIGHTS, PIXELS), text, CELLS, baseline="mean", steps=2)
    np.testing.assert_allclose(two.insertion, [0, 1.25, 1], atol=1e-12)
    raw = insertion_deletion(linear(WEIGHTS, PIXELS), text, CELLS, baseline="mean", normalise=False)
    np.testing.assert_allclose(raw.insertion, 0.2 + 0.2 * found.insertion)


def test_no_order_beats_the_true_one_and_its_reverse_is_worst(linear: Linear, text: Target) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(6, 6, generator=generator).double() / 36
    pixels = torch.rand(6, 6, generator=generator).double()
    look = linear(weights, pixels)
    truth = weights * (pixels - pixels.mean())

    def areas(values: object) -> tuple[float, float]:
        found = insertion_deletion(look, text, values, baseline="mean", normalise=False)
        return found.insertion_auc, -found.deletion_auc

    best, worst = areas(truth), areas(-truth)
    rivals = [areas(random_map((6, 6), i)) for i in range(30)] + [areas(centre_map((6, 6)))]
    assert all(b > r > w for rival in rivals for b, r, w in zip(best, rival, worst, strict=True))
    # in a linear network each random order gains and loses about alike
    full, blank = (weights * pixels).sum().item(), (weights * pixels.mean()).sum().item()
    assert np.mean(rivals[:30], axis=0)[0] == pytest.approx((full + blank) / 2, abs=0.3 * (best[0] - worst[0]))


def test_a_tiny_denominator_is_left_out(linear: Linear, text: Target) -> None:
    look = linear(WEIGHTS, torch.full((2, 2), 0.7).double())  # as grey as its mean
    found = insertion_deletion(look, text, CELLS, baseline="mean")
    assert found.left_out
    assert np.isnan([found.insertion_auc, found.deletion_auc]).all()
    assert found.full == pytest.approx(found.blank)
    assert insertion_deletion(linear(WEIGHTS, PIXELS), text, CELLS, baseline="mean", least=0.21).left_out
    assert not insertion_deletion(linear(WEIGHTS, PIXELS), text, CELLS, baseline="mean", least=0.19).left_out


def test_a_picture_below_its_blank_is_left_out(linear: Linear, text: Target) -> None:
    """Its quotient would turn over, and praise a map of what speaks against the text."""
    found = insertion_deletion(linear(-WEIGHTS, PIXELS), text, CELLS, baseline="mean")
    assert found.full < found.blank - 0.05
    assert found.left_out and np.isnan(found.insertion_auc)


def test_a_constant_map_is_flagged_and_its_order_is_by_lot(linear: Linear, text: Target) -> None:
    look = linear(WEIGHTS, PIXELS)
    found = [insertion_deletion(look, text, np.zeros((2, 2)), baseline="mean", seed=i) for i in range(6)]
    assert all(one.constant for one in found)
    assert len({one.insertion_auc for one in found}) > 1
    again = insertion_deletion(look, text, np.zeros((2, 2)), baseline="mean", seed=0)
    assert again.insertion.tolist() == found[0].insertion.tolist()


def test_costs_and_memory(linear: Linear, text: Target) -> None:
    look = linear(torch.full((8, 8), 0.01).double(), torch.rand(8, 8, generator=torch.Generator()).double())
    insertion_deletion(look, text, random_map((8, 8)), baseline="mean", steps=16, batch_size=5)
    network = look.model.network
    assert (network.passes, network.largest) == (2 * 16, 5)  # type: ignore[union-attr]


@pytest.mark.parametrize("baseline", ["mean", "blur"])
def test_is_a_naive_loop_on_a_real_network(model: Model, picture: Image.Image, baseline: str) -> None:
    look = model.look(picture)
    texts = torch.from_numpy(model.encode_texts(["a red circle", "a dog"]))
    target = Target(texts, texts[:0], ("a red circle", "a dog"))
    h, w = model.grid
    values = random_map((h, w), 3)
    found = insertion_deletion(look, target, values, text=1, baseline=baseline, normalise=False, least=0)
    blank = blank_of(look.pixels, baseline)
    cell = model.image_size // h
    order = np.argsort(-values.ravel())
    shown, hidden = blank.clone(), look.pixels.clone()
    curves = []
    for k in range(h * w + 1):
        with torch.no_grad():
            both = F.normalize(model.clip.visual(torch.cat([shown, hidden])), dim=-1) @ texts[1]
        curves.append(both.tolist())
        if k < h * w:
            spot = np.s_[..., order[k] // w * cell : (order[k] // w + 1) * cell, order[k] % w * cell : (order[k] % w + 1) * cell]  # fmt: skip  # noqa: E501
            shown[spot], hidden[spot] = look.pixels[spot], blank[spot]
    np.testing.assert_allclose(np.stack([found.insertion, found.deletion], axis=1), curves, atol=1e-6)
    assert (found.full, found.blank) == pytest.approx((curves[-1][0], curves[0][0]), abs=1e-6)


def test_a_softmax_is_told_as_it_is(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    texts = torch.from_numpy(vit.encode_texts(["a red circle", "a dog", "a cat"]))
    target = Target(texts[:1], texts[1:], ("a red circle",), ("a dog", "a cat"), "softmax", vit.logit_scale)
    found = insertion_deletion(look, target, random_map(vit.grid), unit="pixel", steps=10)
    assert not found.normalised
    assert found.insertion[-1] == found.deletion[0] == found.full == pytest.approx(target(look.unit).item(), abs=1e-6)
    assert len(found.shares) == 11 and found.deletion[-1] == found.insertion[0] == found.blank


def test_leaves_the_model_and_the_random_state_alone(vit: Model, picture: Image.Image) -> None:
    look, texts = vit.look(picture), torch.from_numpy(vit.encode_texts(["a dog"]))
    pixels, state = look.pixels.clone(), torch.get_rng_state()
    before = vit.provenance["weights_sha256"]
    insertion_deletion(look, Target(texts, texts[:0], ("a dog",)), random_map(vit.grid))
    assert torch.equal(pixels, look.pixels) and torch.equal(state, torch.get_rng_state())
    assert before == vit.look(picture).model.provenance["weights_sha256"]
    assert all(p.grad is None for p in vit.clip.parameters())


def test_cells_keep_their_sum_and_their_order() -> None:
    values = random_map((8, 8))
    for cells in ((4, 4), (8, 8), (2, 4)):
        assert on_cells(values, cells).sum() == pytest.approx(values.sum())
    np.testing.assert_allclose(on_cells(values, (4, 4))[0, 0], values[:2, :2].sum())
    finer = on_cells(values, (32, 32))
    assert np.ptp(finer) <= np.ptp(values) / 16 and np.ptp(on_cells(np.ones((2, 2)), (5, 5))) == pytest.approx(0)


def test_the_blur_leaves_a_grey_picture_and_smooths_another() -> None:
    grey, noise = torch.full((1, 3, 20, 20), 0.3), torch.rand(1, 3, 20, 20, generator=torch.Generator())
    torch.testing.assert_close(blank_of(grey, "blur"), grey)
    blurred = blank_of(noise, "blur")
    assert blurred.std() < 0.3 * noise.std() and blurred.mean() == pytest.approx(noise.mean().item(), abs=0.02)
    from scipy.ndimage import gaussian_filter

    point = torch.zeros(1, 3, 41, 41)
    point[..., 20, 20] = 1
    theirs = gaussian_filter(point[0, 0].numpy(), 4.1, mode="constant")  # a tenth of the side
    np.testing.assert_allclose(blank_of(point, "blur")[0, 0, 12:29, 12:29], theirs[12:29, 12:29], rtol=5e-3)
    torch.testing.assert_close(blank_of(noise, "mean")[0, :, 3, 5], noise.mean(dim=(0, 2, 3)))


@pytest.mark.parametrize(
    "options,says",
    [
        ({"values": np.ones((2, 2, 1))}, "the shape"),
        ({"values": [[np.nan, 0]]}, "NaN"),
        ({"baseline": "grey"}, "baseline='grey'"),
        ({"unit": "patches"}, "unit='patches'"),
        ({"text": 1}, "text=1 is none of the 1"),
        ({"steps": 5}, "steps=5 does not divide 4 cells"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_refuses(linear: Linear, text: Target, options: dict, says: str) -> None:
    options = {"values": CELLS, **options}
    with pytest.raises(InputError, match=says):
        insertion_deletion(linear(WEIGHTS, PIXELS), text, **options)


def test_refuses_tiles(vit: Model, picture: Image.Image) -> None:
    texts = torch.from_numpy(vit.encode_texts(["a dog"]))
    with pytest.raises(InputError, match="seen in 2 tiles"):
        insertion_deletion(vit.look(picture, "tiles"), Target(texts, texts[:0], ("a dog",)), random_map(vit.grid))
