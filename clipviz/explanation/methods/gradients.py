"""The family of gradients: how the score would change with the activations of the last spatial layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...model import Look, Model
from ..registry import register_explainer
from ..target import Target
from .places import as_grid, spatial_tap


def _grad_cam(model: Model, look: Look, target: Target, *, layer: int | str | None = None) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): channels weighted by their mean gradient, signed.

    A is the output of a ResNet's last stage, or a ViT's patch tokens after ``ln_1`` of the last block (further
    on, the class token alone reaches the score and the patches' gradients are zero).
    """
    tap = spatial_tap(model, layer)
    given = look.trace([tap])
    gradients = score_gradients(model, tap, given, target)  # [N, P, *A]
    activations = as_grid(given[tap], model)[:, None]  # [N, 1, C, h, w]
    gradients = as_grid(gradients.flatten(0, 1), model).unflatten(0, gradients.shape[:2])  # [N, P, C, h, w]
    weights = gradients.mean(dim=(-2, -1), keepdim=True)  # [N, P, C, 1, 1]
    return (weights * activations).sum(dim=2)  # [N, P, h, w]


def score_gradients(model: Model, tap: str, given: dict[str, Tensor], target: Target) -> Tensor:
    """d score / d ``tap``: [N, P, *tap], of every picture and text.

    Only what follows the tap is run and differentiated, once, and walked back once a text.
    """
    with torch.inference_mode(False), torch.enable_grad():
        value = given[tap].detach().requires_grad_()
        unit = F.normalize(model.clip.visual.tail(tap, value, given), dim=-1)  # [N, E]
        # Pictures do not mix on the way, so the sum over them has each one's own gradient.
        scores = target(unit).sum(dim=0)  # [P]
        rows = [
            torch.autograd.grad(score, value, retain_graph=i + 1 < len(scores))[0] for i, score in enumerate(scores)
        ]
    return torch.stack(rows, dim=1)


register_explainer(
    "gradcam",
    _grad_cam,
    family="gradients",
    paper="Selvaraju et al. 2017, Grad-CAM (arXiv 1610.02391)",
)
