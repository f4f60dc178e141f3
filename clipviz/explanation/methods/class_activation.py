"""The family of gradients: other ways than Grad-CAM's to weigh activations by their gradients.

All read the same activations A [C, h, w] and gradients G = d score / d A as Grad-CAM, at the same layer, and end before
the ReLU and the scaling of their papers: below zero speaks against the text.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ...errors import InputError, nearest
from ...model import Look, Model
from ..neutral import NEUTRAL
from ..registry import Found, register_explainer
from ..target import Target
from .gradients import Cells, spatial_gradients
from .places import as_grid, spatial_tap

SIGNS = ("neutral", "text")
_NEUTRAL: WeakKeyDictionary[Model, Target] = WeakKeyDictionary()


def _grad_cam_plus_plus(
    model: Model, look: Look, target: Target, *, layer: int | str | None = None, eps: float | None = None
) -> Found:
    """Grad-CAM++ (Chattopadhyay et al. 2018, arXiv 1710.11063): channel weights sum alpha relu(G) over the cells.

    alpha = G^2 / (2 G^2 + S G^3), equation 19, S the channel's sum of A. The gradients of a cosine are so small that
    an ``eps`` added to the denominator would decide the map: without one, alpha = 1 / (2 + S G), kept off its pole,
    which negative activations (a ViT's) can reach. pytorch-grad-cam has ``eps=1e-6``.
    """
    cells = spatial_gradients(model, look, target, layer)
    grads = cells.gradients  # [N, P, C, h, w]
    sums = cells.activations.sum(dim=(-2, -1))[:, None, :, None, None]  # [N, 1, C, 1, 1]
    if eps is None:
        alpha = 1 / _off_zero(2 + sums * grads, 1e-6)
    else:
        alpha = grads**2 / _off_zero(2 * grads**2 + sums * grads**3 + _checked(eps), torch.finfo(grads.dtype).tiny)
    weights = (alpha * grads.clamp(min=0)).sum(dim=(-2, -1))  # [N, P, C]; where G = 0 it adds nothing
    return cells.found(torch.einsum("npc,nchw->nphw", weights, cells.activations))


def _layer_cam(model: Model, look: Look, target: Target, *, layer: int | str | None = None) -> Found:
    """LayerCAM (Jiang et al. 2021, IEEE TIP 30, 5875): each cell's activations weighted by its own relu(G)."""
    cells = spatial_gradients(model, look, target, layer)
    return cells.found(torch.einsum("npchw,nchw->nphw", cells.gradients.clamp(min=0), cells.activations))


def _hires_cam(model: Model, look: Look, target: Target, *, layer: int | str | None = None) -> Found:
    """HiResCAM (Draelos and Carin 2020, arXiv 2011.08891): G x A, summed over the channels."""
    cells = spatial_gradients(model, look, target, layer)
    return cells.found(torch.einsum("npchw,nchw->nphw", cells.gradients, cells.activations))


def _x_grad_cam(
    model: Model, look: Look, target: Target, *, layer: int | str | None = None, eps: float = 1e-7
) -> Found:
    """XGrad-CAM (Fu et al. 2020, arXiv 2008.02312): channel weights are the mean of G, weighted by A / (sum of A).

    Where a channel's sum is all but zero, which negative activations (a ViT's) allow, its weight has no bound; ``eps``
    is added to the sum.
    """
    cells = spatial_gradients(model, look, target, layer)
    sums = cells.activations.sum(dim=(-2, -1))[:, None]  # [N, 1, C]
    weights = torch.einsum("npchw,nchw->npc", cells.gradients, cells.activations)
    weights = weights / _off_zero(sums + _checked(eps), torch.finfo(sums.dtype).tiny)
    return cells.found(torch.einsum("npc,nchw->nphw", weights, cells.activations))


def _eigen_cam(
    model: Model, look: Look, target: Target, *, layer: int | str | None = None, sign: str = "neutral"
) -> Found:
    """Eigen-CAM (Muhammad and Yeasin 2020, arXiv 2008.00299): the cells on the first principal component of A.

    No text enters it. A principal component has no sign of its own: it takes that of its correlation with G x A
    (`hirescam`) of the mean score of texts that name nothing, so that the map is the same for every text. With
    ``sign="text"`` it is that of each text's own score, which then chooses the sign and nothing else.
    """
    if sign not in SIGNS:
        raise InputError(f"sign={sign!r} is not known; it is one of {', '.join(SIGNS)}. {nearest(str(sign), SIGNS)}")
    tap = spatial_tap(model, layer)
    plain = look.remember(
        ("eigencam", tap), lambda: _first_component(as_grid(look.trace([tap])[tap], model).flatten(2))
    )  # [N, h*w]
    if sign == "text":
        signs = _signs(plain, spatial_gradients(model, look, target, tap))  # [N, P]
    else:
        signs = look.remember(
            ("eigencam", "sign", tap), lambda: _signs(plain, spatial_gradients(model, look, _neutral(model), tap))
        ).expand(-1, len(target))
    grid = as_grid(look.trace([tap])[tap], model).shape[-2:]
    maps = (signs[..., None] * plain[:, None]).unflatten(2, grid)  # [N, P, h, w]
    return Found(maps, [{"layer": tap, "sign": sign, "uses_text": sign == "text"}] * len(target))


def _signs(plain: Tensor, cells: Cells) -> Tensor:
    """[N, P] of 1 and -1: the sign of the correlation of ``plain`` [N, h*w] with each text's G x A."""
    scores = torch.einsum("npchw,nchw->nphw", cells.gradients, cells.activations).flatten(2)  # [N, P, h*w]
    # `plain` has mean zero, so that the inner product has the sign of the correlation.
    return torch.where(torch.einsum("nps,ns->np", scores, plain) < 0, -1.0, 1.0).to(plain.dtype)


def _neutral(model: Model) -> Target:
    """The mean score of texts that name nothing: one text to a `Target`. Read once a model."""
    if model not in _NEUTRAL:
        with torch.inference_mode(False):
            texts = torch.from_numpy(model.encode_texts(NEUTRAL)).to(model.device)
        _NEUTRAL[model] = Target(texts.mean(dim=0, keepdim=True), texts[:0], ("nothing",))
    return _NEUTRAL[model]


def _first_component(activations: Tensor) -> Tensor:
    """[N, C, cells] -> [N, cells]: each cell's coordinate along the first principal component; 0 where all are alike.

    The coordinate farthest from zero is positive: a sign that does not depend on the machine.
    """
    points = (activations - activations.mean(dim=2, keepdim=True)).transpose(1, 2)  # [N, cells, C]
    left, size, _ = torch.linalg.svd(points, full_matrices=False)
    along = left[..., 0] * size[:, :1]  # [N, cells]
    rounding = torch.finfo(points.dtype).eps * points.shape[1] * activations.flatten(1).norm(dim=1)
    along = along * (size[:, 0] > rounding)[:, None]
    farthest = along.gather(1, along.abs().argmax(dim=1, keepdim=True))
    return torch.where(farthest < 0, -along, along)


def _off_zero(values: Tensor, least: float) -> Tensor:
    """``values`` with those nearer to zero than ``least`` moved there, on their own side."""
    return torch.where(values.abs() < least, torch.where(values < 0, -least, least), values)


def _checked(eps: float) -> float:
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 <= eps < float("inf"):
        raise InputError(f"eps={eps!r} is added to a denominator: pass a number from 0 on, such as 1e-7.")
    return eps


_COST = "1 forward, 1 backward a text, of what follows the layer"

register_explainer(
    "gradcam++",
    _grad_cam_plus_plus,
    family="gradients",
    paper="Chattopadhyay et al. 2018, Grad-CAM++ (arXiv 1710.11063)",
    nonnegative=True,
    passes=_COST,
)
register_explainer(
    "layercam",
    _layer_cam,
    family="gradients",
    paper="Jiang et al. 2021, LayerCAM (IEEE TIP 30, 5875)",
    nonnegative=True,
    passes=_COST,
)
register_explainer(
    "hirescam",
    _hires_cam,
    family="gradients",
    paper="Draelos and Carin 2020, HiResCAM (arXiv 2011.08891)",
    passes=_COST,
)
register_explainer(
    "xgradcam",
    _x_grad_cam,
    family="gradients",
    paper="Fu et al. 2020, Axiom-based Grad-CAM (arXiv 2008.02312)",
    nonnegative=True,
    passes=_COST,
)
register_explainer(
    "eigencam",
    _eigen_cam,
    family="gradients",
    paper="Muhammad and Yeasin 2020, Eigen-CAM (arXiv 2008.00299)",
    uses_text=False,
    per_tile=True,
    passes="1 forward, 1 backward of what follows the layer, for the sign",
)
