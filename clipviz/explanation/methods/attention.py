"""The family of attention: what the class token gathers from where, and what of it speaks for the text.

In a ResNet the attention pooling stands for a ViT's last block, and the mean cell for the class token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .attended import attended, attention_name, block_number, class_row, depth, patches, walk_back


def _attention(model: Model, look: Look, target: Target, *, layer: int | None = None) -> Found:
    """The last block's attention of the class token (that of block ``layer``), mean over heads. No text enters it."""
    name = attention_name(model, layer)
    tap = f"{name}.probs"
    probs = look.trace([tap])[tap]  # [N, H, T, T]; of a ResNet's pooling [N, H, 1, T]
    maps = patches(probs[:, :, 0].mean(dim=1), model)  # [N, h, w]
    return Found(maps[:, None].expand(-1, len(target), -1, -1), [{"layer": name}] * len(target))


def _rollout(model: Model, look: Look, target: Target, *, start: int = 0) -> Tensor:
    """Attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928): half of a block's stream is what it attends to.

    The class token's row of the product over the blocks from ``start``, later ones on the left. No text enters it.
    """
    taps = [f"block.{i}.probs" for i in range(block_number(model, start, "start"), depth(model))]
    given = look.trace(taps)
    row = class_row(given[taps[-1]].mean(dim=1))  # [N, T]
    for tap in reversed(taps):  # from the left, a row times a matrix is all that the first row of the product takes
        row = (row + (row[:, None] @ given[tap].mean(dim=1))[:, 0]) / 2
    return patches(row, model)[:, None].expand(-1, len(target), -1, -1)


def _attention_x_gradient(model: Model, look: Look, target: Target, *, layer: int | None = None) -> Found:
    """The class token's attention in the last block (``layer``) times the score's gradient there, summed over heads."""
    name = attention_name(model, layer)
    seen, scores = attended(model, look, target, name)
    here, maps = seen[0], []
    for (by_heads,) in walk_back(scores, [here.heads]):  # [N, P, H, Q, D / H]
        by_probs = here.by_probs(by_heads[..., :1, :])[..., 0, :]  # [N, P, H, T]
        maps.append((here.probs[:, None, :, 0] * by_probs).sum(dim=2))  # [N, P, T]
    return Found(patches(torch.cat(maps, dim=1), model), [{"layer": name}] * len(target))


def _grad_eclip(model: Model, look: Look, target: Target, *, layer: int | None = None) -> Found:
    """Grad-ECLIP (Zhao et al. 2024, arXiv 2502.18816): values weighted by the gradient at the class token's output.

    Each patch counts by the cosine of its key with the class token's query, over all heads joined, which is stretched
    from 0 to 1 over the patches: the softmax is too sparse. The paper cuts off what is below 0; here it stays.
    """
    name = attention_name(model, layer)
    seen, scores = attended(model, look, target, name)
    here, maps = seen[0], []
    query = here.q[:, :, 0].flatten(1)  # [N, D]
    keys, values = (t.transpose(1, 2).flatten(2) for t in (here.k, here.v))  # [N, T, D]
    alike = patches(F.cosine_similarity(query[:, None], keys, dim=-1), model)  # [N, h, w]
    low, high = alike.amin(dim=(1, 2), keepdim=True), alike.amax(dim=(1, 2), keepdim=True)
    loose = (alike - low) / (high - low).clamp_min(torch.finfo(alike.dtype).tiny)  # [N, h, w]
    for (by_heads,) in walk_back(scores, [here.heads]):  # [N, P, H, Q, D / H]
        gradient = by_heads[..., 0, :].flatten(2)  # [N, P, D]
        maps.append(loose[:, None] * patches(gradient @ values.transpose(1, 2), model))  # [N, P, h, w]
    return Found(torch.cat(maps, dim=1), [{"layer": name}] * len(target))


register_explainer(
    "attention",
    _attention,
    family="attention",
    paper="Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers (arXiv 2104.14294)",
    uses_text=False,
    signed=False,
    per_tile=True,
    passes="1 forward for all texts",
)
register_explainer(
    "rollout",
    _rollout,
    family="attention",
    paper="Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers (arXiv 2005.00928)",
    needs="vit",
    uses_text=False,
    signed=False,
    per_tile=True,
    passes="1 forward for all texts",
)
register_explainer(
    "attention_x_gradient",
    _attention_x_gradient,
    family="attention",
    paper="Barkan et al. 2021, Grad-SAM: Explaining Transformers via Gradient Self-Attention Maps (arXiv 2204.11073)",
    passes="1 forward, and the last block there and back for all texts",
)
register_explainer(
    "grad_eclip",
    _grad_eclip,
    family="attention",
    paper="Zhao et al. 2024, Grad-ECLIP: Visual and Textual Explanations for CLIP (arXiv 2502.18816)",
    per_tile=True,
    passes="1 forward, and the last block there and back for all texts",
)
