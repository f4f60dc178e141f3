"""Relevance of Chefer et al.: attention times its gradient, carried from block to block."""

from __future__ import annotations

import torch
from torch import Tensor

from ...model import Look, Model
from ..registry import register_explainer
from ..target import Target
from .attended import attended, block_number, class_row, patches, walk_back


def _relevance(model: Model, look: Look, target: Target, *, start: int = 0) -> Tensor:
    """Relevance (Chefer et al. 2021, arXiv 2103.15679), as they apply it to CLIP: R = R + C R, blocks from ``start``.

    C is the mean over heads of what is positive in attention times the gradient of the logit (cosine or margin
    at the model's logit scale; a probability as it is); the map is the class token's row of R, its patches.
    Their own notebook has the last block alone: start=-1.
    """
    seen, scores = attended(model, look, target, f"block.{block_number(model, start, 'start')}")
    scale = model.logit_scale if target.linear else 1.0  # which a probability has in it already
    rows: list[Tensor] = []
    for by_heads in walk_back(scores, [here.heads for here in seen]):
        row = class_row(seen[-1].probs[:, :1])  # [N, 1, T], and from the first block on [N, P, T]
        for here, gradient in zip(reversed(seen), reversed(by_heads), strict=True):
            spoken = here.probs[:, None] * here.by_probs(gradient)  # [N, P, H, T, T]
            moved = scale * spoken.relu_().mean(dim=2)  # C: [N, P, T, T]
            row = row + (row[..., None, :] @ moved)[..., 0, :]  # from the left, the first row is all it takes
        rows.append(row)
    return patches(torch.cat(rows, dim=1), model)


register_explainer(
    "relevance",
    _relevance,
    family="attention",
    paper="Chefer et al. 2021, Generic Attention-model Explainability (arXiv 2103.15679)",
    needs="vit",
    signed=False,
    passes="2 forward, 1 backward a text",
)
