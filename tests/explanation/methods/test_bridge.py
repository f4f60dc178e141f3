"""The bridge to pytorch-grad-cam: its own numbers, and nothing of it left behind."""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.errors import InputError, ModelError
from clipviz.explanation.methods import bridge
from clipviz.explanation.methods.places import as_grid, spatial_tap
from clipviz.explanation.registry import find_explainer
from clipviz.explanation.target import Target
from clipviz.model import Model

pgc = pytest.importorskip("pytorch_grad_cam")
scale_cam_image = pytest.importorskip("pytorch_grad_cam.utils.image").scale_cam_image

TEXTS = ["a red circle", "the forest"]
CAMS = sorted(name for name, kind in vars(pgc).items() if bridge._is_cam(kind))


def explained(model: Model, picture: Any, cam: str, texts: Any = TEXTS, **options: Any) -> clipviz.Heatmaps:
    if cam == "FinerCAM":
        options = {"against": ["a cat", "snow"], **options}
    return clipviz.explain([picture], texts, model=model, method=f"pytorch-grad-cam:{cam}", **options)


def test_all_of_its_cams_are_known() -> None:
    from pytorch_grad_cam.base_cam import BaseCAM

    derived = {k for k, v in vars(pgc).items() if isinstance(v, type) and issubclass(v, BaseCAM)}
    assert derived | {"FinerCAM", "RefineCAM", "SESS"} == set(CAMS)


@pytest.mark.parametrize("cam", ["FullGrad", "GradCAMPlusPlus", "EigenGradCAM", "ScoreCAM"])
def test_gives_what_the_class_gives(cam: str, model: Model, picture: Image.Image) -> None:
    """The same class, called by hand on the network itself, in the manner of its readme."""
    vector = torch.from_numpy(model.encode_texts(TEXTS[:1])[0])
    pixels = model.look(picture).pixels
    visual = copy.deepcopy(model.clip.visual).requires_grad_()
    layer = visual.get_submodule("layer4" if model.kind == "resnet" else "transformer.resblocks.2.ln_1")
    made = getattr(pgc, cam)(visual, [] if cam == "FullGrad" else [layer], lambda tokens: as_grid(tokens, model))
    theirs = made(pixels, [lambda output: model.logit_scale * F.normalize(output, dim=-1) @ vector])[0]
    ours = explained(model, picture, cam)[0, 0]
    assert np.ptp(theirs) > 0.5
    np.testing.assert_allclose(ours.values, theirs, atol=2e-3)
    told = ours.provenance["details"]
    assert told["layer"] == ("every bias" if cam == "FullGrad" else spatial_tap(model))
    assert "scaled it to 0..1" in told["scaling"] and told["score"] == "logit"


@pytest.mark.parametrize("cam", CAMS)
def test_every_cam_serves_and_leaves_no_trace(cam: str, model: Model, picture: Image.Image) -> None:
    clip = model.clip

    def state() -> Any:
        return (
            [(n, m.training, len(m._forward_hooks), len(m._backward_hooks)) for n, m in clip.named_modules()],
            [(n, id(p), p.requires_grad, p.grad is None, p._version) for n, p in clip.named_parameters()],
            [(n, id(b), b._version) for n, b in clip.named_buffers()],
            torch.get_rng_state().tolist(), str(np.random.get_state()),
        )  # fmt: skip

    before, values = state(), {k: v.clone() for k, v in clip.state_dict().items()}
    options = {"scales": [64, 96]} if cam == "SESS" else {}
    if cam == "ShapleyCAM" and model.kind == "vit":  # it multiplies tokens where it means cells
        with pytest.raises(InputError, match="ShapleyCAM of pytorch-grad-cam cannot serve small-vit"):
            explained(model, picture, cam)
    else:
        many = explained(model, picture, cam, **options)
        assert many.values.shape == (1, 2, model.image_size, model.image_size)
        assert many.values.min() >= 0 and many.values.max() <= 1 + 1e-6
        for j, text in enumerate(TEXTS):
            alone = explained(model, picture, cam, text, **options)
            np.testing.assert_allclose(many.values[:, j], alone.values[:, 0], atol=1e-4)
        if not find_explainer(f"pytorch-grad-cam:{cam}", model).uses_text:
            np.testing.assert_array_equal(many.values[:, 0], many.values[:, 1])
    assert state() == before
    assert all(torch.equal(v, values[k]) for k, v in clip.state_dict().items())


def test_the_copy_has_the_same_weights_and_asks_them_for_nothing(model: Model) -> None:
    texts = torch.eye(2, model.embed_dim)
    scores = bridge._Scores(model, Target(texts, texts[:0], ("a", "b")), 3.0, apart=False)
    own = dict(model.clip.visual.named_parameters())
    for name, weight in scores.visual.named_parameters():
        assert weight.data_ptr() == own[name].data_ptr() and weight is not own[name] and not weight.requires_grad
    pixels = torch.randn(2, 3, model.image_size, model.image_size)
    wanted = 3 * F.normalize(model.clip.visual(pixels), dim=-1) @ texts.T
    torch.testing.assert_close(scores(pixels), wanted, atol=1e-5, rtol=0)


def test_options_reach_the_class_and_the_call(model: Model, picture: Image.Image) -> None:
    plain = explained(model, picture, "GradCAM").values
    for options in ({"eigen_smooth": True}, {"aug_smooth": True}, {"layer": 2 if model.kind == "resnet" else 0}):
        assert not np.allclose(explained(model, picture, "GradCAM", **options).values, plain, atol=1e-3)
    one, two = (explained(model, picture, "RandomCAM", seed=seed).values for seed in (0, 1))
    assert not np.allclose(one, two, atol=1e-3)
    several = explained(model, picture, "RefineCAM", layer=[2, 3] if model.kind == "resnet" else [1, 2])
    assert several[0, 0].provenance["details"]["layer"].count(", ") == 1
    fem = [explained(model, picture, "FEM", layer=1, k=k).values for k in (0.5, 1)]
    assert not np.array_equal(*fem)


def test_with_logits_a_softmax_over_channels_is_farther_from_their_plain_mean(picture: Image.Image) -> None:
    """On a network that learned something: one of random weights gives every channel the same score."""
    model = clipviz.load()
    cosines, logits = (explained(model, picture, "ScoreCAM", TEXTS[0], logits=v)[0, 0] for v in (False, True))
    assert (cosines.provenance["details"]["score"], logits.provenance["details"]["score"]) == ("score", "logit")
    tap = spatial_tap(model)
    mean = as_grid(model.look(picture).trace([tap])[tap], model)[0].mean(dim=0).clamp(min=0).numpy()  # [h, w]
    (uniform,) = scale_cam_image(mean[None], (model.image_size, model.image_size))
    alike = [np.corrcoef(h.values.ravel(), uniform.ravel())[0, 1] for h in (cosines, logits)]
    assert alike[0] > alike[1] + 0.1, alike


def test_tiles(vit: Model, picture: Image.Image) -> None:
    assert len(vit.look(picture, "tiles").pixels) > 1
    found = explained(vit, picture, "GradCAM", view="tiles")[0, 0].values
    assert found.shape[1] > found.shape[0] == vit.image_size


@pytest.mark.parametrize(
    ("cam", "options", "message"),
    [
        ("GradCam", {}, "no CAM 'GradCam'. Did you mean 'GradCAM'"),
        ("ActivationsAndGradients", {}, "no CAM 'ActivationsAndGradients'"),
        ("GradCAM", {"eigen_smoth": True}, "Did you mean 'eigen_smooth'"),
        ("GradCAM", {"target_layers": []}, "takes no option 'target_layers'"),
        ("GradCAM", {"layer": 17}, "layer=17 is not in"),
        ("FullGrad", {"layer": 2}, "leave out layer="),
        ("FinerCAM", {"against": None}, r"name them with against=\[...\]"),
        ("RandomCAM", {"seed": -1}, "seed=-1"),
    ],
)
def test_bad_input(cam: str, options: dict[str, Any], message: str, vit: Model, picture: Image.Image) -> None:
    with pytest.raises(InputError, match=message):
        explained(vit, picture, cam, **options)


def test_says_what_to_install_where_it_is_not(
    vit: Model, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)  # as Python marks a module that cannot be had
    with pytest.raises(InputError, match="pip install grad-cam"):
        explained(vit, picture, "GradCAM")


def test_the_stem_is_no_module(picture: Image.Image, model: Model) -> None:
    if model.kind == "vit":
        pytest.skip("a ViT has no stem")
    with pytest.raises(InputError, match="take a stage"):
        explained(model, picture, "GradCAM", layer="stem")


def test_needs_a_network_to_look_into() -> None:
    class Other:
        kind, name = "other", "a SigLIP"

    with pytest.raises(ModelError, match="needs a network to look into"):
        find_explainer("pytorch-grad-cam:GradCAM", Other())  # type: ignore[arg-type]
