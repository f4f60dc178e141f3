"""The family of gradients: how the score would change with the activations of the last spatial layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .places import as_grid, spatial_tap


def _grad_cam(model: Model, look: Look, target: Target, *, layer: int | str | None = None) -> Found:
    """Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): channels weighted by their mean gradient, signed.

    A is the output of a ResNet's last stage, or a ViT's patch tokens after ``ln_1`` of the last block (further
    on, the class token alone reaches the score and the patches' gradients are zero).
    """
    cells = spatial_gradients(model, look, target, layer)
    weights = cells.gradients.mean(dim=(-2, -1))  # [N, P, C]
    return cells.found(torch.einsum("npc,nchw->nphw", weights, cells.activations))


@dataclass(frozen=True)
class Cells:
    """Activations [N, C, h, w] at a tap, and d score / d activations [N, P, C, h, w]."""

    tap: str
    activations: Tensor
    gradients: Tensor

    def found(self, maps: Tensor) -> Found:
        """``maps`` [N, P, h, w], with the layer that they were read at."""
        return Found(maps, [{"layer": self.tap}] * maps.shape[1])


def spatial_gradients(model: Model, look: Look, target: Target, layer: int | str | None = None) -> Cells:
    """What every map of this family is made of, on the grid of ``layer``; see `spatial_tap`."""
    tap = spatial_tap(model, layer)
    given = look.trace([tap])
    gradients = score_gradients(model, tap, given, target)  # [N, P, *A]
    on_grid = as_grid(gradients.flatten(0, 1), model).unflatten(0, gradients.shape[:2])  # [N, P, C, h, w]
    return Cells(tap, as_grid(given[tap], model), on_grid)


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
    passes="1 forward, 1 backward a text, of what follows the layer",
)
