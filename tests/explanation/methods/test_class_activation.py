"""Grad-CAM's relatives: equal to pytorch-grad-cam before its scaling, and right by their definitions."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.errors import InputError
from clipviz.explanation.methods.class_activation import _first_component
from clipviz.explanation.methods.gradients import spatial_gradients
from clipviz.explanation.methods.places import as_grid, spatial_tap
from clipviz.explanation.target import Target
from clipviz.model import Model
from clipviz.weights import Weights

TEXTS = ["a red circle", "the forest", "two dogs"]
# Ours: the class of pytorch-grad-cam and, where they differ by default, the eps that it has.
PAIRS: dict[str, tuple[str, dict[str, float]]] = {
    "gradcam": ("GradCAM", {}),
    "gradcam++": ("GradCAMPlusPlus", {"eps": 1e-6}),
    "layercam": ("LayerCAM", {}),
    "hirescam": ("HiResCAM", {}),
    "xgradcam": ("XGradCAM", {"eps": 1e-7}),
    "eigencam": ("EigenCAM", {}),
}
METHODS = list(PAIRS)


def small_open_clip(kind: str) -> tuple[torch.nn.Module, Model]:
    """A random tower of open_clip, with statistics and residual branches that do something, and ours of its weights."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(3)
    if kind == "vit":
        vision = CLIPVisionCfg(layers=3, width=48, head_width=16, patch_size=16, image_size=96)
    else:
        vision = CLIPVisionCfg(layers=(1, 1, 2, 1), width=8, head_width=32, image_size=128)
    text = CLIPTextCfg(context_length=16, width=32, heads=2, layers=2)
    network = CLIP(24, vision, text, quick_gelu=True).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values, low, high in (
                (module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5), (module.running_mean, -0.1, 0.1),
                (module.running_var, 0.5, 1.5),
            ):  # fmt: skip
                torch.nn.init.uniform_(values.data, low, high)
    return network.visual, Model.wrap(network, {"mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}, name=kind)


def their_layer(visual: torch.nn.Module, tap: str) -> torch.nn.Module:
    if tap.startswith("stage."):
        return visual.get_submodule(f"layer{tap[-1]}")
    return visual.get_submodule(f"transformer.resblocks.{tap.removeprefix('block.')}")


def theirs(cam: str, visual: torch.nn.Module, model: Model, tap: str, picture: Image.Image, text: str) -> np.ndarray:
    """The map of pytorch-grad-cam [h, w] before it cuts, scales and resizes."""
    import pytorch_grad_cam

    vector = torch.from_numpy(model.encode_texts([text])[0])
    wanted = [lambda output: F.normalize(output, dim=-1) @ vector]
    grid = None if model.kind == "resnet" else (lambda tokens: as_grid(tokens, model))
    pixels, _ = model.prepare(picture)
    layer = their_layer(visual, tap)
    made = getattr(pytorch_grad_cam, cam)(model=visual, target_layers=[layer], reshape_transform=grid)
    made(input_tensor=pixels, targets=wanted)
    seen = made.activations_and_grads
    grads = seen.gradients[0].numpy() if seen.gradients else None
    return made.get_cam_image(pixels, layer, wanted, seen.activations[0].numpy(), grads, eigen_smooth=False)[0]


def compare(method: str, visual: torch.nn.Module, model: Model, layer: Any, picture: Image.Image) -> None:
    cam, options = PAIRS[method]
    found = clipviz.explain([picture], TEXTS[:1], model=model, method=method, layer=layer, **options)
    ours = found[0, 0].values
    other = theirs(cam, visual, model, spatial_tap(model, layer), picture, TEXTS[0])
    assert ours.shape == other.shape and np.abs(other).max() > 0
    if method == "eigencam":
        other = other * np.sign((ours * other).sum())  # theirs has whatever sign the decomposition gave
    np.testing.assert_allclose(ours, other, atol=1e-4 * np.abs(other).max(), rtol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("kind", "layer"), [("vit", None), ("vit", 1), ("resnet", None), ("resnet", 2)])
def test_equals_pytorch_grad_cam_before_its_scaling(method: str, kind: str, layer: Any, picture: Image.Image) -> None:
    visual, model = small_open_clip(kind)
    compare(method, visual, model, layer, picture)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ViT-B-32", "RN50"])
def test_equals_pytorch_grad_cam_at_full_size(name: str, picture: Image.Image) -> None:
    import open_clip

    torch.manual_seed(0)
    network = open_clip.create_model(name, force_quick_gelu=True).eval()
    model = Model.wrap(network, {"mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}, name=name)
    for method in METHODS:
        compare(method, network.visual, model, None, picture)


def test_are_their_definitions(model: Model, picture: Image.Image) -> None:
    """Written again, cell by cell, from activations and gradients."""
    look = model.look(picture)
    texts = torch.from_numpy(model.encode_texts(TEXTS[:1]))
    cells = spatial_gradients(model, look, Target(texts, texts[:0], ("",)))
    a, g = cells.activations[0].double().numpy(), cells.gradients[0, 0].double().numpy()  # [C, h, w]
    want = {m: np.zeros(a.shape[1:]) for m in ("gradcam++", "layercam", "hirescam", "xgradcam")}
    for channel, (ac, gc) in enumerate(zip(a, g, strict=True)):
        plus = sum(max(x, 0) * x**2 / (2 * x**2 + ac.sum() * x**3) for x in gc.ravel() if x)
        axiom = sum(x * y for x, y in zip(gc.ravel(), ac.ravel(), strict=True)) / (ac.sum() + 1e-7)
        for i, j in np.ndindex(*ac.shape):
            want["gradcam++"][i, j] += plus * ac[i, j]
            want["xgradcam"][i, j] += axiom * ac[i, j]
            want["layercam"][i, j] += max(gc[i, j], 0) * a[channel, i, j]
            want["hirescam"][i, j] += gc[i, j] * a[channel, i, j]
    for method, expected in want.items():
        found = clipviz.explain([look], TEXTS[:1], method=method)[0, 0].values
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), err_msg=method)


def test_hirescam_is_what_growing_a_cell_does(picture: Image.Image, model: Model) -> None:
    """By finite differences in float64: multiply one cell's activations by 1 + s, see how the cosine follows."""
    visual = copy.deepcopy(model.clip.visual).double()
    tap = spatial_tap(model)
    with torch.no_grad():
        given = visual.trace(model.look(picture).pixels.double(), [tap])
    text = torch.from_numpy(model.encode_texts(TEXTS[:1])[0]).double()
    found = clipviz.explain([picture], TEXTS[:1], model=model, method="hirescam")[0, 0].values
    for i, j in [(0, 0), (1, 0), (1, 1)]:
        cosines = []
        for step in (1e-4, -1e-4):
            value = given[tap].clone()
            cell = value[:, 1 + i * model.grid[1] + j] if value.dim() == 3 else value[:, :, i, j]
            cell *= 1 + step
            cosines.append((F.normalize(visual.tail(tap, value, given), dim=-1) @ text).item())
        known = (cosines[0] - cosines[1]) / 2e-4
        assert found[i, j] == pytest.approx(known, abs=1e-4 * float(np.abs(found).max()))


def test_grad_cam_plus_plus_does_not_hang_on_the_size_of_the_score(picture: Image.Image, model: Model) -> None:
    """With an eps of 1e-6, gradients of a cosine are too small to be told from nothing; ours goes without."""
    look = model.look(picture)
    free, held = (clipviz.explain([look], TEXTS[:1], method="gradcam++", eps=eps)[0, 0].values for eps in (None, 1e-6))
    none = clipviz.explain([look], TEXTS[:1], method="gradcam++", eps=0.0)[0, 0].values
    np.testing.assert_allclose(free, none, atol=1e-3 * np.abs(free).max())
    assert np.abs(held).max() < np.abs(free).max()


@pytest.mark.parametrize("method", METHODS)
def test_many_texts_and_tiles_equal_one_at_a_time(method: str, model: Model, picture: Image.Image) -> None:
    many = clipviz.explain([picture], TEXTS, model=model, method=method, view="tiles")
    look = model.look(picture, "tiles")
    assert len(look.pixels) > 1
    for j, text in enumerate(TEXTS):
        alone = clipviz.explain([picture], [text], model=model, method=method, view="tiles")[0, 0]
        np.testing.assert_allclose(many[0, j].values, alone.values, atol=1e-5 * np.abs(alone.values).max())
        assert alone.provenance["details"]["layer"] == spatial_tap(model)


@pytest.mark.parametrize("method", METHODS)
def test_the_text_decides(method: str, model: Model, picture: Image.Image) -> None:
    maps = clipviz.explain([picture], TEXTS, model=model, method=method).values[0]
    if method == "eigencam":
        assert (maps == maps[:1]).all()
    else:
        assert all(np.abs(a - b).max() > 0.05 * np.abs(a).max() for a, b in [maps[:2], maps[1:], maps[::2]])
    listed = clipviz.list_explainers().set_index("name").loc[method]
    assert listed["uses_text"] == (method != "eigencam") and listed["signed"]


def test_eigencam_has_its_sign_from_a_score(model: Model, picture: Image.Image) -> None:
    from clipviz.explanation.neutral import NEUTRAL

    look = model.look(picture)
    plain = clipviz.explain([look], TEXTS[0], method="eigencam").values[0, 0]
    of_nothing = clipviz.explain([look], list(NEUTRAL), method="hirescam").values[0].mean(axis=0)
    assert np.corrcoef(plain.ravel(), of_nothing.ravel())[0, 1] > 0
    texts = [*TEXTS, "a cat", "snow", "an old car", "nine cups"]
    of_texts = clipviz.explain([look], texts, method="eigencam", sign="text").values[0]
    scores = clipviz.explain([look], texts, method="hirescam").values[0]
    for ours, score in zip(of_texts, scores, strict=True):
        assert np.array_equal(np.abs(ours), np.abs(plain))
        assert np.corrcoef(ours.ravel(), score.ravel())[0, 1] > 0


def test_the_first_component_is_that_of_the_covariance() -> None:
    points = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 3
    found = _first_component(points)
    for cells, along in zip(points, found, strict=True):
        centred = (cells - cells.mean(dim=1, keepdim=True)).numpy()
        _, vectors = np.linalg.eigh(centred @ centred.T)
        np.testing.assert_allclose(np.abs(vectors[:, -1] @ centred), np.abs(along.numpy()), atol=1e-10)
    assert torch.equal(_first_component(torch.full((1, 5, 9), 3.3)), torch.zeros(1, 9))


def test_a_layer_has_its_own_grid(model: Model, picture: Image.Image) -> None:
    layer, grid = (2, (8, 8)) if model.kind == "resnet" else (0, model.grid)
    for method in METHODS:
        found = clipviz.explain([picture], TEXTS[:1], model=model, method=method, layer=layer)[0, 0]
        assert found.values.shape == grid
        assert found.provenance["details"]["layer"] == spatial_tap(model, layer)


@pytest.mark.parametrize("method", METHODS)
def test_another_text_for_a_look_costs_no_image_pass(
    method: str, model: Model, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = model.look(picture)
    passes = []
    forward = type(model.clip.visual).forward
    monkeypatch.setattr(
        type(model.clip.visual), "forward", lambda self, *a, **k: (passes.append(1), forward(self, *a, **k))[1]
    )
    clipviz.explain([look], TEXTS[0], method=method)
    clipviz.explain([look], TEXTS[1:], method=method, against="a cat")
    assert passes == [1]


@pytest.mark.parametrize("method", METHODS)
def test_runs_in_float64(method: str, model: Model, picture: Image.Image) -> None:
    double = Model("double", Weights(copy.deepcopy(model.clip)), tokenizer=model.tokenizer)
    double.clip.visual.double()
    look = double.look(picture)
    look.pixels = look.pixels.double()
    one = clipviz.explain([picture], TEXTS, model=model, method=method).values
    two = clipviz.explain([look], TEXTS, method=method).values
    np.testing.assert_allclose(one, two, atol=1e-3 * np.abs(two).max())


def test_a_picture_that_is_the_same_everywhere_is_flagged(vit: Model) -> None:
    """Without positions, and with one colour, all tokens are alike: there is no component."""
    clip = copy.deepcopy(vit.clip)
    clip.visual.positional_embedding.data.zero_()
    alike = Model("alike", Weights(clip), tokenizer=vit.tokenizer)
    grey = Image.new("RGB", (80, 80), (90, 90, 90))
    found = clipviz.explain([grey], TEXTS[:1], model=alike, method="eigencam")[0, 0]
    assert not found.values.any() and any("same everywhere" in note for note in found.notes)
    for method in METHODS:
        assert np.isfinite(clipviz.explain([grey], TEXTS, model=alike, method=method).values).all()


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("hirescam", {"layer": 12}, "layer=12 is not in small-"),
        ("layercam", {"layer": "stage.9"}, "layer='stage.9' is no grid"),
        ("gradcam++", {"eps": -1.0}, "from 0 on"),
        ("xgradcam", {"eps": "small"}, "from 0 on"),
        ("eigencam", {"sign": "texts"}, "Did you mean 'text'"),
        ("eigencam", {"sing": "text"}, "Did you mean 'sign'"),
    ],
)
def test_bad_options(method: str, options: dict[str, Any], message: str, model: Model, picture: Image.Image) -> None:
    with pytest.raises(InputError, match=message):
        clipviz.explain([picture], TEXTS, model=model, method=method, **options)
