"""States whole or in shards: nested mappings and lists whose tensors one process holds, or all in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(state: Any, keep: bool) -> Any:
    """``state`` with its tensors whole, on the CPU and apart from the living ones; empty where not ``keep``.

    All processes must call, because shards are put together.
    """
    if isinstance(state, Mapping):
        parts = {key: whole(value, keep) for key, value in state.items()}
        return parts if keep else {}
    if isinstance(state, list | tuple):
        return type(state)([whole(value, keep) for value in state])
    if isinstance(state, Tensor):
        full = state.full_tensor() if isinstance(state, DTensor) else state
        return full.detach().to("cpu", copy=True) if keep else None
    return state


def placed(state: Any, like: Any, device: torch.device, shared: bool) -> Any:
    """Process 0's whole ``state``, its tensors cut as what stands in their place (or around it) in ``like``.

    What is given stays apart: an optimizer that takes it moves tensors of its own. ``shared`` says that there are
    other processes, which get it tensor by tensor and never hold it whole.
    """
    outline = _outline(state)
    if shared:
        held = [outline if dist.get_rank() == 0 else None]
        dist.broadcast_object_list(held, src=0, device=device)
        outline = held[0]
    return _filled(outline, state if not shared or dist.get_rank() == 0 else None, like, device, shared)


@dataclass(frozen=True)
class _Shape:
    """Where a tensor stands in an outline."""

    shape: tuple[int, ...]
    dtype: torch.dtype


def _outline(state: Any) -> Any:
    if isinstance(state, Mapping):
        return {key: _outline(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)([_outline(value) for value in state])
    return _Shape(tuple(state.shape), state.dtype) if isinstance(state, Tensor) else state


def _filled(outline: Any, state: Any, like: Any, device: torch.device, shared: bool) -> Any:
    if isinstance(outline, Mapping):
        # one parameter stands for all that an optimizer keeps about it
        known = dict.fromkeys(outline, like) if isinstance(like, Tensor) else like or {}
        return {
            key: _filled(value, None if state is None else state[key], known.get(key), device, shared)
            for key, value in outline.items()
        }
    if isinstance(outline, list | tuple):
        values = [None] * len(outline) if state is None else state
        return type(outline)([_filled(o, v, None, device, shared) for o, v in zip(outline, values, strict=True)])
    if not isinstance(outline, _Shape):
        return outline
    full = (
        torch.empty(outline.shape, dtype=outline.dtype, device=device) if state is None else state.to(device, copy=True)
    )
    if shared:
        full = full.contiguous()
        dist.broadcast(full, src=0)
    if isinstance(like, DTensor) and like.shape == full.shape:
        # everyone has it by now, and takes its own part
        return distribute_tensor(full, like.device_mesh, like.placements, src_data_rank=None)
    return full.cpu()
