"""Sensitivity-n, infidelity and max-sensitivity: by hand where the network is linear, beside captum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import clipviz
from clipviz.errors import InputError
from clipviz.explanation.metrics import infidelity, max_sensitivity, random_map, sensitivity_n
from clipviz.explanation.target import Target
from clipviz.model import Look, Model

Linear = Callable[[Tensor, Tensor], Look]


@pytest.fixture
def look(linear: Linear) -> Look:
    generator = torch.Generator().manual_seed(1)
    return linear(torch.randn(5, 5, generator=generator).double() / 50, torch.rand(5, 5, generator=generator).double())


@pytest.fixture
def truth(look: Look) -> np.ndarray:
    """What each pixel adds, beside the mean colour: the only map that foretells everything."""
    pixels = look.pixels[0, 0]
    return (look.model.network.weights * (pixels - pixels.mean())).numpy()  # type: ignore[union-attr, operator]


def test_the_true_map_of_a_linear_network_foretells_everything(look: Look, text: Target, truth: np.ndarray) -> None:
    found = sensitivity_n(look, text, 3 * truth)
    assert found.sizes[0] == 1 and found.sizes[-1] == 20 and found.cells == 25
    np.testing.assert_allclose(found.correlations, 1, atol=1e-9)
    np.testing.assert_allclose(sensitivity_n(look, text, -truth).correlations, -1, atol=1e-9)
    exact = infidelity(look, text, truth, fit=False)
    assert (exact.error, exact.relative) == pytest.approx((0, 0), abs=1e-15)
    scaled = infidelity(look, text, 4 * truth)
    assert (scaled.factor, scaled.relative) == pytest.approx((0.25, 0), abs=1e-12)
    wrong = infidelity(look, text, 4 * truth, fit=False)
    assert wrong.relative == pytest.approx(9)  # (4 - 1) ** 2


def test_rivals_foretell_little(look: Look, text: Target) -> None:
    rivals = [sensitivity_n(look, text, random_map((5, 5), i), samples=50).mean for i in range(20)]
    assert abs(np.mean(rivals)) < 0.2
    assert np.mean([infidelity(look, text, random_map((5, 5), i) - 0.5).relative for i in range(20)]) > 0.6


def test_a_map_that_says_nothing(look: Look, text: Target) -> None:
    zeros = np.zeros((5, 5))
    assert np.isnan(sensitivity_n(look, text, zeros).correlations).all()
    found = infidelity(look, text, zeros)
    assert found.factor == 0 and found.relative == 1 and found.error == found.power
    assert np.isnan(max_sensitivity(look, lambda _: zeros))


def test_infidelity_is_captums(vit: Model, picture: Image.Image) -> None:
    """At equal draws, with and without the factor: captum takes pixels, of which each patch's share its value."""
    import captum.metrics
    import torch.nn.functional as F

    seen, texts = vit.look(picture), torch.from_numpy(vit.encode_texts(["a dog"]))
    target = Target(texts, texts[:0], ("a dog",))
    h, w = vit.grid
    cell = vit.image_size // h
    values = random_map((h, w), 2) - 0.4
    hidden = torch.from_numpy(np.random.default_rng(7).random((40, h * w)) < 0.5)
    mask = hidden.unflatten(1, (h, w)).repeat_interleave(cell, 1).repeat_interleave(cell, 2)[:, None].float()
    spread = torch.from_numpy(values).repeat_interleave(cell, 0).repeat_interleave(cell, 1) / (3 * cell * cell)
    blank = seen.pixels.mean(dim=(2, 3), keepdim=True)

    def perturb(pixels: Tensor) -> tuple[Tensor, Tensor]:
        return mask.expand(-1, 3, -1, -1), torch.where(mask.bool(), blank, pixels)

    def score(pixels: Tensor) -> Tensor:
        return F.normalize(vit.clip.visual(pixels), dim=-1) @ texts[0]

    for fit in (False, True):
        theirs = captum.metrics.infidelity(
            score, perturb, seen.pixels, spread.float().expand(1, 3, -1, -1), n_perturb_samples=40, normalize=fit
        )
        ours = infidelity(seen, target, values, samples=40, fit=fit, seed=7)
        assert ours.error == pytest.approx(theirs.item(), rel=1e-3, abs=1e-9)


def test_max_sensitivity_by_hand(look: Look) -> None:
    """A map that is the picture moves by the noise itself, at most radius / std = 0.04 a pixel."""
    pixels = look.pixels[0, 0].numpy()
    found = max_sensitivity(look, lambda seen: seen.pixels[0, 0], samples=20)
    largest = 0.04 * 5 / np.linalg.norm(pixels)  # 25 pixels, each at its limit
    assert 0.5 * largest < found < largest
    assert max_sensitivity(look, lambda seen: seen.pixels[0, 0], samples=20) == found
    assert max_sensitivity(look, lambda seen: seen.pixels[0, 0], samples=20, radius=0.04) == pytest.approx(2 * found)
    assert max_sensitivity(look, lambda seen: np.ones((2, 2))) == 0  # it does not look at all


def test_max_sensitivity_of_a_real_method(vit: Model, picture: Image.Image) -> None:
    look, state = vit.look(picture), torch.get_rng_state()
    before = look.pixels.clone()

    def explain(seen: Look) -> np.ndarray:
        return clipviz.gradcam(seen, "a dog", model=vit).values

    small, large = (max_sensitivity(look, explain, radius=r, samples=3) for r in (0.002, 0.05))
    assert 0 < small < large
    assert torch.equal(before, look.pixels) and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "call,says",
    [
        (lambda a, t: sensitivity_n(a, t, np.eye(5), sizes=[25]), "whole ones from 1 to 24"),
        (lambda a, t: sensitivity_n(a, t, np.eye(5), sizes=[]), "whole ones"),
        (lambda a, t: sensitivity_n(a, t, np.eye(5), samples=2), "samples=2"),
        (lambda a, t: infidelity(a, t, np.eye(5), share=1.0), "share=1.0"),
        (lambda a, t: infidelity(a, t, np.full((5, 5), np.inf)), "NaN or infinite"),
        (lambda a, t: max_sensitivity(a, lambda _: np.eye(2), radius=0), "radius=0"),
        (lambda a, t: max_sensitivity(a, lambda _: np.ones(3)), "the shape"),
    ],
)
def test_refuses(look: Look, text: Target, call: Callable[[Look, Target], object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        call(look, text)
