"""The bridge to the methods of pytorch-grad-cam, where it is installed: ``method="pytorch-grad-cam:FullGrad"``."""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError, nearest
from ...model import Look, Model
from ..registry import Explainer, Found, register_bridge
from ..target import Target
from .places import as_grid, spatial_tap

PREFIX = "pytorch-grad-cam"
# Those that ask the scores nothing: what is strong in the layer, or chance.
_BLIND = ("EigenCAM", "FEM", "KPCA_CAM", "RandomCAM")
# What the call takes; every other option goes to the class.
_CALL = ("eigen_smooth", "aug_smooth")
_OURS = ("self", "model", "target_layers", "reshape_transform", "kwargs")


def _bridge(name: str) -> Explainer:
    """The explainer of a class of the installed pytorch-grad-cam; InputError where there is none of this name."""
    drawn = random.getstate()
    try:
        import pytorch_grad_cam
    except ImportError as error:
        raise InputError(f"'{PREFIX}:{name}' needs pytorch-grad-cam: pip install grad-cam.") from error
    finally:
        random.setstate(drawn)  # something that it imports draws
    known = {key: kind for key, kind in vars(pytorch_grad_cam).items() if _is_cam(kind)}
    if name not in known:
        raise InputError(f"The installed pytorch-grad-cam has no CAM {name!r}. {nearest(name, known)}")
    return Explainer(
        name=f"{PREFIX}:{name}",
        function=partial(_run, known[name]),
        family="bridge",
        paper=f"{name} of pytorch-grad-cam (github.com/jacobgil/pytorch-grad-cam), with its paper there",
        uses_text=name not in _BLIND,
        signed=False,
        per_tile=True,
        passes="those of the class, for each text",
    )


def _is_cam(kind: Any) -> bool:
    """Whether it is called with pictures and gives a map: what all CAMs there have in common, and nothing else."""
    return inspect.isclass(kind) and "eigen_smooth" in inspect.signature(getattr(kind, "forward", kind)).parameters


def _run(
    kind: type,
    model: Model,
    look: Look,
    target: Target,
    *,
    layer: int | str | list[int | str] | None = None,
    logits: bool = True,
    seed: int = 0,
    **options: Any,
) -> Found:
    """A CAM of pytorch-grad-cam on a copy of the network that shares its weights: maps [N, P, S, S], as it gives them.

    It keeps what is above zero and scales each map to 0..1: neither sign nor size means anything. ``layer`` as
    elsewhere, or several. ``logits`` scales cosines by the model's logit scale, without which ScoreCAM's softmax is
    all but uniform and the eps of others decides. ``seed`` is for those that draw. The rest goes to the class or, as
    ``eigen_smooth`` and ``aug_smooth``, to its call. FinerCAM compares with the texts named by ``against``.
    """
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FinerWeightedTarget

    name = kind.__name__
    made, called = _sorted(kind, options)
    wants = layer if isinstance(layer, list) else [layer]
    taps = [spatial_tap(model, one) for one in wants]
    if name == "FullGrad" and layer is not None:
        raise InputError("FullGrad reads every layer that has a bias: leave out layer=.")
    if name == "FinerCAM" and not len(target.others):
        raise InputError("FinerCAM compares with other texts: name them with against=[...].")
    if name == "AblationCAM" and model.kind == "vit":
        made = {"ablation_layer": pytorch_grad_cam.AblationLayerVit(), **made}
    if name == "SESS":  # a softmax among the texts that happen to be asked together says nothing of one
        made = {"use_softmax_scores": False, **made}
    finer, alpha = name == "FinerCAM", called.pop("alpha", 1.0)
    scale = model.logit_scale if logits and (finer or target.linear) else 1.0
    maps = []
    with torch.inference_mode(False), torch.enable_grad():
        for j in range(len(target)):
            network = _Scores(model, target, scale, apart=finer)
            layers = [] if name == "FullGrad" else [_module(network.visual, tap) for tap in taps]
            others = range(len(target), len(target) + len(target.others))
            wanted = FinerWeightedTarget(j, others, alpha) if finer else ClassifierOutputTarget(j)
            cam = None
            try:
                with _numpy_seed(seed), torch.random.fork_rng(devices=[]):
                    cam = kind(network, layers, partial(as_grid, model=model), **made)
                    found = cam(look.pixels.detach(), [wanted] * len(look.pixels), **called)
            except (AttributeError, IndexError, TypeError, ValueError) as error:
                at = ", ".join(taps)
                raise InputError(f"{name} of pytorch-grad-cam cannot serve {model.name} at {at}: {error}") from error
            finally:
                _forget(cam)
            maps.append(torch.from_numpy(np.asarray(found, dtype=np.float32)))  # [N, S, S]
    told = {
        "layer": "every bias" if name == "FullGrad" else ", ".join(taps),
        "scaling": "pytorch-grad-cam cut it at 0 and scaled it to 0..1",
        "score": "logit" if scale != 1 else "score",
    }
    return Found(torch.stack(maps, dim=1), [told] * len(target))


def _forget(cam: Any) -> None:
    """Let go of what a CAM and those inside it recorded: each holds itself in a circle, and some fail to let go."""
    for one in (cam, getattr(cam, "base_cam", None), *getattr(cam, "base_cam_per_layer", ())):
        watch = getattr(one, "activations_and_grads", None)
        if watch is not None:
            watch.activations.clear(), watch.gradients.clear()
            watch.release()


class _Scores(nn.Module):
    """Pixels -> scores of the texts [N, P], or cosines of texts and others ``apart`` [N, P + K], times ``scale``.

    A copy of the network's modules around the same weights: hooks, modes and layers put in the place of others stay
    with the copy, and no weight asks for a gradient, so that none is kept.
    """

    def __init__(self, model: Model, target: Target, scale: float, apart: bool):
        super().__init__()
        visual = model.clip.visual
        shared: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in visual.parameters()}
        shared |= {id(b): b for b in visual.buffers()}
        self.visual = copy.deepcopy(visual, shared)
        self.target, self.scale, self.apart = target, scale, apart
        layers = ["pool"] if model.kind == "resnet" else range(visual.config.layers)  # type: ignore[arg-type]
        self.attend = dict.fromkeys(layers, _attend)

    def forward(self, pixels: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not pixels.requires_grad:
            pixels = pixels.detach().requires_grad_()  # activations have gradients only if something before them has
        unit = F.normalize(self.visual(pixels, attend=self.attend), dim=-1)
        if self.apart:
            return self.scale * unit @ torch.cat([self.target.texts, self.target.others]).T.to(unit.dtype)
        return self.scale * self.target(unit)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention in plain steps, of which ShapleyCAM can take a second derivative."""
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1) @ v


def _module(visual: nn.Module, tap: str) -> nn.Module:
    """The module whose output ``tap`` is."""
    first, _, rest = tap.partition(".")
    if first == "stem":
        raise InputError("layer='stem' is no module that pytorch-grad-cam could watch: take a stage from 1 on.")
    if first == "stage":
        return visual.get_submodule(f"layer{rest}")
    return visual.get_submodule("ln_pre" if first == "embed" else f"transformer.resblocks.{rest}")


def _sorted(kind: type, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the class and options of its call; InputError for one that neither takes."""
    makes = inspect.signature(kind).parameters
    calls = [*_CALL] if "aug_smooth" in inspect.signature(kind.__call__).parameters else ["eigen_smooth"]
    if kind.__name__ == "FinerCAM":
        calls.append("alpha")
    known = [*(key for key in makes if key not in _OURS), *calls]
    for key in options:
        if key not in known:
            hint = nearest(key, [*known, "layer", "logits", "seed"])
            raise InputError(f"{kind.__name__} of pytorch-grad-cam takes no option {key!r}. {hint}")
    made = {key: value for key, value in options.items() if key not in calls}
    return made, {key: value for key, value in options.items() if key in calls}


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """RandomCAM and the kernel's solver draw from NumPy's global state: seeded for them, and put back."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(f"seed={seed!r} must be a whole number from 0 to {2**32 - 1}: pass for instance seed=0.")
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


register_bridge(PREFIX, _bridge)
