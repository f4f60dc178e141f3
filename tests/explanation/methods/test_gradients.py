"""Grad-CAM: equal to pytorch-grad-cam, right by its definition, and without a trace on the model."""

from __future__ import annotations

import random
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.errors import ClipvizWarning
from clipviz.explanation.methods.gradients import score_gradients
from clipviz.explanation.methods.places import as_grid, spatial_tap
from clipviz.explanation.target import Target
from clipviz.model import Model

TEXTS = ["a red circle", "the forest"]


@pytest.mark.parametrize("name", ["ViT-B-32", "RN50"])
def test_equals_pytorch_grad_cam_before_its_scaling(name: str, picture: Image.Image) -> None:
    import open_clip

    torch.manual_seed(0)
    network = open_clip.create_model(name, force_quick_gelu=True).eval()
    model = Model.wrap(network, {"mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}, name=name)
    layer = network.visual.layer4 if name == "RN50" else network.visual.transformer.resblocks[-1].ln_1
    _compare(model, network.visual, layer, picture)


def test_equals_pytorch_grad_cam_on_a_trained_model(shared: Path) -> None:
    import open_clip
    from sklearn.datasets import load_sample_image

    folder = shared / "models" / "oc-tiny"
    network = open_clip.create_model(f"local-dir:{folder}").eval()
    layer = network.visual.transformer.resblocks[-1].ln_1
    picture = Image.fromarray(load_sample_image("flower.jpg"))
    _compare(clipviz.load(folder), network.visual, layer, picture, "a photo of a lemon")


def _compare(
    model: Model, visual: torch.nn.Module, layer: torch.nn.Module, picture: Image.Image, text: str = TEXTS[0]
) -> None:
    from pytorch_grad_cam import GradCAM

    vector = torch.from_numpy(model.encode_texts([text])[0])

    def cosine(output: torch.Tensor) -> torch.Tensor:
        return F.normalize(output, dim=-1) @ vector

    grid = None if "ResNet" in type(visual).__name__ else (lambda tokens: as_grid(tokens, model))
    pixels, _ = model.prepare(picture)
    cam = GradCAM(model=visual, target_layers=[layer], reshape_transform=grid)
    cam(input_tensor=pixels, targets=[cosine])
    seen = cam.activations_and_grads
    theirs = cam.get_cam_image(
        pixels, layer, [cosine], seen.activations[0].numpy(), seen.gradients[0].numpy(), eigen_smooth=False
    )[0]
    ours = clipviz.gradcam(picture, text, model=model).values
    assert np.abs(theirs).max() > 0
    assert ours.min() < 0 or theirs.min() >= 0  # the sign survives
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max(), rtol=0)


def test_is_the_definition(model: Model, picture: Image.Image) -> None:
    """Weights by finite differences: move a channel everywhere at once, see how the cosine follows."""
    look = model.look(picture)
    tap = spatial_tap(model)
    given = {k: v.double() for k, v in look.trace([tap]).items()}
    visual = model.clip.visual
    text = torch.from_numpy(model.encode_texts(TEXTS[:1])).double()
    try:
        visual.double()
        gradients = score_gradients(model, tap, given, Target(text, text[:0], ("",)))[0, 0]  # [L, D] or [C, h, w]
        weights = as_grid(gradients[None], model)[0].mean(dim=(1, 2))  # [C]
        cells = as_grid(given[tap], model)[0].numel() // len(weights)
        for channel in (0, 3, len(weights) - 1):
            moved = []
            for step in (1e-4, -1e-4):
                value = given[tap].clone()
                (value[:, 1:, channel] if value.dim() == 3 else value[:, channel]).add_(step)
                moved.append((F.normalize(visual.tail(tap, value, given), dim=-1) @ text[0]).item())
            assert (moved[0] - moved[1]) / 2e-4 / cells == pytest.approx(weights[channel].item(), rel=1e-5, abs=1e-10)
    finally:
        visual.float()


def test_many_pictures_at_once_do_not_mix(model: Model, picture: Image.Image) -> None:
    other = picture.transpose(Image.Transpose.ROTATE_180)
    both = clipviz.explain([picture, other], TEXTS, model=model, method="gradcam")
    for i, one in enumerate((picture, other)):
        for j, text in enumerate(TEXTS):
            alone = clipviz.gradcam(one, text, model=model)
            np.testing.assert_allclose(both[i, j].values, alone.values, atol=1e-7)
            assert both[i, j].score == pytest.approx(alone.score, abs=1e-6)
    assert both.values.shape == (2, 2, *model.grid)


def test_the_score_is_the_cosine(model: Model, picture: Image.Image) -> None:
    heatmap = clipviz.gradcam(picture, TEXTS[0], model=model)
    cosine = (model.encode_images([picture]) @ model.encode_texts(TEXTS[:1]).T).item()
    assert heatmap.score == pytest.approx(cosine, abs=1e-6)


def test_against_explains_the_difference(model: Model, picture: Image.Image) -> None:
    a, b, c = (clipviz.gradcam(picture, t, model=model) for t in (*TEXTS, "a cat"))
    one = clipviz.gradcam(picture, TEXTS[0], model=model, against=TEXTS[1])
    near = 1e-5 * max(np.abs(h.values).max() for h in (a, b, c))
    np.testing.assert_allclose(one.values, a.values - b.values, atol=near)
    assert one.score == pytest.approx(a.score - b.score, abs=1e-6)
    two = clipviz.gradcam(picture, TEXTS[0], model=model, against=[TEXTS[1], "a cat"])
    np.testing.assert_allclose(two.values, a.values - (b.values + c.values) / 2, atol=near)
    assert two.against == (TEXTS[1], "a cat")


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_leaves_no_trace(model: Model, picture: Image.Image, around: type) -> None:
    clip = model.clip
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    before = (
        {k: v.clone() for k, v in clip.state_dict().items()},
        [
            (m.training, len(m._forward_hooks), len(m._backward_hooks), len(m._forward_pre_hooks))
            for m in clip.modules()
        ],
        [(p.dtype, p.device, p.requires_grad) for p in clip.parameters()],
        (torch.get_rng_state().clone(), str(np.random.get_state()), random.getstate()),
    )
    with around():
        mode = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        clipviz.gradcam(picture, TEXTS[0], model=model)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == mode
    assert all(torch.equal(v, before[0][k]) for k, v in clip.state_dict().items())
    assert before[1] == [
        (m.training, len(m._forward_hooks), len(m._backward_hooks), len(m._forward_pre_hooks)) for m in clip.modules()
    ]
    assert before[2] == [(p.dtype, p.device, p.requires_grad) for p in clip.parameters()]
    assert all(p.grad is None for p in clip.parameters())
    assert torch.equal(torch.get_rng_state(), before[3][0])
    assert (str(np.random.get_state()), random.getstate()) == before[3][1:]


def test_the_same_from_two_threads(model: Model, picture: Image.Image) -> None:
    alone = {text: clipviz.gradcam(picture, text, model=model).values for text in TEXTS}
    wrong: list[str] = []

    def work(text: str) -> None:
        for _ in range(10):
            if not np.allclose(clipviz.gradcam(picture, text, model=model).values, alone[text], atol=1e-7):
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(text,)) for text in TEXTS]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert not wrong


def test_another_text_for_a_look_costs_no_image_pass(
    model: Model, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = model.look(picture)
    passes = []
    forward = type(model.clip.visual).forward
    monkeypatch.setattr(
        type(model.clip.visual), "forward", lambda self, *a, **k: (passes.append(1), forward(self, *a, **k))[1]
    )
    first = clipviz.gradcam(look, TEXTS[0])
    assert passes == [1]
    second = clipviz.gradcam(look, TEXTS[1])
    assert passes == [1]
    assert not np.array_equal(first.values, second.values)
    assert first.provenance["model"]["model"] == model.name


def test_a_word_never_seen_gives_a_warning_and_a_note(vit: Model, picture: Image.Image) -> None:
    seen = frozenset(vit.tokenizer.encode("a photo of a red circle."))
    told = Model("told", clipviz.weights.Weights(vit.clip, seen_token_ids=seen))
    with pytest.warns(ClipvizWarning, match="told never saw 'forest' in training"):
        heatmap = clipviz.gradcam(picture, "a red forest", model=told)
    assert any("forest" in note for note in heatmap.notes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clipviz.gradcam(picture, "a red circle", model=told).notes == ()
        clipviz.gradcam(picture, "a forest", model=vit)  # nothing is known of what this model saw
