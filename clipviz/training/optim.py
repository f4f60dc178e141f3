"""How the weights begin and how they move: initial values, AdamW, and the learning rate of each step."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from ..clip import CLIP
from ..clip.transformer import Block
from ..clip.vit import VisionTransformer
from .adamw import AdamW
from .recipe import Recipe

NEIGHBOURS = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1)]  # those that share a side first


def make_optimizer(clip: CLIP, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW over the weights that are trained, in two groups: those that decay and those that do not.

    What has two axes or more decays: matrices, convolutions, embeddings of tokens and of positions. Gains, biases,
    the class token and the logit scale do not: the paper's "all weights that are not gains or biases" (section 2.5),
    read as open_clip's trainer reads it. ``optim.decay_positions=false`` spares the positions, which
    ``model.start="convolution"`` writes its first neighbourhoods into.

    Where the recipe says 0, beta2 and eps are the paper's for the kind of vision tower (its table 18). torch's own
    optimizer, but for ``memory.half_moments`` and ``memory.half_text`` (see `adamw`).
    """
    o, memory = recipe.optim, recipe.memory
    vit = isinstance(clip.visual, VisionTransformer)
    betas = (o.beta1, o.beta2 or (0.98 if vit else 0.999))
    eps = o.eps or (1e-6 if vit else 1e-8)
    trained = [(name, p) for name, p in clip.named_parameters() if p.requires_grad]
    matrices = [p for name, p in trained if decays(name, p, o.decay_positions)]
    others = [p for name, p in trained if not decays(name, p, o.decay_positions)]
    groups = [{"params": matrices, "weight_decay": o.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if memory.half_moments or memory.half_text:
        return AdamW(groups, o.learning_rate, betas, eps, half_moments=memory.half_moments, seed=recipe.seed)
    # torch's loop over many weights at once takes no mixture of shards and the logit scale, which is whole
    foreach = False if any(isinstance(p, DTensor) for _, p in trained) else None
    return torch.optim.AdamW(groups, lr=o.learning_rate, betas=betas, eps=eps, foreach=foreach)


def decays(name: str, parameter: Tensor, positions: bool = True) -> bool:
    """Whether a weight of a `CLIP` decays, by its name in ``named_parameters``."""
    return parameter.ndim >= 2 and (positions or "positional" not in name)


def rate(recipe: Recipe, step: int) -> float:
    """The learning rate of a step, from 0 on: a linear warm-up to the peak, then half a cosine down to zero.

    The last step of the warm-up has the peak already; zero is where the step after the last would be.
    """
    warm, peak = recipe.warm_steps, recipe.optim.learning_rate
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / (recipe.steps - warm)))


@torch.no_grad()
def settle(clip: CLIP) -> None:
    """Begin the vision tower as a small convolutional network, which attention may then unlearn.

    A vision transformer spends its first hundred thousand pictures on finding out that neighbouring patches
    belong together. Here each head of all blocks but the last begins by looking at one neighbour of each
    patch: the position is written into the last channels as sines and cosines, and a head's queries are
    those of its keys turned by one cell (after Zheng et al. 2024, arXiv 2404.01139). The class token and
    the last block begin by looking everywhere alike. Only first values are set; the network is the usual one.
    """
    visual = clip.visual
    assert isinstance(visual, VisionTransformer)  # what a recipe builds
    width, head = visual.config.width, visual.config.head_width
    waves = math.pi * torch.arange(1, head // 4 + 1) / (head // 4)
    row, column = torch.meshgrid(torch.arange(visual.config.grid), torch.arange(visual.config.grid), indexing="ij")
    places = torch.cat([_wave(column.flatten(), waves), _wave(row.flatten(), waves)], dim=1)  # [h*w, head]
    # about as strong as what a convolution of default weights gives of a picture
    visual.positional_embedding.zero_()
    visual.positional_embedding[1:, -head:] = 0.56 * places
    visual.conv1.weight[-head:] = 0
    nn.init.normal_(visual.class_embedding, std=0.4)
    visual.class_embedding[-head:] = 0
    attentions = [cast(Block, block).attn for block in visual.transformer.resblocks]
    for attention in attentions:
        nn.init.normal_(attention.in_proj_weight[: 2 * width], std=0.02)
    sharp = 1.1  # four fifths of a head's attention on its neighbour
    heads = width // head
    for number, attention in enumerate(attentions[:-1]):
        queries, keys = attention.in_proj_weight[:width], attention.in_proj_weight[width : 2 * width]
        for i in range(heads):
            dx, dy = NEIGHBOURS[(number * heads + i) % len(NEIGHBOURS)]  # what one block leaves out, the next looks at
            rows = slice(i * head, (i + 1) * head)
            queries[rows, -head:] += sharp * torch.block_diag(_turn(dx, waves), _turn(dy, waves))
            keys[rows, -head:] += sharp * torch.eye(head)


def _wave(t: Tensor, waves: Tensor) -> Tensor:
    return torch.stack([torch.sin(t[:, None] * waves), torch.cos(t[:, None] * waves)], dim=2).flatten(1)


def _turn(cells: int, waves: Tensor) -> Tensor:
    """The matrix that takes the wave of a place to that of the place some cells on."""
    turns = []
    for wave in waves.tolist():
        cos, sin = math.cos(wave * cells), math.sin(wave * cells)
        turns.append(torch.tensor([[cos, sin], [-sin, cos]]))
    return torch.block_diag(*turns)
