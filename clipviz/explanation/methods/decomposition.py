"""The family of decomposition: what each part of a ViT, each head and each token adds to the score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import SupportsIndex

import torch
import torch.nn.functional as F
from torch import Tensor

from ...clip.transformer import Attention, Block
from ...errors import InputError
from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .masking import plain


@dataclass(frozen=True)
class Addends:
    """What every addend of the class token's last state adds to the score of each text; all together they are it.

    ``tokens`` [N, P, L, H, T] is of each block's heads and tokens (0 is the class token), ``mlps`` [N, P, L] of the
    MLPs, ``bias`` [N, P, L] of the attention's output biases, ``embedding`` and ``ln_post`` (its bias) [N, P].
    ``linearised`` [N, P] is what a score that is not linear (a softmax) has beside its gradient times the vector.
    ``attention`` [N, L, H, T] is how the class token shares out its attention; ``scores`` [N, P] the network's own.
    """

    tokens: Tensor
    mlps: Tensor
    bias: Tensor
    embedding: Tensor
    ln_post: Tensor
    linearised: Tensor
    attention: Tensor
    scores: Tensor


def addends(model: Model, look: Look, target: Target) -> Addends:
    """Take the score of every text apart (Gandelsman et al. 2024, arXiv 2310.05916, equations 1 to 6).

    The statistics of ``ln_post`` and the length of the image vector are held at this picture's values, so that the
    score is linear in the addends: the dot product with a vector r for each text. No image pass beyond the look's own.
    """
    visual = model.clip.visual
    blocks: list[Block] = list(visual.transformer.resblocks)  # type: ignore[union-attr, arg-type]
    seen = look.trace(["embed", *(f"block.{i}" for i in range(len(blocks)))])
    with torch.inference_mode(False), torch.no_grad():
        streams = [seen["embed"], *(seen[f"block.{i}"] for i in range(len(blocks)))]
        last = streams[-1][:, 0]  # [N, D]
        unit = look.unit
        slope = target.gradient(unit)  # [N, P, E]
        read, beta = _frozen_readout(visual, last, seen["embedding"], slope)  # [N, P, D], [N, P]
        of_tokens, of_mlps, of_bias, shares = [], [], [], []
        for i, block in enumerate(blocks):
            probs, weighted = _class_attention(block, streams[i], look, i)  # [N, H, T], [N, H, T, d]
            attention = block.attn
            heads = read @ attention.out_proj.weight  # [N, P, D], what the output projection reads of the heads
            heads = heads.unflatten(-1, (attention.heads, -1))  # [N, P, H, d]
            of_tokens.append(torch.einsum("nhtd,nphd->npht", weighted, heads))
            of_bias.append(read @ attention.out_proj.bias)  # [N, P]
            attended = attention.out_proj(weighted.sum(dim=2).flatten(1))  # [N, D]
            of_mlps.append(_dot(block.mlp(block.ln_2(streams[i][:, 0] + attended)), read))
            shares.append(probs)
        scores = target(unit)
        return Addends(
            tokens=torch.stack(of_tokens, dim=2),
            mlps=torch.stack(of_mlps, dim=2),
            bias=torch.stack(of_bias, dim=2),
            embedding=_dot(streams[0][:, 0], read),
            ln_post=beta,
            linearised=scores - _dot(unit, slope),
            attention=torch.stack(shares, dim=1),
            scores=scores,
        )


def _frozen_readout(visual: torch.nn.Module, last: Tensor, embedding: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """r [N, P, D], and what ``ln_post``'s bias adds [N, P].

    An addend a adds ((gamma (a - mean a) / sigma) proj) . t / norm, which is a . r. Taking off the mean is the same on
    either side of a dot product, so it is done here, once.
    """
    norm = visual.ln_post
    sigma = (last.var(dim=-1, correction=0) + norm.eps).sqrt()  # type: ignore[union-attr, operator]
    length = embedding.norm(dim=-1)  # [N]
    back = slope @ visual.proj.T / length[:, None, None]  # type: ignore[union-attr, operator]  # [N, P, D]
    read = back * norm.weight / sigma[:, None, None]  # type: ignore[union-attr, operator]
    return read - read.mean(dim=-1, keepdim=True), back @ norm.bias  # type: ignore[union-attr, operator]


def _class_attention(block: Block, stream: Tensor, look: Look, index: int) -> tuple[Tensor, Tensor]:
    """How the class token shares its attention [N, H, T], and the values times that [N, H, T, D / H]."""
    attention: Attention = block.attn

    def shares() -> Tensor:
        x = block.ln_1(stream)  # [N, T, D]
        d = x.shape[-1]
        q = _heads(F.linear(x[:, :1], attention.in_proj_weight[:d], attention.in_proj_bias[:d]), attention)
        k = _heads(F.linear(x, attention.in_proj_weight[d : 2 * d], attention.in_proj_bias[d : 2 * d]), attention)
        return (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)[:, :, 0]  # [N, H, T]

    def values() -> Tensor:
        d = stream.shape[-1]
        v = F.linear(block.ln_1(stream), attention.in_proj_weight[2 * d :], attention.in_proj_bias[2 * d :])
        return _heads(v, attention) * probs[..., None]  # [N, H, T, D / H]

    probs = look.remember(("class attention", index), shares)
    return probs, look.remember(("class attention's values", index), values)


def _heads(x: Tensor, attention: Attention) -> Tensor:
    return x.unflatten(-1, (attention.heads, -1)).transpose(1, 2)  # [N, H, T, D / H]


def _dot(addend: Tensor, read: Tensor) -> Tensor:
    return torch.einsum("nd,npd->np", addend, read)


def chosen_layers(model: Model, layers: int | Iterable[int] | None) -> list[int]:
    """The blocks named by ``layers`` (all for None; -1 is the last); InputError for what is not there."""
    depth: int = model.clip.visual.config.layers  # type: ignore[union-attr, assignment]
    if layers is None:
        return list(range(depth))
    wanted = (
        [layers] if isinstance(layers, SupportsIndex) else list(layers) if isinstance(layers, Iterable) else [layers]
    )
    for layer in wanted:
        if isinstance(layer, bool) or not isinstance(layer, SupportsIndex) or not -depth <= index(layer) < depth:
            raise InputError(f"layers={layers!r}: {layer!r} is no block of {model.name}; they are 0 to {depth - 1}.")
    if not wanted:
        raise InputError(f"layers={layers!r} names no block: pass some of 0 to {depth - 1}, or None for all.")
    return sorted({index(layer) % depth for layer in wanted})


def _head_decomposition(
    model: Model, look: Look, target: Target, *, layers: int | Iterable[int] | None = None
) -> Found:
    """Head decomposition (Gandelsman et al. 2024, arXiv 2310.05916): what the heads bring in from each patch.

    A cell is the sum, over the heads of ``layers`` (all blocks), of what the class token's attention to that patch adds
    to the score. Map and ``remainder`` add up to the score; ``parts`` tells what the remainder is made of.
    """
    blocks = chosen_layers(model, layers)
    found = addends(model, look, target)
    rest = [i for i in range(found.tokens.shape[2]) if i not in blocks]
    by_patch = found.tokens[..., 1:].sum(dim=3)  # [N, P, L, h*w]
    maps = by_patch[:, :, blocks].sum(dim=2).unflatten(-1, model.grid)  # [N, P, h, w]
    parts = {
        "other layers": by_patch[:, :, rest].sum(dim=(2, 3)),
        "class token": found.tokens[..., 0].sum(dim=(2, 3)),
        "mlps": found.mlps.sum(dim=2),
        "embedding": found.embedding,
        "biases": found.bias.sum(dim=2),
        "ln_post": found.ln_post,
        "linearisation": found.linearised,
    }
    remainder = torch.stack(list(parts.values())).sum(dim=0)  # [N, P]
    error = maps.sum(dim=(2, 3)) + remainder - found.scores
    said: list[dict[str, object]] = [
        {"layers": blocks, "remainder": r, "completeness_error": e, "parts": {}}
        for r, e in zip(plain(remainder), plain(error), strict=True)
    ]
    for name, values in parts.items():
        for told, value in zip(said, plain(values), strict=True):
            told["parts"][name] = value  # type: ignore[index]
    return Found(maps, said)


register_explainer(
    "head_decomposition",
    _head_decomposition,
    family="decomposition",
    paper="Gandelsman et al. 2024, Interpreting CLIP's image representation (arXiv 2310.05916)",
    needs="vit",
    additive=True,
    passes="1 forward and a fifth, all texts together",
)
