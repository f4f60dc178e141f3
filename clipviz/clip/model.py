"""CLIP: two towers, one space, one temperature (figure 3 of the paper)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import CBOWConfig, Config, ResNetConfig
from .flops import Flops, flops
from .resnet import ModifiedResNet
from .text import CBOW, TextTransformer
from .transformer import Block, Transformer
from .vit import VisionTransformer


class CLIP(nn.Module):
    """Contrastive Language-Image Pre-training (Radford et al. 2021, arXiv 2103.00020).

    Parameters carry the names of the released code; the text tower's stand under ``text.``.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.visual: ModifiedResNet | VisionTransformer
        if isinstance(config.vision, ResNetConfig):
            self.visual = ModifiedResNet(config.vision, config.embed_dim)
        else:
            self.visual = VisionTransformer(config.vision, config.embed_dim, config.quick_gelu)
        self.text: TextTransformer | CBOW
        if isinstance(config.text, CBOWConfig):
            self.text = CBOW(config.text, config.embed_dim)
        else:
            self.text = TextTransformer(config.text, config.embed_dim, config.quick_gelu)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        initialise(self)

    def forward(self, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unit image vectors [N, E], unit text vectors [M, E] and the scale of their logits."""
        images = F.normalize(self.visual(pixels), dim=-1)
        texts = F.normalize(self.text(tokens), dim=-1)
        return images, texts, self.logit_scale.exp()

    def flops(self) -> Flops:
        """Operations of one picture and of one text of full length, two for every multiply-add."""
        return flops(self.config)


@torch.no_grad()
def initialise(clip: CLIP) -> None:
    """The random weights of the released code, for what PyTorch's own defaults do not already give.

    Those defaults stand wherever the released code names nothing: in all convolutions, all biases, and the
    blocks of a vision transformer.
    """
    text, visual = clip.text, clip.visual
    nn.init.normal_(text.token_embedding.weight, std=0.02)
    nn.init.normal_(text.text_projection, std=text.config.width**-0.5)
    if isinstance(text, TextTransformer):
        nn.init.normal_(text.positional_embedding, std=0.01)
        _initialise_blocks(text.transformer, text.config.width)
    if isinstance(visual, ModifiedResNet):
        pool = visual.attnpool
        for linear in (pool.q_proj, pool.k_proj, pool.v_proj, pool.c_proj):
            nn.init.normal_(linear.weight, std=visual.config.features**-0.5)
        for name, parameter in visual.named_parameters():
            if name.endswith("bn3.weight") and name.startswith("layer"):
                nn.init.zeros_(parameter)  # each residual block begins as the identity


def _initialise_blocks(transformer: Transformer, width: int) -> None:
    """Attention and MLP, scaled by width and, where they write to the residual stream, by depth."""
    write = width**-0.5 * (2 * len(transformer.resblocks)) ** -0.5
    for block in transformer.resblocks:
        assert isinstance(block, Block)  # what a ModuleList holds is not typed
        nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
        nn.init.normal_(block.attn.out_proj.weight, std=write)
        nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(block.mlp.c_proj.weight, std=write)
