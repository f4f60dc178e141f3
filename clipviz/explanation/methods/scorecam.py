"""Score-CAM: channels weighted by how well the picture does when only they let it through."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError
from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .inputs import blank_pixels
from .masking import masked_scores, plain, scores, whole
from .places import as_grid, spatial_tap


def _scorecam(
    model: Model,
    look: Look,
    target: Target,
    *,
    layer: int | str | None = None,
    channels: int | None = None,
    scale: float | None = None,
    align_corners: bool = False,
    blank: str = "mean",
    batch_size: int = 32,
) -> Found:
    """Score-CAM (Wang et al. 2020, arXiv 1910.01279): channels weighted by the score of the picture seen through them.

    Each channel of the last spatial layer (or ``layer``), enlarged and scaled to 0..1, is a mask; the weights are a
    softmax over the channels of ``scale`` times what the score gains over the ``blank``. ``scale`` is the model's
    logit scale: on bare cosines (``scale=1``) the weights are all but uniform (``effective_channels`` in the details
    tells). ``channels`` keeps those of the highest variance only. There is no ReLU at the end.
    """
    if scale is not None and (not isinstance(scale, (int, float)) or not 0 < scale < float("inf")):
        raise InputError(f"scale={scale!r} is no factor: pass a positive number, or None for the model's logit scale.")
    tap = spatial_tap(model, layer)
    grids = as_grid(look.trace([tap])[tap], model).detach()  # [N, C, h, w]
    number = grids.shape[1] if channels is None else whole("channels", channels, 1, grids.shape[1])
    instead = blank_pixels(model, look.pixels, blank)
    base = scores(model, instead, target)  # [N, P]
    maps, spread = [], []
    for tile, empty, grid, floor in zip(look.pixels, instead, grids, base, strict=True):
        if number < len(grid):
            grid = grid[grid.flatten(1).var(dim=1, correction=0).topk(number).indices.sort().values]
        masks = _Channels(grid, tile.shape[-1], align_corners)
        found = masked_scores(model, tile, empty, masks, number, target, batch_size)  # [C, P]
        gain = _in_logits(found, target, model, scale) - _in_logits(floor, target, model, scale)
        weights = gain.softmax(dim=0)
        maps.append(torch.einsum("cp,chw->phw", weights, grid))
        spread.append(1 / weights.square().sum(dim=0))  # [P], from 1 to C
    said = [
        {"baseline": blank, "baseline_score": b, "layer": tap, "channels": number, "effective_channels": e}
        for b, e in zip(plain(base), plain(torch.stack(spread)), strict=True)
    ]
    return Found(torch.stack(maps), said)


def _in_logits(found: Tensor, target: Target, model: Model, scale: float | None) -> Tensor:
    """Scores as logits: cosines times the scale, and a probability as its log-odds, where that is in it already."""
    if scale is None and not target.linear:
        return torch.logit(found, eps=1e-6)
    return found * (model.logit_scale if scale is None else scale)


class _Channels:
    """Channels [C, h, w] as masks, each enlarged to the picture and scaled to 0..1; a constant one is all 0."""

    def __init__(self, grid: Tensor, size: int, align_corners: bool):
        self.grid, self.size, self.corners = grid, size, align_corners

    def __call__(self, chosen: Tensor) -> Tensor:
        size = (self.size, self.size)
        large = F.interpolate(self.grid[chosen, None], size=size, mode="bilinear", align_corners=self.corners)[:, 0]
        low, high = large.amin(dim=(1, 2), keepdim=True), large.amax(dim=(1, 2), keepdim=True)
        return (large - low) / (high - low + 1e-8)


register_explainer(
    "scorecam",
    _scorecam,
    family="perturbation",
    paper="Wang et al. 2020, Score-CAM (arXiv 1910.01279)",
    nonnegative=True,
    per_tile=True,
    passes="1 forward a channel, all texts together",
)
