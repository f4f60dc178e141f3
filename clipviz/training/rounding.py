"""Stochastic rounding: float32 to bfloat16, right on average."""

from __future__ import annotations

import torch
from torch import Tensor

LOST = 16  # the bits of a float32 that a bfloat16 has not


def stochastic_round(value: Tensor, generator: torch.Generator) -> Tensor:
    """``value`` float32 as bfloat16, up or down by chance so that its mean is the value itself.

    The chance of either neighbour is the nearness to it, so sums of steps that are each smaller than half the
    distance between two bfloat16 numbers still arrive; rounding to the nearest would lose all of them. Values that
    bfloat16 has are unchanged, infinities and NaN too. A finite value stays finite: beyond the largest bfloat16
    (3.39e38) there is only that. ``generator`` is on the device of ``value``.

    >>> stochastic_round(torch.tensor([1.5, -0.0]), torch.Generator())
    tensor([1.5000, -0.0000], dtype=torch.bfloat16)
    """
    bits = value.detach().contiguous().view(torch.int32)
    chance = torch.empty_like(bits).random_(0, 1 << LOST, generator=generator)
    # sign and magnitude: more bits are a larger magnitude, whatever the sign, and a carry is the next exponent
    rounded = ((bits + chance) >> LOST).to(torch.int16).view(torch.bfloat16)
    most = torch.finfo(torch.bfloat16).max
    return torch.where(value.isfinite(), rounded.clamp(-most, most), value.to(torch.bfloat16))
