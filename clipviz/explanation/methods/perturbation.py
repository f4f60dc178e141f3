"""The family of perturbation: how the score changes where a part of the picture is covered."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InputError
from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .inputs import blank_pixels
from .masking import grid_of, look_scores, masked_scores, of_cells, plain, scores, unmoved, whole


def _occlusion(
    model: Model,
    look: Look,
    target: Target,
    *,
    window: int | None = None,
    stride: int = 1,
    blank: str = "mean",
    batch_size: int = 32,
) -> Found:
    """Occlusion (Zeiler & Fergus 2013, arXiv 1311.2901): by how much the score drops where a window covers the cell.

    The window of ``window`` x ``window`` cells (a quarter of the grid's side, at least 1) moves by ``stride`` cells; a
    cell's value is the mean drop over the windows that cover it, as captum's Occlusion has it. The last windows of a
    row or column end at the border. ``blank`` stands under the window: the "mean" colour, "blur" or "black".
    """
    h, w = grid_of(model)
    window = max(1, min(h, w) // 4) if window is None else whole("window", window, 1, min(h, w))
    if whole("stride", stride, 1) > window and window < min(h, w):
        raise InputError(f"stride={stride} leaves cells between windows of {window}: take a stride of at most that.")
    covers = _windows(h, w, window, stride).to(look.pixels)  # [M, h, w], 1 under the window
    shares = covers / covers.sum(dim=0)  # a cell's windows, each with its part of the mean
    instead = blank_pixels(model, look.pixels, blank)
    whole_scores = look_scores(look, target)  # [N, P]
    maps = []
    for tile, empty, full, unit in zip(look.pixels, instead, whole_scores, look.unit, strict=True):
        masks = of_cells(1 - covers, tile.shape[-1])
        found = masked_scores(model, tile, empty, masks, len(covers), target, batch_size)  # [M, P]
        moved = ~unmoved(found, full, target, unit[None])
        drops = (full - found) * moved.to(found)
        maps.append(torch.einsum("mp,mhw->phw", drops, shares.to(drops.dtype)))
    base = plain(scores(model, instead, target))
    said = [{"baseline": blank, "baseline_score": b, "window": window, "stride": stride} for b in base]
    return Found(torch.stack(maps), said)


def _windows(h: int, w: int, window: int, stride: int) -> Tensor:
    """[M, h, w]: every place of the window, cut at the border so that all cells are covered."""
    found = []
    for top in range(0, h - window + stride, stride):
        for left in range(0, w - window + stride, stride):
            cover = torch.zeros(h, w)
            cover[top : top + window, left : left + window] = 1
            found.append(cover)
    return torch.stack(found)


register_explainer(
    "occlusion",
    _occlusion,
    family="perturbation",
    paper="Zeiler & Fergus 2013, Visualizing and understanding convolutional networks (arXiv 1311.2901)",
    needs="vectors",
    passes="1 forward a window, all texts together",
)
