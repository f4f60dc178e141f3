"""LeGrad: how much more alike would the picture become to the text if a block attended more to a patch?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError
from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .attended import AT_ONCE, block_number, depth, patches


def _legrad(model: Model, look: Look, target: Target, *, start: int | None = None, layer: int | None = None) -> Found:
    """LeGrad (Bousselham et al. 2024, arXiv 2404.03214): positive gradients of each block's own score, summed.

    A block's score is that of the mean of its output tokens. Its gradient at the block's attention is made positive
    and averaged over heads and asking tokens. Summed over the blocks from ``start``, as their package does before
    it scales (-2 is its default, and ours; 0 takes all), or block ``layer`` alone.
    """
    if start is not None and layer is not None:
        raise InputError(f"legrad got start={start!r} and layer={layer!r}: name the first block, or the only one.")
    count = depth(model)
    if layer is not None:
        blocks = [block_number(model, layer, "layer")]
    else:
        # Of a model with a single block the last two are that one.
        blocks = list(range(max(count - 2, 0) if start is None else block_number(model, start, "start"), count))
    streams = {i: f"block.{i - 1}" if i else "embed" for i in blocks}
    given = look.trace([t for i in blocks for t in (streams[i], f"block.{i}.v", f"block.{i}.attn", f"block.{i}")])
    total: Any = 0
    for i in blocks:
        total = total + _of_block(model, i, given[streams[i]], given, target)
    named = f"block.{blocks[0]}" + (f" to block.{blocks[-1]}" if len(blocks) > 1 else "")
    return Found(patches(total, model), [{"layer": named}] * len(target))


@torch.inference_mode(False)
@torch.no_grad()
def _of_block(model: Model, i: int, stream: Tensor, given: dict[str, Tensor], target: Target) -> Tensor:
    """Block i's relevance of every token: [N, P, T].

    Walked back by hand: all tokens have one gradient at the block's output, that of their mean, so it passes the
    last layer of the MLP once a text, not once a token. That is half the work of the walk.
    """
    visual: Any = model.clip.visual
    block = visual.transformer.resblocks[i]
    middle = stream + given[f"block.{i}.attn"]  # [N, T, D], between attention and MLP
    slope = _slope(block.mlp.gelu, block.mlp.c_fc(block.ln_2(middle)))  # [N, T, 4 D]
    keys = given[f"block.{i}.v"].transpose(-2, -1)[:, None]  # [N, 1, H, D / H, T]
    found = []
    for at_out in _at_output(model, given[f"block.{i}"], target).split(AT_ONCE, dim=1):  # [N, P, D]
        inside = (at_out @ block.mlp.c_proj.weight)[:, :, None] * slope[:, None]  # [N, P, T, 4 D]
        at_mlp = _through_norm(block.ln_2, middle[:, None], inside @ block.mlp.c_fc.weight)  # [N, P, T, D]
        at_heads = (at_mlp + at_out[:, :, None]) @ block.attn.out_proj.weight  # [N, P, T, D]
        at_heads = at_heads.unflatten(-1, (block.attn.heads, -1)).transpose(2, 3)  # [N, P, H, T, D / H]
        found.append((at_heads @ keys).relu_().mean(dim=(2, 3)))  # [N, P, T] of [N, P, H, T, T]
    return torch.cat(found, dim=1)


def _at_output(model: Model, tokens: Tensor, target: Target) -> Tensor:
    """d score / d any one of ``tokens`` [N, T, D], the score being that of their mean: [N, P, D]."""
    visual: Any = model.clip.visual
    mean = tokens.mean(dim=1, keepdim=True)  # [N, 1, D]
    vector = visual.ln_post(mean) @ visual.proj  # [N, 1, E]
    length = vector.norm(dim=-1, keepdim=True)
    unit = vector / length
    by_unit = target.gradient(unit[:, 0])  # [N, P, E]
    by_vector = (by_unit - unit * (by_unit * unit).sum(dim=-1, keepdim=True)) / length
    return _through_norm(visual.ln_post, mean, by_vector @ visual.proj.T) / tokens.shape[1]


def _through_norm(norm: nn.LayerNorm, x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient at ``x`` where ``gradient`` is that at ``norm(x)``; they broadcast."""
    centred = x - x.mean(dim=-1, keepdim=True)
    spread = (centred.square().mean(dim=-1, keepdim=True) + norm.eps).sqrt()
    standard, gradient = centred / spread, gradient * norm.weight
    along = standard * (gradient * standard).mean(dim=-1, keepdim=True)
    return (gradient - gradient.mean(dim=-1, keepdim=True) - along) / spread


def _slope(activation: nn.Module, x: Tensor) -> Tensor:
    """The derivative of an elementwise ``activation`` at ``x``."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(activation(x).sum(), x)[0]


register_explainer(
    "legrad",
    _legrad,
    family="attention",
    paper="Bousselham et al. 2024, LeGrad: Explainability via Feature Formation Sensitivity (arXiv 2404.03214)",
    needs="vit",
    signed=False,
    passes="1 forward, and a third of each block that is summed a text",
)
