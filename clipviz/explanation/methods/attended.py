"""An attention laid open: what each token gathers from where, and how a score would change with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import index
from typing import Any, SupportsIndex

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError
from ...model import Look, Model
from ..target import Target

# Texts that are walked back side by side. Sixteen were no quicker, and each holds gradients as large as all attention.
AT_ONCE = 8


@dataclass(frozen=True)
class Attended:
    """One attention of N tiles, in which Q tokens ask all T; ``heads`` alone can be differentiated at."""

    q: Tensor  # [N, H, Q, D / H]
    k: Tensor  # [N, H, T, D / H]
    v: Tensor  # [N, H, T, D / H]
    probs: Tensor  # [N, H, Q, T]
    heads: Tensor  # [N, H, Q, D / H], probs @ v, before the output projection

    def by_probs(self, by_heads: Tensor) -> Tensor:
        """d score / d probs [N, P, H, Q, T] from d score / d heads [N, P, H, Q, D / H], as heads = probs @ v."""
        return by_heads @ self.v.transpose(-2, -1)[:, None]


def depth(model: Model) -> int:
    """The number of a ViT's blocks."""
    visual: Any = model.clip.visual
    return len(visual.transformer.resblocks)


def block_number(model: Model, number: Any, option: str) -> int:
    """The block of a ViT that ``option=number`` names, from 0; below 0 from the end. InputError for one not there."""
    count = depth(model)
    if isinstance(number, bool) or not isinstance(number, SupportsIndex):
        raise InputError(f"{option}={number!r} is no block of {model.name}: pass a whole number from 0 to {count - 1}.")
    number = index(number)  # a number of NumPy as well
    if not -count <= number < count:
        raise InputError(
            f"{option}={number} is not in {model.name}: its blocks are from 0 to {count - 1}, or -1 for the last."
        )
    return number % count


def attention_name(model: Model, layer: int | None) -> str:
    """The attention of ``layer``: ``block.{i}`` in a ViT, the last for None; ``pool``, the only one, in a ResNet."""
    if model.kind == "vit":
        return f"block.{block_number(model, -1 if layer is None else layer, 'layer')}"
    if layer is not None:
        raise InputError(f"layer={layer!r}: {model.name} has one attention, its pooling; leave out layer=.")
    return "pool"


def attended(model: Model, look: Look, target: Target, first: str) -> tuple[list[Attended], Tensor]:
    """The attentions from ``first`` (`attention_name`) to the last, and the scores [N, P] that they lead to.

    Of the unchanged network, run on from before ``first`` only, so that `walk_back` reaches every ``heads``.
    """
    keys: list[Any]
    if first == "pool":
        tap, keys = "stage.4", ["pool"]
    else:
        number = int(first.removeprefix("block."))
        tap = f"block.{number - 1}" if number else "embed"
        keys = list(range(number, depth(model)))
    seen: dict[Any, Attended] = {}

    def attend(key: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        probs = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)
        heads = probs @ v
        seen[key] = Attended(q.detach(), k.detach(), v.detach(), probs.detach(), heads)
        return heads

    given = look.trace([tap])
    with torch.inference_mode(False), torch.enable_grad():
        value = given[tap].detach().requires_grad_()
        out = model.clip.visual.tail(tap, value, given, attend={key: partial(attend, key) for key in keys})
        scores = target(F.normalize(out, dim=-1))
    return [seen[key] for key in keys], scores


def walk_back(scores: Tensor, places: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """d ``scores`` [N, P] / d each of ``places`` [N, ...], a few texts at a time: [N, some of P, ...]."""
    with torch.inference_mode(False), torch.enable_grad():
        # Pictures do not mix on the way, so the sum over them has each one's own gradient.
        total = scores.sum(dim=0)  # [P]
    one_each = torch.eye(len(total), dtype=total.dtype, device=total.device)
    for few in one_each.split(AT_ONCE):
        found = torch.autograd.grad(total, places, few, retain_graph=True, is_grads_batched=True)
        yield tuple(gradient.transpose(0, 1) for gradient in found)


def patches(tokens: Tensor, model: Model) -> Tensor:
    """A number a token [..., 1 + h*w], the class token (a ResNet's mean cell) dropped: [..., h, w]."""
    return tokens[..., 1:].unflatten(-1, model.grid)


def class_row(like: Tensor) -> Tensor:
    """The first row of an identity the size of ``like`` [..., T, T]: [..., T]."""
    row = torch.zeros_like(like[..., 0, :])
    row[..., 0] = 1
    return row
