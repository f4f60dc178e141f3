"""Position embeddings for a picture of another size."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ModelError


def resize_positions(embedding: Tensor, grid: int) -> Tensor:
    """Position embeddings [1 + g*g, D] for ``grid`` x ``grid`` cells: [1 + grid*grid, D].

    The first row (the class token's, or the mean's in attention pooling) stays as it is; the others are
    interpolated as a picture of D channels would be, by antialiased bicubic, as open_clip does. The dtype is
    kept. Raises ModelError where the rows are no square and one.

    >>> resize_positions(torch.zeros(1 + 7 * 7, 768), grid=14).shape
    torch.Size([197, 768])
    """
    side = math.isqrt(max(embedding.shape[0] - 1, 0))
    if side < 1 or 1 + side * side != embedding.shape[0] or grid < 1:
        raise ModelError(
            f"{embedding.shape[0]} position embeddings cannot be resized to {grid} x {grid} cells: "
            "wanted are 1 + g*g of them, and a grid of at least 1."
        )
    if side == grid:
        return embedding
    cells = embedding[1:].float().T.unflatten(1, (side, side))[None]  # [1, D, g, g]
    cells = F.interpolate(cells, size=(grid, grid), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([embedding[:1], cells[0].flatten(1).T.to(embedding.dtype)])  # [1 + grid*grid, D]
