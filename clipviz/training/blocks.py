"""The contrastive loss of many rows, some at a time, so that no matrix of pictures by texts is ever kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .loss import contrastive_loss, finite_logsumexp, gathered, most, total

MOST = 2**18  # entries of a matrix that are held at once, some ten times over: 10 MB in float32
LEAST_ROWS = 64  # of a block: for each block a number a text is kept

Part = Callable[[slice], Tensor]


def loss_in_blocks(
    logits: Part, true: Part, rows: int, texts: int, held: int = 1, device: torch.device | None = None
) -> Tensor:
    """`contrastive_loss` of the matrix whose rows ``logits(slice)`` [some, K] and ``true(slice)`` are made when needed.

    ``rows`` and ``texts`` are its n and K; ``held`` says how many entries ``logits`` makes for each one that it
    gives. A matrix of up to `MOST` entries is made at once. Of a larger one each block of rows is made several
    times (for its own loss, for the columns' that all rows share, and for the gradients of both) and never kept:
    what is kept is a sixty-fourth of it.

    >>> loss_in_blocks(lambda at: 5 * torch.eye(4)[at], lambda at: torch.eye(4)[at] > 0, 4, 4).item()  # doctest: +SKIP
    """
    size = max(LEAST_ROWS, MOST // (texts * held))
    # all processes go the same way, for they exchange sums on it, and may differ by a row
    if int(most(torch.tensor(rows, device=device))) <= size:
        return contrastive_loss(logits(slice(None)), true(slice(None)))
    blocks = [slice(first, first + size) for first in range(0, rows, size)]
    with torch.no_grad():
        answers = [(t.sum(dim=0), (t.any(dim=1) & ~t.all(dim=1)).sum()) for t in map(true, blocks)]
        positives = total(torch.stack([a for a, _ in answers]).sum(dim=0))
        pictures = total(torch.tensor(rows, device=positives.device))
        taught = total(torch.stack([u for _, u in answers]).sum())
    useful = (positives > 0) & (positives < pictures)

    def own(at: slice) -> tuple[Tensor, Tensor]:
        """The loss of some rows, and of each useful column the logsumexp of its negatives among them."""
        here, answer = logits(at), true(at)
        negatives = here.masked_fill(answer, float("-inf"))
        some = answer.any(dim=1) & ~answer.all(dim=1)
        among = torch.logsumexp(negatives[some], dim=1, keepdim=True)
        share = answer[some].to(here.dtype) / answer[some].sum(dim=1, keepdim=True)
        return (F.softplus(among - here[some]) * share).sum(), finite_logsumexp(negatives[:, useful])

    def others(at: slice, among: Tensor) -> Tensor:
        share = true(at)[:, useful].to(among.dtype) / positives[useful]
        return (F.softplus(among - logits(at)[:, useful]) * share).sum()

    first = [checkpoint(own, at, use_reentrant=False, preserve_rng_state=False) for at in blocks]
    among_column = torch.logsumexp(gathered(torch.logsumexp(torch.stack([c for _, c in first]), dim=0)[None]), dim=0)
    second = [checkpoint(others, at, among_column, use_reentrant=False, preserve_rng_state=False) for at in blocks]
    rows_loss = torch.stack([r for r, _ in first]).sum() / taught
    columns_loss = torch.stack(second).sum() / useful.sum().clamp(min=1)
    return (rows_loss + columns_loss) / 2
