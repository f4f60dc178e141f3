"""Batch norm whose batch is that of all processes, on CPUs too (PyTorch's own `SyncBatchNorm` is for GPUs alone)."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def spread_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Let every batch norm inside ``module`` take its statistics over the pictures of all processes.

    One that is frozen (in eval mode, so that it uses its running statistics) stays as it is.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and child.training:
            if device.type == "cuda":
                setattr(module, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
            else:
                child.__class__ = BatchNormOverProcesses  # the same parameters, buffers and names
        else:
            spread_batch_norm(child, device)


def looks_at_the_batch(module: nn.Module) -> bool:
    """Whether an output depends on the other pictures of its batch."""
    return any(isinstance(part, _BatchNorm) and part.training for part in module.modules())


class BatchNormOverProcesses(nn.BatchNorm2d):
    """[n, C, h, w] of each process -> the same, normalised by mean and variance over n of all processes, h and w.

    Processes may hold different numbers of pictures. In eval mode it is the usual batch norm.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        out, mean, variance, count = _Normalised.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            assert self.num_batches_tracked is not None  # what BatchNorm2d makes
            assert self.momentum is not None
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                unbiased = variance * count / (count - 1).clamp(min=1)
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return out.to(input.dtype)  # type: ignore[no-any-return]


class _Normalised(torch.autograd.Function):
    """Two exchanges of 2 C numbers, forward and backward (Ioffe and Szegedy 2015, arXiv 1502.03167)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count = torch.tensor([x.numel() / x.shape[1]], dtype=torch.float64, device=x.device)
        sums = torch.cat([x.sum(dim=(0, 2, 3), dtype=torch.float64), count])
        dist.all_reduce(sums)
        count = sums[-1]
        mean = (sums[:-1] / count).to(x.dtype)
        centred = x - mean[:, None, None]
        squares = centred.square().sum(dim=(0, 2, 3), dtype=torch.float64)
        dist.all_reduce(squares)
        variance = squares / count
        rate = torch.rsqrt(variance + eps).to(x.dtype)  # [C]
        ctx.save_for_backward(x, mean, rate, weight, count)
        ctx.mark_non_differentiable(mean, variance, count)
        out = torch.addcmul(bias[:, None, None], centred, (rate * weight)[:, None, None])
        return out, mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, mean, rate, weight, count = ctx.saved_tensors
        gradient = gradients[0]
        unit = (x - mean[:, None, None]) * rate[:, None, None]
        along = torch.stack([gradient.sum(dim=(0, 2, 3)), (gradient * unit).sum(dim=(0, 2, 3))])  # [2, C]
        own = along.clone()  # of the bias and of the weight, which are averaged with all other gradients
        dist.all_reduce(along)
        shift, stretch = (along / count).to(x.dtype)[:, :, None, None]
        wanted = (rate * weight)[:, None, None] * (gradient - shift - unit * stretch)
        return wanted, own[1], own[0], None
