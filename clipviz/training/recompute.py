"""Activation checkpointing: a block forgets what it computed, and computes it again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ..clip import CLIP
from ..clip.resnet import Bottleneck, ModifiedResNet
from ..clip.transformer import Block


def recompute_blocks(clip: CLIP) -> None:
    """Keep only the input of each block (and of a ResNet's stem) until the backward pass (Chen et al. 2016).

    Results and gradients stay what they were; memory falls to the streams between blocks and the inside of one
    block, for a third more work (arXiv 1604.06174). Without gradients nothing changes.
    """
    for part in clip.modules():
        # modules and parameters keep their names; a shard's hooks run around `forward`, so its weights are there
        if isinstance(part, Block | Bottleneck):
            part.forward = partial(_recomputed, part, part.forward)  # type: ignore[method-assign]
        elif isinstance(part, ModifiedResNet):
            part._stem = partial(_recomputed, part, part._stem)  # type: ignore[method-assign]


def _recomputed(part: nn.Module, forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs, **options)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=partial(_contexts, part), **options)


def _contexts(part: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _statistics_stay(part)


@contextmanager
def _statistics_stay(part: nn.Module) -> Iterator[None]:
    """The second time, batch norm leaves its running statistics alone: they have seen these pictures."""
    norms = [m for m in part.modules() if isinstance(m, _BatchNorm) and m.track_running_stats and m.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # what is kept for the backward pass must be as many tensors as the first time
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)
