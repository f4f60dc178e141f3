"""The two towers as one module whose forward pass a step runs in pieces."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip import CLIP, Taps
from ..clip.taps import BLIND
from ..clip.transformer import Block
from ..clip.vit import VisionTransformer
from ..errors import SpecError
from .recompute import recompute_blocks

MEAN_AXES = (1, 3, 1, 1)


class Towers(nn.Module):
    """``forward(pixels, keep, tokens)`` -> unit vectors of what was given, and the scale of their logits.

    The features of pictures are [n, E], those of each kept patch alone [n, h*w, E] where ``local``, those of texts
    [k, E]. All leave in float32 (float64 where the weights are), whatever the precision inside. A tower without a
    weight to train is frozen whole: it stays in eval mode, where batch norm uses its running statistics.
    ``recompute`` forgets the inside of each block until the backward pass.

    >>> Towers(clip, OPENAI_MEAN, OPENAI_STD)(tokens=tokens)["texts"].shape  # doctest: +SKIP
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        clip: CLIP,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        local: bool = False,
        precision: str = "float32",
        recompute: bool = False,
    ):
        super().__init__()
        if local and not isinstance(clip.visual, VisionTransformer):
            raise SpecError(
                "loss.local_weight asks each patch of a vision transformer, and this vision tower is a "
                f"{type(clip.visual).__name__}; leave it at 0."
            )
        self.clip, self.local, self.precision = clip, local, precision
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64).view(MEAN_AXES), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float64).view(MEAN_AXES), persistent=False)
        if recompute:
            recompute_blocks(clip)
        self.train()

    @property
    def trained(self) -> tuple[bool, bool]:
        """Whether the vision and the text tower have weights to train."""
        vision, text = (any(p.requires_grad for p in t.parameters()) for t in (self.clip.visual, self.clip.text))
        return vision, text

    def train(self, mode: bool = True) -> Towers:
        super().train(mode)
        for tower, trained in zip((self.clip.visual, self.clip.text), self.trained, strict=True):
            tower.train(mode and trained)
        return self

    def forward(
        self, pixels: Tensor | None = None, keep: Tensor | None = None, tokens: Tensor | None = None
    ) -> dict[str, Tensor]:
        kind = next(self.clip.visual.parameters()).dtype
        low = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.precision)
        device = self.clip.logit_scale.device
        out: dict[str, Tensor] = {"scale": self.clip.logit_scale.exp()}
        with torch.autocast(device.type, dtype=low or torch.bfloat16, enabled=low is not None):
            if pixels is not None:
                mean, std = self.mean.to(kind), self.std.to(kind)
                seen = (pixels.permute(0, 3, 1, 2).to(kind) / 255 - mean) / std
                images, patches = self._images(seen, keep)
                out["images"] = F.normalize(_whole(images), dim=-1)
                if patches is not None:
                    out["patches"] = F.normalize(_whole(patches), dim=-1)
            if tokens is not None:
                out["texts"] = F.normalize(_whole(self.clip.text(tokens)), dim=-1)
        return out

    def _images(self, pixels: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor | None]:
        visual = self.clip.visual
        if not isinstance(visual, VisionTransformer):
            return visual(pixels), None
        last = len(visual.transformer.resblocks) - 1
        see = Taps(want=[f"block.{last}.v"]) if self.local else BLIND
        images = visual.pool(visual.embed(pixels, keep), see)
        if not self.local:
            return images, None
        # what the last block would add to the class token if it looked at that patch only (MaskCLIP, Zhou et al. 2022)
        value = see.seen[f"block.{last}.v"][:, :, 1:].transpose(1, 2).flatten(2)  # [n, h*w, D]
        attention = cast(Block, visual.transformer.resblocks[last]).attn
        return images, visual.ln_post(attention.out_proj(value)) @ visual.proj


def _whole(features: Tensor) -> Tensor:
    return features if features.dtype == torch.float64 else features.float()
