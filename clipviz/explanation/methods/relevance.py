"""Relevance of Chefer et al.: attention times its gradient, carried from block to block."""

from __future__ import annotations

import torch
from torch import Tensor

from ...model import Look, Model
from ..registry import register_explainer
from ..target import Target
from .attended import AT_ONCE, attended, block_number, class_row, patches, walk_back


def _relevance(model: Model, look: Look, target: Target, *, start: int = 0) -> Tensor:
    """Relevance (Chefer et al. 2021, arXiv 2103.15679), as they apply it to CLIP: R = R + C R, blocks from ``start``.

    C is the mean over heads of what is positive in attention times the gradient of the logit; the map is the class
    token's row of R, its patches. Their own notebook starts at the last block alone: start=-1.
    """
    seen, unit = attended(model, look, f"block.{block_number(model, start, 'start')}")
    rows = []
    for logits in (model.logit_scale * target(unit)).split(AT_ONCE, dim=1):
        by_heads = walk_back(logits, [here.heads for here in seen])
        row: Tensor | None = None
        for here, gradient in zip(reversed(seen), reversed(by_heads), strict=True):
            moved = (here.probs[:, None] * here.by_probs(gradient)).relu_().mean(dim=2)  # C: [N, P, T, T]
            row = class_row(moved) if row is None else row  # [N, P, T]
            row = row + (row[..., None, :] @ moved)[..., 0, :]  # from the left, the first row is all it takes
        rows.append(row)
    return patches(torch.cat(rows, dim=1), model)  # type: ignore[arg-type]


register_explainer(
    "relevance",
    _relevance,
    family="attention",
    paper="Chefer et al. 2021, Generic Attention-model Explainability (arXiv 2103.15679)",
    needs="vit",
    signed=False,
    passes="2 forward, 1 backward a text",
)
