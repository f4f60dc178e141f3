"""Gradients at the pixels: equal to captum, adding up, and known by finite differences."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.errors import InputError
from clipviz.explanation.methods.inputs import BLANKS, blank_pixels, path_gradient
from clipviz.explanation.target import Target
from clipviz.model import Model
from clipviz.weights import Weights

TEXTS = ["a red circle", "the forest", "two dogs"]
METHODS = ["input_x_gradient", "integrated_gradients", "smoothgrad"]


def cosine(model: Model, text: str) -> Any:
    vector = torch.from_numpy(model.encode_texts([text])[0])
    return lambda pixels: F.normalize(model.clip.visual(pixels), dim=-1) @ vector


def explained(model: Model, picture: Any, method: str, **options: Any) -> np.ndarray:
    return clipviz.explain([picture], TEXTS[:1], model=model, method=method, **options)[0, 0].values


def close(ours: np.ndarray, theirs: np.ndarray, share: float = 1e-4) -> None:
    assert ours.shape == theirs.shape and np.abs(theirs).max() > 0
    np.testing.assert_allclose(ours, theirs, atol=share * np.abs(theirs).max(), rtol=0)


@pytest.mark.parametrize(("rule", "name"), [("gauss", "gausslegendre"), ("midpoint", "riemann_middle")])
@pytest.mark.parametrize("blank", BLANKS)
def test_integrated_gradients_equal_captum(
    rule: str, name: str, blank: str, model: Model, picture: Image.Image
) -> None:
    from captum.attr import IntegratedGradients

    pixels = model.look(picture).pixels
    start = blank_pixels(model, pixels, blank)
    theirs = IntegratedGradients(cosine(model, TEXTS[0])).attribute(pixels, start, n_steps=20, method=name)
    ours = explained(model, picture, "integrated_gradients", rule=rule, steps=20, blank=blank, pixels=True)
    close(ours, theirs.sum(dim=1)[0].detach().numpy())


def test_input_x_gradient_equals_captum(model: Model, picture: Image.Image) -> None:
    from captum.attr import InputXGradient

    theirs = InputXGradient(cosine(model, TEXTS[0])).attribute(model.look(picture).pixels.requires_grad_())
    close(explained(model, picture, "input_x_gradient", pixels=True), theirs.sum(dim=1)[0].detach().numpy())


def test_smoothgrad_comes_to_captums_noise_tunnel(vit: Model, picture: Image.Image) -> None:
    """Each draws noise of its own: they meet as the copies grow in number."""
    from captum.attr import NoiseTunnel, Saliency

    pixels = vit.look(picture).pixels
    spread = 1.0 * (pixels.max() - pixels.min()).item()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        theirs = NoiseTunnel(Saliency(cosine(vit, TEXTS[0]))).attribute(
            pixels.requires_grad_(), nt_samples=300, nt_samples_batch_size=50, stdevs=spread, abs=False
        )
    few, many = (
        explained(vit, picture, "smoothgrad", form="signed", samples=n, noise=1.0, pixels=True).ravel()
        for n in (4, 600)
    )
    wanted = theirs.sum(dim=1)[0].detach().numpy().ravel()
    apart = [1 - np.corrcoef(some, wanted)[0, 1] for some in (few, many)]
    assert apart[1] < 0.01 and apart[1] < apart[0] / 10
    assert np.std(many) == pytest.approx(np.std(wanted), rel=0.1)


def test_smoothgrad_is_its_definition(model: Model, picture: Image.Image) -> None:
    pixels = model.look(picture).pixels
    generator = torch.Generator().manual_seed(3)
    spread = 0.2 * (pixels.max() - pixels.min())
    total = torch.zeros_like(pixels)
    for _ in range(5):
        x = (pixels + spread * torch.randn(1, *pixels.shape[1:], generator=generator)).requires_grad_()
        total += torch.autograd.grad(cosine(model, TEXTS[0])(x).sum(), x)[0] / 5
    options = {"samples": 5, "noise": 0.2, "seed": 3, "pixels": True, "batch_size": 2}
    for form, wanted in (("absolute", total.abs()), ("signed", total), ("input", pixels * total)):
        close(explained(model, picture, "smoothgrad", form=form, **options), wanted.sum(dim=1)[0].numpy())
    again, other = (explained(model, picture, "smoothgrad", **{**options, "seed": s}) for s in (3, 4))
    assert np.array_equal(again, explained(model, picture, "smoothgrad", **options))
    assert not np.allclose(again, other, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize("blank", BLANKS)
def test_integrated_gradients_add_up(blank: str, model: Model, picture: Image.Image) -> None:
    found = clipviz.explain([picture], TEXTS, model=model, method="integrated_gradients", blank=blank)
    start = blank_pixels(model, model.look(picture).pixels, blank)
    for j, text in enumerate(TEXTS):
        heatmap = found[0, j]
        told = heatmap.provenance["details"]
        assert told["baseline"] == blank
        assert told["baseline_score"] == pytest.approx(cosine(model, text)(start).item(), abs=1e-6)
        missing = abs(heatmap.values.sum() - (heatmap.score - told["baseline_score"]))
        assert missing < 1e-3
        assert told["completeness_error"] == pytest.approx(missing, abs=2e-6)


def test_the_error_shrinks_as_steps_double_and_is_small_at_the_default(shared: Path) -> None:
    """On networks that learned something, whose way from a blank is not so straight as that of random ones."""
    from sklearn.datasets import load_sample_image

    for model, text in ((clipviz.load(), "a red circle"), (clipviz.load(shared / "models" / "oc-tiny"), "a lemon")):
        for name in ("flower.jpg", "china.jpg"):
            look = model.look(Image.fromarray(load_sample_image(name)))

            def error(look: Any = look, text: str = text, **options: Any) -> float:
                found = clipviz.explain([look], [text], method="integrated_gradients", **options)
                return found[0, 0].provenance["details"]["completeness_error"]

            assert error() < 1e-4
            gauss = [error(steps=n) for n in (4, 16, 32)]
            middle = [error(steps=n, rule="midpoint") for n in (32, 64, 128)]
            assert gauss[0] > gauss[1] > gauss[2], (model.name, name, gauss)
            assert middle[0] > 2 * middle[1] > 4 * middle[2], (model.name, name, middle)


def test_a_margin_adds_up_too(model: Model, picture: Image.Image) -> None:
    for contrast in ("margin", "softmax"):
        heatmap = clipviz.explain(
            [picture], TEXTS[0], model=model, method="integrated_gradients", against=TEXTS[1:], contrast=contrast
        )[0, 0]
        told = heatmap.provenance["details"]
        assert heatmap.values.sum() == pytest.approx(heatmap.score - told["baseline_score"], abs=1e-3)


def test_input_x_gradient_is_what_growing_a_patch_does(model: Model, picture: Image.Image) -> None:
    """By finite differences in float64: multiply one cell's pixels by 1 + s, see how the cosine follows."""
    visual = copy.deepcopy(model.clip.visual).double()
    pixels = model.look(picture).pixels.double()
    text = torch.from_numpy(model.encode_texts(TEXTS[:1])[0]).double()
    found = explained(model, picture, "input_x_gradient")
    side = model.image_size // model.grid[0]
    for i, j in [(0, 0), (1, 0), (1, 1)]:
        scores = []
        for step in (1e-5, -1e-5):
            moved = pixels.clone()
            moved[:, :, i * side : (i + 1) * side, j * side : (j + 1) * side] *= 1 + step
            with torch.no_grad():
                scores.append((F.normalize(visual(moved), dim=-1) @ text).item())
        assert found[i, j] == pytest.approx((scores[0] - scores[1]) / 2e-5, abs=1e-4 * float(np.abs(found).max()))


@pytest.mark.parametrize("method", METHODS)
def test_cells_are_sums_of_their_pixels_and_batches_change_nothing(
    method: str, model: Model, picture: Image.Image
) -> None:
    cells = explained(model, picture, method)
    pixels = explained(model, picture, method, pixels=True)
    assert cells.shape == model.grid and pixels.shape == (model.image_size,) * 2
    h, w = model.grid
    sums = pixels.reshape(h, model.image_size // h, w, model.image_size // w).sum(axis=(1, 3))
    np.testing.assert_allclose(cells, sums, atol=1e-5 * np.abs(sums).max())
    if method != "input_x_gradient":
        close(explained(model, picture, method, batch_size=5), cells, 1e-5)


def test_never_more_than_a_batch_is_seen_at_once(model: Model) -> None:
    seen = []

    def points(rows: slice) -> torch.Tensor:
        seen.append(rows.stop - rows.start)
        return torch.zeros(seen[-1], 3, model.image_size, model.image_size)

    texts = torch.eye(2, model.embed_dim)
    found = path_gradient(model, points, [0.1] * 10, Target(texts, texts[:0], ("a", "b")), 4)
    assert seen == [4, 4, 2] and found.shape == (2, 3, model.image_size, model.image_size)


@pytest.mark.parametrize("method", METHODS)
def test_many_texts_equal_one_at_a_time_and_differ(method: str, model: Model, picture: Image.Image) -> None:
    many = clipviz.explain([picture], TEXTS, model=model, method=method, view="tiles")
    for j, text in enumerate(TEXTS):
        alone = clipviz.explain([picture], text, model=model, method=method, view="tiles")[0, 0]
        close(many[0, j].values, alone.values)
    a, b, c = many.values[0]
    assert min(np.abs(a - b).max(), np.abs(b - c).max(), np.abs(a - c).max()) > 0.05 * np.abs(a).max()


@pytest.mark.parametrize("method", METHODS)
def test_runs_in_float64_and_leaves_no_trace(method: str, model: Model, picture: Image.Image) -> None:
    double = Model("double", Weights(copy.deepcopy(model.clip)), tokenizer=model.tokenizer)
    double.clip.visual.double()
    look = double.look(picture)
    look.pixels = look.pixels.double()
    random = torch.get_rng_state().clone()
    one = clipviz.explain([picture], TEXTS, model=model, method=method).values
    two = clipviz.explain([look], TEXTS, method=method).values
    np.testing.assert_allclose(one, two, atol=1e-3 * np.abs(two).max())
    assert torch.equal(random, torch.get_rng_state())
    assert all(p.grad is None for p in model.clip.parameters()) and look.pixels.grad is None
    assert not look.pixels.requires_grad


def test_a_black_picture_from_black_says_nothing(model: Model) -> None:
    black = Image.new("RGB", (70, 70))
    heatmap = clipviz.explain([black], TEXTS[0], model=model, method="integrated_gradients", blank="black")[0, 0]
    assert not heatmap.values.any() and any("same everywhere" in note for note in heatmap.notes)
    assert heatmap.provenance["details"]["completeness_error"] < 1e-6


def test_blanks(model: Model, picture: Image.Image) -> None:
    pixels = model.look(picture).pixels
    black, _ = model.prepare(Image.new("RGB", (50, 50)))
    assert not blank_pixels(model, pixels, "mean").any()
    torch.testing.assert_close(blank_pixels(model, pixels, "black"), black)
    blur = blank_pixels(model, pixels, "blur")
    assert blur.std() < 0.5 * pixels.std() and blur.mean() == pytest.approx(pixels.mean().item(), abs=0.1)
    torch.testing.assert_close(blank_pixels(model, black, "blur"), black)  # what is of one colour stays


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("integrated_gradients", {"steps": 0}, "steps=0"),
        ("integrated_gradients", {"rule": "gaus"}, "Did you mean 'gauss'"),
        ("integrated_gradients", {"blank": "blak"}, "Did you mean 'black'"),
        ("integrated_gradients", {"batch_size": True}, "batch_size=True"),
        ("integrated_gradients", {"step": 8}, "Did you mean 'steps'"),
        ("smoothgrad", {"form": "abs"}, "form='abs' is not known"),
        ("smoothgrad", {"noise": -0.1}, "noise=-0.1"),
        ("smoothgrad", {"samples": 2.5}, "samples=2.5"),
        ("smoothgrad", {"seed": "one"}, "seed='one'"),
        ("input_x_gradient", {"layer": 1}, "takes no option 'layer'"),
    ],
)
def test_bad_options(method: str, options: dict[str, Any], message: str, model: Model, picture: Image.Image) -> None:
    with pytest.raises(InputError, match=message):
        clipviz.explain([picture], TEXTS, model=model, method=method, **options)
