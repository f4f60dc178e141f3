"""The contrastive loss over the global batch, of which each process holds only its own rows."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def contrastive_loss(logits: Tensor, true: Tensor) -> Tensor:
    """This process's share of the symmetric contrastive loss; the shares of all processes add up to the whole.

    ``logits`` [n, K] are scaled cosines of this process's pictures and all texts, ``true`` bool [n, K] says which
    texts are positives. Each positive is set against all negatives of its row, and of its column over all
    processes, never against the other positives: a picture need not choose between two things that it shows.
    With one positive a row and a column this is the InfoNCE of Radford et al. 2021 (arXiv 2103.00020); the
    decoupling of positives follows Yeh et al. 2022 (arXiv 2110.06848). Rows and columns without a positive or
    without a negative teach nothing and are left out. Alone in the world, the share is the loss.

    >>> contrastive_loss(5 * torch.eye(4), torch.eye(4, dtype=torch.bool)).item()  # doctest: +SKIP
    """
    away = float("-inf")
    negatives = logits.masked_fill(true, away)
    # rows: all texts are here
    useful_rows = true.any(dim=1) & ~true.all(dim=1)
    among_row = torch.logsumexp(negatives[useful_rows], dim=1, keepdim=True)
    weights = true.to(logits.dtype)
    per_row = weights[useful_rows] / true[useful_rows].sum(dim=1, keepdim=True)
    rows = (F.softplus(among_row - logits[useful_rows]) * per_row).sum() / total(useful_rows.sum())
    # columns: the pictures of all processes, of which only a sum of exponentials a text is exchanged
    positives, pictures = total(true.sum(dim=0)), total(torch.tensor(len(logits), device=logits.device))
    useful = (positives > 0) & (positives < pictures)
    among_column = torch.logsumexp(gathered(finite_logsumexp(negatives[:, useful])[None]), dim=0)
    per_column = weights[:, useful] / positives[useful]
    columns = (F.softplus(among_column - logits[:, useful]) * per_column).sum() / useful.sum().clamp(min=1)
    return (rows + columns) / 2


def finite_logsumexp(logits: Tensor) -> Tensor:
    """logsumexp over rows [K]; where every row is masked, a very low number instead of -inf, whose gradient is NaN."""
    lowest = torch.finfo(logits.dtype).min / 2
    none = torch.isinf(logits).all(dim=0)
    return torch.logsumexp(logits.masked_fill(none, lowest), dim=0)


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def total(value: Tensor) -> Tensor:
    """The sum over all processes of a number or a vector, without gradient; never zero when it divides."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value.clamp(min=1) if value.ndim == 0 else value


def most(value: Tensor) -> Tensor:
    """The largest over all processes, element by element, without gradient."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return value


def gathered(value: Tensor) -> Tensor:
    """The rows of all processes [sum of n, ...] in the order of their ranks; gradients flow back to each.

    Processes may hold different numbers of rows.
    """
    return _Gather.apply(value) if world_size() > 1 else value  # type: ignore[no-untyped-call, no-any-return]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        sizes = [torch.zeros(1, dtype=torch.long, device=value.device) for _ in range(world_size())]
        dist.all_gather(sizes, torch.tensor([len(value)], device=value.device))
        counts = [int(size) for size in sizes]
        # every process must send as much: the shorter ones are padded, and the padding is cut off
        padded = value.new_zeros(max(counts), *value.shape[1:])
        padded[: len(value)] = value
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded.contiguous())
        rank = dist.get_rank()
        ctx.first, ctx.last = sum(counts[:rank]), sum(counts[: rank + 1])
        return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous().clone()
        dist.all_reduce(whole)
        return whole[ctx.first : ctx.last]
