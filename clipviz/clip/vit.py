"""The vision transformer of CLIP."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .config import ViTConfig
from .taps import BLIND, Attend, Taps
from .tower import Tower
from .transformer import Transformer, stream_before


class VisionTransformer(Tower):
    """Pixels [N, 3, S, S] -> embeddings [N, E], not normalised."""

    def __init__(self, config: ViTConfig, embed_dim: int, quick_gelu: bool):
        super().__init__()
        self.config = config
        width, scale = config.width, config.width**-0.5
        self.conv1 = nn.Conv2d(3, width, config.patch_size, stride=config.patch_size, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn(config.grid**2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, config.layers, config.heads, config.mlp_ratio, quick_gelu)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(scale * torch.randn(width, embed_dim))

    def forward(self, pixels: Tensor, see: Taps = BLIND, attend: Mapping[int, Attend] | None = None) -> Tensor:
        return self.pool(see("embed", self.embed(pixels)), see, attend, start=0)

    def embed(self, pixels: Tensor, keep: Tensor | None = None) -> Tensor:
        """The first residual stream [N, 1 + patches, D]. ``keep`` [N, k]: the patches that are not dropped (FLIP)."""
        x = self.conv1(pixels).flatten(2).transpose(1, 2)  # [N, h*w, D]
        x = x + self.positional_embedding[1:]
        if keep is not None:
            x = x.gather(1, keep[:, :, None].expand(-1, -1, x.shape[-1]))  # [N, k, D]
        cls = (self.class_embedding + self.positional_embedding[0]).expand(x.shape[0], 1, -1)
        return self.ln_pre(torch.cat([cls.to(x.dtype), x], dim=1))  # [N, 1 + h*w, D]

    def pool(self, x: Tensor, see: Taps = BLIND, attend: Mapping[int, Attend] | None = None, start: int = 0) -> Tensor:
        """From a residual stream [N, 1 + some patches, D] before block ``start`` to embeddings [N, E]."""
        x = self.transformer(x, see, attend, start=start, pool_first=True)
        return self._project(see("features", self.ln_post(x[:, 0])))  # [N, D] -> [N, E]

    def _project(self, features: Tensor) -> Tensor:
        return features @ self.proj

    def taps(self) -> list[str]:
        return ["embed", *self.transformer.taps(), "features"]

    def beside(self, tap: str) -> list[str]:
        return stream_before(tap)

    def resume(
        self, tap: str, value: Tensor, held: Mapping[str, Tensor], attend: Mapping[int, Attend] | None
    ) -> Tensor:
        if tap == "features":
            return self._project(value)
        if tap == "embed":
            return self.pool(value, BLIND, attend, start=0)
        i = int(tap.split(".")[1])
        if tap == f"block.{i}":
            return self.pool(value, BLIND, attend, start=i + 1)
        stream = held[stream_before(tap)[0]]
        return self.pool(stream, Taps(instead={tap: value}), attend, start=i)
