"""The contrastive loss where a picture has several true texts, and a text several pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def multi_positive_loss(logits: Tensor, true: Tensor) -> Tensor:
    """Symmetric contrastive loss with multi-positive targets.

    ``logits`` [N, K] are scaled cosines of pictures and texts, ``true`` [N, K] says which texts are true of
    which pictures. Each positive is set against all negatives of its row (and of its column), never against
    the other positives: a picture need not choose between the two things that it shows. With one positive a
    row and a column this is the InfoNCE of Radford et al. 2021 (arXiv 2103.00020); the decoupling of
    positives follows Yeh et al. 2022 (arXiv 2110.06848). Rows and columns without a positive or without a
    negative teach nothing and are left out.
    """
    return (_one_way(logits, true) + _one_way(logits.T, true.T)) / 2


def _one_way(logits: Tensor, true: Tensor) -> Tensor:
    useful = true.any(dim=1) & ~true.all(dim=1)
    logits, true = logits[useful], true[useful]
    if not len(logits):
        return logits.sum()
    against = torch.logsumexp(logits.masked_fill(true, float("-inf")), dim=1, keepdim=True)  # [N, 1]
    each = F.softplus(against - logits) * true  # -log of the share of one positive among itself and the negatives
    return (each.sum(dim=1) / true.sum(dim=1)).mean()
