"""The transformer that both towers share: pre-norm residual blocks (section 2.4 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .taps import BLIND, Attend, Taps, check_attend

# What a block shows, in the order in which it is computed. `block.{i}` itself is the block's output.
BLOCK_TAPS = ("ln_1", "q", "k", "v", "probs", "heads", "attn", "ln_2", "mlp")


class QuickGELU(nn.Module):
    """The sigmoid approximation of GELU with which OpenAI's weights were trained."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017), with its parts in the open."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, name: str, see: Taps, attend: Attend | None, causal: bool, first: bool) -> Tensor:
        # x: [N, L, D]; with `first` only the first token asks, and the answer is [N, 1, D]
        d = x.shape[-1]
        asking = x[:, :1] if first else x
        if asking is x:
            q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)  # [N, L, D] each
        else:
            q = F.linear(asking, self.in_proj_weight[:d], self.in_proj_bias[:d])  # [N, 1, D]
            k, v = F.linear(x, self.in_proj_weight[d:], self.in_proj_bias[d:]).chunk(2, dim=-1)
        q, k, v = (see(f"{name}.{part}", self._split(t)) for part, t in (("q", q), ("k", k), ("v", v)))
        if attend is not None:
            heads = attend(q, k, v)  # [N, H, L, D / H]
        elif see.looks_at(f"{name}.probs"):
            logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # [N, H, L, L]
            if causal:
                later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
                logits = logits.masked_fill(later, float("-inf"))
            heads = see(f"{name}.probs", logits.softmax(dim=-1)) @ v
        else:
            heads = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        heads = see(f"{name}.heads", heads)
        return self.out_proj(heads.transpose(1, 2).flatten(2))  # [N, L, D]

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [N, H, L, D / H]


class MLP(nn.Module):
    """Two linear layers with an activation between them, on each token alone."""

    def __init__(self, width: int, inside: int, quick_gelu: bool):
        super().__init__()
        self.c_fc = nn.Linear(width, inside)
        self.gelu = QuickGELU() if quick_gelu else nn.GELU()
        self.c_proj = nn.Linear(inside, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))  # [N, L, D]


class Block(nn.Module):
    """Attention, then a two-layer MLP, each on a normalised copy and added to the residual stream."""

    def __init__(self, width: int, heads: int, mlp_width: int, quick_gelu: bool):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width, mlp_width, quick_gelu)

    def forward(
        self, x: Tensor, name: str, see: Taps, attend: Attend | None = None, causal: bool = False, first: bool = False
    ) -> Tensor:
        h = see(f"{name}.ln_1", self.ln_1(x))  # [N, L, D]
        attended = see(f"{name}.attn", self.attn(h, name, see, attend, causal, first))
        x = (x[:, :1] if first else x) + attended
        h = see(f"{name}.ln_2", self.ln_2(x))
        return x + see(f"{name}.mlp", self.mlp(h))


class Transformer(nn.Module):
    """A stack of blocks. The taps of block ``i`` are ``block.{i}`` and ``block.{i}.{part}``."""

    def __init__(self, width: int, layers: int, heads: int, mlp_ratio: float, quick_gelu: bool):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads, int(width * mlp_ratio), quick_gelu) for _ in range(layers))

    def forward(
        self,
        x: Tensor,  # [N, L, D]
        see: Taps = BLIND,
        attend: Mapping[int, Attend] | None = None,
        causal: bool = False,
        start: int = 0,
        pool_first: bool = False,
    ) -> Tensor:
        """Run the blocks from ``start``. With ``pool_first`` only the first token of the result is promised:
        the last block then computes that one alone, unless somebody looks at its parts."""
        attend = check_attend(attend, range(len(self.resblocks)))
        last = len(self.resblocks) - 1
        for i, block in enumerate(self.resblocks):
            if i < start:
                continue
            name = f"block.{i}"
            whole = see.looks_at(name, *(f"{name}.{p}" for p in BLOCK_TAPS if p not in ("ln_1", "k", "v")))
            first = pool_first and i == last and i not in attend and not whole
            x = see(name, block(x, name, see, attend.get(i), causal, first))
        return x

    def taps(self) -> list[str]:
        names = []
        for i in range(len(self.resblocks)):
            names += [f"block.{i}.{part}" for part in BLOCK_TAPS] + [f"block.{i}"]
        return names


def stream_before(tap: str) -> list[str]:
    """The residual stream beside a tap inside a block, which `tail` needs; nothing for a block's own output."""
    if not tap.startswith("block.") or tap.count(".") != 2:
        return []
    i = int(tap.split(".")[1])
    return [f"block.{i - 1}" if i else "embed"]
