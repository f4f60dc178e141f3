"""The modified ResNet of CLIP: a three-convolution stem, anti-aliased strides and attention pooling."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ResNetConfig
from .taps import BLIND, Attend, Taps, check_attend
from .tower import Tower

POOL_TAPS = ("pool.q", "pool.k", "pool.v", "pool.probs")


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions. A stride is an average pool, before a convolution that then has none.

    ReLU overwrites what it is given: always a fresh result, whose second copy would be the peak of memory.
    """

    def __init__(self, inside: int, planes: int, stride: int):
        super().__init__()
        outside = planes * 4
        self.conv1 = nn.Conv2d(inside, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(planes, outside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside)
        self.downsample: nn.Module | None = None
        if stride > 1 or inside != outside:
            steps = [
                ("-1", nn.AvgPool2d(stride)),
                ("0", nn.Conv2d(inside, outside, 1, bias=False)),
                ("1", nn.BatchNorm2d(outside)),
            ]
            self.downsample = nn.Sequential(OrderedDict(steps))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu_(self.bn1(self.conv1(x)))
        y = F.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(self.pool(y)))
        return F.relu_(y + (x if self.downsample is None else self.downsample(x)))


class AttentionPool(nn.Module):
    """One layer of attention in which the mean of the cells asks all cells: [N, C, h, w] -> [N, E]."""

    def __init__(self, grid: int, width: int, heads: int, embed_dim: int):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(grid**2 + 1, width) * width**-0.5)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, embed_dim)

    def forward(self, x: Tensor, see: Taps = BLIND, attend: Attend | None = None) -> Tensor:
        x = x.flatten(2).transpose(1, 2)  # [N, h*w, C]
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1)  # [N, 1 + h*w, C]
        x = x + self.positional_embedding
        q = see("pool.q", self._split(self.q_proj(x[:, :1])))  # [N, H, 1, C / H]
        k = see("pool.k", self._split(self.k_proj(x)))  # [N, H, 1 + h*w, C / H]
        v = see("pool.v", self._split(self.v_proj(x)))
        if attend is not None:
            heads = attend(q, k, v)
        elif see.looks_at("pool.probs"):
            logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            heads = see("pool.probs", logits.softmax(dim=-1)) @ v  # [N, H, 1, C / H]
        else:
            heads = F.scaled_dot_product_attention(q, k, v)
        return self.c_proj(see("features", heads.transpose(1, 2).flatten(1)))  # [N, C] -> [N, E]

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class ModifiedResNet(Tower):
    """Pixels [N, 3, S, S] -> embeddings [N, E], not normalised."""

    def __init__(self, config: ResNetConfig, embed_dim: int):
        super().__init__()
        self.config = config
        width = config.width
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        inside = width
        for stage, blocks in enumerate(config.layers):
            planes = width * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
            layer = nn.Sequential()
            for i, stride in enumerate(strides):
                layer.add_module(str(i), Bottleneck(inside, planes, stride))
                inside = planes * 4
            self.add_module(f"layer{stage + 1}", layer)
        self.attnpool = AttentionPool(config.grid, config.features, config.heads, embed_dim)

    def forward(self, pixels: Tensor, see: Taps = BLIND, attend: Mapping[str, Attend] | None = None) -> Tensor:
        x = see("stem", self._stem(pixels))  # [N, width, S/4, S/4]
        return self._stages(x, see, attend, done=0)

    def _stem(self, x: Tensor) -> Tensor:
        for i in (1, 2, 3):
            x = F.relu_(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        return F.avg_pool2d(x, 2)

    def _stages(self, x: Tensor, see: Taps, attend: Mapping[str, Attend] | None, done: int) -> Tensor:
        for i in range(done + 1, 5):
            x = see(f"stage.{i}", getattr(self, f"layer{i}")(x))  # [N, width * 2^(i+1), S/2^(i+1), S/2^(i+1)]
        return self.attnpool(x, see, check_attend(attend, ["pool"]).get("pool"))

    def taps(self) -> list[str]:
        return ["stem", *(f"stage.{i}" for i in range(1, 5)), *POOL_TAPS, "features"]

    def beside(self, tap: str) -> list[str]:
        return ["stage.4"] if tap in POOL_TAPS else []

    def resume(
        self, tap: str, value: Tensor, held: Mapping[str, Tensor], attend: Mapping[str, Attend] | None
    ) -> Tensor:
        if tap == "features":
            return self.attnpool.c_proj(value)
        if tap in POOL_TAPS:
            return self.attnpool(held["stage.4"], Taps(instead={tap: value}), (attend or {}).get("pool"))
        return self._stages(value, BLIND, attend, done=0 if tap == "stem" else int(tap[-1]))
