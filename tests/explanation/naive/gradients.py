"""Derivatives of a score with respect to what is inside: the network written once more, in torch, for autograd."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .network import EPSILON, Net


@dataclass
class Score:
    """The score of one text: a cosine, a margin to ``others`` or a probability against them."""

    text: np.ndarray
    others: Sequence[np.ndarray] = ()
    contrast: str = "margin"
    scale: float = 1.0

    def __call__(self, unit: np.ndarray) -> float:
        return float(self.of(torch.tensor(unit)))

    def of(self, unit: Tensor) -> Tensor:
        own = (unit * torch.tensor(self.text)).sum()
        rest = [(unit * torch.tensor(other)).sum() for other in self.others]
        if not rest:
            return own
        if self.contrast == "margin":
            return own - sum(rest) / len(rest)
        top = torch.exp(self.scale * own)
        return top / (top + sum(torch.exp(self.scale * other) for other in rest))

    @property
    def direction(self) -> np.ndarray:
        """What a unit vector is multiplied with, where the score is a cosine or a margin."""
        assert self.contrast == "margin"
        return self.text - sum(self.others) / len(self.others) if len(self.others) else self.text


def gradients(net: Net, picture: np.ndarray, score: Score) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """By block: d score / d attention probabilities [H, T, T], and d score / d the heads' outputs [T, D]."""
    w = {name: torch.tensor(value) for name, value in net.weights.items()}
    x = _embed(w, torch.tensor(picture))
    all_probs: list[Tensor] = []
    all_heads: list[Tensor] = []
    for l in range(net.layers):
        b = {name.split(".", 3)[3]: t for name, t in w.items() if name.startswith(f"transformer.resblocks.{l}.")}
        probs, v = _probs(net, b, x)
        probs.requires_grad_()
        all_probs.append(probs)
        heads = torch.cat([probs[head] @ v[head] for head in range(net.heads)], dim=1)  # [T, D]
        all_heads.append(heads)
        x = x + heads @ b["attn.out_proj.weight"].T + b["attn.out_proj.bias"]
        h = _norm(x, b["ln_2.weight"], b["ln_2.bias"]) @ b["mlp.c_fc.weight"].T + b["mlp.c_fc.bias"]
        h = h / (1 + torch.exp(-1.702 * h)) if net.quick_gelu else 0.5 * h * (1 + torch.erf(h / math.sqrt(2)))
        x = x + h @ b["mlp.c_proj.weight"].T + b["mlp.c_proj.bias"]
    embedding = _norm(x[:1], w["ln_post.weight"], w["ln_post.bias"])[0] @ w["proj"]
    unit = embedding / torch.sqrt((embedding**2).sum())
    found = torch.autograd.grad(score.of(unit), [*all_probs, *all_heads])
    return [g.numpy() for g in found[: net.layers]], [g.numpy() for g in found[net.layers :]]


def _norm(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    centred = x - x.mean(dim=1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(dim=1, keepdim=True) + EPSILON) * gain + shift


def _embed(w: dict[str, Tensor], picture: Tensor) -> Tensor:
    p = w["conv1.weight"].shape[-1]
    tokens = [w["class_embedding"]]
    for row in range(picture.shape[1] // p):
        for column in range(picture.shape[2] // p):
            patch = picture[:, row * p : (row + 1) * p, column * p : (column + 1) * p]
            tokens.append((w["conv1.weight"] * patch).sum(dim=(1, 2, 3)))
    return _norm(torch.stack(tokens) + w["positional_embedding"], w["ln_pre.weight"], w["ln_pre.bias"])


def _probs(net: Net, b: dict[str, Tensor], x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Attention probabilities [H, T, T] and, by head, values [T, d]."""
    long = _norm(x, b["ln_1.weight"], b["ln_1.bias"]) @ b["attn.in_proj_weight"].T + b["attn.in_proj_bias"]
    D, d = net.width, net.head_width
    rows, values = [], []
    for head in range(net.heads):
        q, k, v = (long[:, part * D + head * d : part * D + (head + 1) * d] for part in range(3))
        e = torch.exp(q @ k.T / math.sqrt(d))
        rows.append(e / e.sum(dim=1, keepdim=True))
        values.append(v)
    return torch.stack(rows), values
