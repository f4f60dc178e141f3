"""Half precision with a short range needs a scaled loss, so that small gradients do not vanish."""

from __future__ import annotations

import torch

from ..errors import SpecError
from .recipe import Recipe


def gradient_scaler(recipe: Recipe, device: torch.device) -> torch.amp.GradScaler:
    """The scaler of a run's gradients, which does nothing but for ``memory.precision="float16"``.

    A step is ``Step(..., backward=lambda loss: scaler.scale(loss).backward())``, then ``scaler.unscale_(optimizer)``
    before the gradients are clipped, ``scaler.step(optimizer)`` and ``scaler.update()``; a step whose gradients
    overflowed is left out, and the scale halved (Micikevicius et al. 2018, arXiv 1710.03740). Its ``state_dict()``
    belongs into a checkpoint.

    Raises SpecError on a CPU, whose float16 is slow and without such a scaler.

    >>> gradient_scaler(Recipe(), torch.device("cpu")).is_enabled()
    False
    """
    half = recipe.memory.precision == "float16"
    if half and device.type != "cuda":
        raise SpecError(
            f'memory.precision="float16" is for CUDA devices, and this run is on {device.type!r}: give "bfloat16", '
            'which needs no scaled gradients, or "float32".'
        )
    return torch.amp.GradScaler(device.type, enabled=half)
