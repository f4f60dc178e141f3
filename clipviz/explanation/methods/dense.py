"""The family of dense features: patch tokens read in the space of the texts.

Every method makes unit vectors of a picture's patches without knowing any text, and a map is what the target gives for
them. `dense_features` is that first half, kept by the `Look`: another text costs one product. The methods of this file
change the last block alone, and run only that anew; those of `paths` add a second path beside the last blocks.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ...clip import Attend
from ...clip.resnet import ModifiedResNet
from ...clip.taps import BLIND
from ...clip.transformer import Block
from ...clip.vit import VisionTransformer
from ...errors import InputError, nearest
from ...model import Look, Model
from ..registry import Found, find_explainer, register_explainer
from ..target import Target
from .places import spatial_tap

# name: (model, look, **options) -> unit patch vectors [N, h*w, E]
FEATURES: dict[str, Callable[..., Tensor]] = {}

# The streams before so many of the last blocks are kept together: then one pass serves the whole family.
KEPT = 6


def dense_features(model: Model, look: Look, method: str, **options: Any) -> Tensor:
    """The unit vectors [N, h*w, E] of the patches of ``look``'s N tiles, row by row, in the space of the texts.

    ``method`` is one of the dense family ("maskclip", "sclip", "gem", ...), ``options`` its own, as in `explain`.
    Made once for a Look and kept there: do not write into it. ``features @ texts.T`` are cosines with texts [P, E].
    Raises InputError for another method or option, ModelError where ``model`` cannot be served.

        >>> dense_features(model, model.look("photo.jpg"), "maskclip").shape  # doctest: +SKIP
        torch.Size([1, 49, 512])
    """
    if method not in FEATURES:
        raise InputError(f"There are no dense features {method!r}. {nearest(str(method), FEATURES)}")
    find_explainer(method, model)  # raises where it cannot serve
    look, make = model.look(look), FEATURES[method]
    taken = {name: p.default for name, p in list(inspect.signature(make).parameters.items())[2:]}
    for name in options:
        if name not in taken:
            hint = nearest(name, taken) if taken else "It has none."
            raise InputError(f"The dense features {method!r} take no option {name!r}. {hint}")
    taken |= options
    return look.remember(("dense", method, repr(sorted(taken.items()))), lambda: make(model, look, **taken))


def as_maps(scores: Tensor, model: Model) -> Tensor:
    """Scores of patches [N, h*w, P] -> maps [N, P, h, w]."""
    return scores.transpose(1, 2).unflatten(2, model.grid)


def vit_of(model: Model) -> VisionTransformer:
    return cast(VisionTransformer, model.clip.visual)


def blocks_of(model: Model) -> list[Block]:
    return cast("list[Block]", list(vit_of(model).transformer.resblocks))


def streams(model: Model, look: Look, start: int) -> list[Tensor]:
    """The residual stream [N, 1 + h*w, D] of the unchanged network before each block from ``start`` to the last."""
    end = len(blocks_of(model))
    names = {i: f"block.{i - 1}" if i else "embed" for i in range(max(min(start, end - KEPT), 0), end)}
    seen = look.trace(list(names.values()))
    return [seen[names[i]] for i in range(start, end)]


def read_patches(model: Model, tokens: Tensor) -> Tensor:
    """Tokens [N, 1 + h*w, D] in place of the last block's -> the unit vectors [N, h*w, E] of the patches."""
    visual = vit_of(model)
    return F.normalize(visual.ln_post(tokens[:, 1:]) @ visual.proj, dim=-1)


def _last_block(model: Model, look: Look, attend: Attend | None) -> Tensor:
    """The patches after a last block of another attention; its residual and MLP stay."""
    (stream,) = streams(model, look, len(blocks_of(model)) - 1)
    return read_patches(model, blocks_of(model)[-1](stream, "", BLIND, attend))


def _last_attention(model: Model, look: Look, attend: Attend) -> Tensor:
    """The patches as the output of the last block's attention alone: neither residual nor MLP."""
    (stream,) = streams(model, look, len(blocks_of(model)) - 1)
    block = blocks_of(model)[-1]
    return read_patches(model, block.attn(block.ln_1(stream), "", BLIND, attend, causal=False, first=False))


def _similar_patches(model: Model, look: Look, layer: int | str | None = None) -> Tensor:
    tap = _layer_tap(model, layer)
    if tap == f"block.{len(blocks_of(model)) - 1}":
        return _last_block(model, look, None)
    return read_patches(model, look.trace([tap])[tap])


def _layer_tap(model: Model, layer: int | str | None) -> str:
    """The output of block ``layer``, or the tap of that name."""
    tap = spatial_tap(model, layer)
    return tap if isinstance(layer, str) else tap.removesuffix(".ln_1")


def _maskclip_features(model: Model, look: Look, residual: bool = False) -> Tensor:
    if model.kind == "vit":
        return (_last_block if residual else _last_attention)(model, look, lambda q, k, v: v)
    if residual:
        raise InputError(f"residual=True is of a ViT's last block; {model.name} has none: leave it out.")
    pool = cast(ModifiedResNet, model.clip.visual).attnpool
    cells = look.trace(["stage.4"])["stage.4"].flatten(2).transpose(1, 2)  # [N, h*w, C]
    return F.normalize(pool.c_proj(pool.v_proj(cells)), dim=-1)


def _sclip_features(model: Model, look: Look) -> Tensor:
    def correlative(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, q, v) + F.scaled_dot_product_attention(k, k, v)

    return _last_block(model, look, correlative)


def _clearclip_features(model: Model, look: Look) -> Tensor:
    return _last_attention(model, look, lambda q, k, v: F.scaled_dot_product_attention(q, q, v))


def _naclip_features(model: Model, look: Look, std: float = 5.0) -> Tensor:
    if isinstance(std, bool) or not isinstance(std, (int, float)) or not 0 < std < math.inf:
        raise InputError(f"std={std!r} is no width of a neighbourhood: pass cells above 0, such as 5.0.")
    h, w = model.grid
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    cells = torch.stack([rows, columns], dim=-1).flatten(0, 1).double()  # [h*w, 2]
    near = torch.exp(-(cells[:, None] - cells).square().sum(dim=-1) / (2 * std**2))  # [h*w, h*w]
    near = F.pad(near, (1, 0, 1, 0))  # the class token has no place: [1 + h*w, 1 + h*w]

    def neighbourly(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(k, k, v, attn_mask=near.to(k))

    return _last_attention(model, look, neighbourly)


def _patch_similarity(model: Model, look: Look, target: Target, *, layer: int | str | None = None) -> Found:
    """Every patch token read as the class token is (Radford et al. 2021, arXiv 2103.00020), of the last block.

    ``layer=k`` reads the output of block k, a name any stream of tokens. The network was never trained for this:
    measured beforehand, its peak is below chance.
    """
    maps = as_maps(target(dense_features(model, look, "patch_similarity", layer=layer)), model)
    return Found(maps, [{"layer": _layer_tap(model, layer)}] * len(target))


def _maskclip(model: Model, look: Look, target: Target, *, residual: bool = False) -> Tensor:
    """MaskCLIP (Zhou et al. 2022, arXiv 2112.01071): each patch through the value and output projections alone.

    Of a ViT's last block, or of a ResNet's attention pooling. ``residual=True`` keeps a ViT block's residual and MLP
    about them, as the authors' code does for a ViT; without it is how later papers measure MaskCLIP, and better.
    """
    return as_maps(target(dense_features(model, look, "maskclip", residual=residual)), model)


def _sclip(model: Model, look: Look, target: Target) -> Tensor:
    """SCLIP (Wang et al. 2023, arXiv 2312.01597): softmax(q q^T) + softmax(k k^T) in the last block."""
    return as_maps(target(dense_features(model, look, "sclip")), model)


def _clearclip(model: Model, look: Look, target: Target) -> Tensor:
    """ClearCLIP (Lan et al. 2024, arXiv 2407.12442): softmax(q q^T) in the last block, no residual and no MLP."""
    return as_maps(target(dense_features(model, look, "clearclip")), model)


def _naclip(model: Model, look: Look, target: Target, *, std: float = 5.0) -> Tensor:
    """NACLIP (Hajimiri et al. 2024, arXiv 2404.08181): softmax(k k^T + w) in the last block, no residual and no MLP.

    w is a Gaussian of the distance between two patches, at most 1; ``std`` is its width in cells.
    """
    return as_maps(target(dense_features(model, look, "naclip", std=std)), model)


def register_dense(
    name: str, function: Callable[..., Any], features: Callable[..., Tensor], paper: str, needs: str, passes: str
) -> None:
    """An explainer of the family, with the features that it reads."""
    FEATURES[name] = features
    register_explainer(name, function, family="dense", paper=paper, needs=needs, passes=passes)


register_dense(
    "patch_similarity",
    _patch_similarity,
    _similar_patches,
    "Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision (arXiv 2103.00020)",
    "vit",
    "1 forward",
)
register_dense(
    "maskclip",
    _maskclip,
    _maskclip_features,
    "Zhou et al. 2022, Extract Free Dense Labels from CLIP (arXiv 2112.01071)",
    "any",
    "1 forward",
)
register_dense(
    "sclip",
    _sclip,
    _sclip_features,
    "Wang et al. 2023, SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference (arXiv 2312.01597)",
    "vit",
    "1 forward",
)
register_dense(
    "clearclip",
    _clearclip,
    _clearclip_features,
    "Lan et al. 2024, ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language Inference "
    "(arXiv 2407.12442)",
    "vit",
    "1 forward",
)
register_dense(
    "naclip",
    _naclip,
    _naclip_features,
    "Hajimiri et al. 2024, Pay Attention to Your Neighbours: Training-Free Open-Vocabulary Semantic Segmentation "
    "(arXiv 2404.08181)",
    "vit",
    "1 forward",
)
