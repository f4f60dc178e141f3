"""CLIP Surgery and GEM: dense features of a second path through many blocks.

Beside the unchanged stream runs another that gathers what the last blocks' attentions give when tokens attend to those
that are like them; no MLP writes to it, and nothing flows back. The patches are read at its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...clip import Attend
from ...clip.taps import BLIND
from ...errors import InputError
from ...model import Look, Model
from ...text import Prompt, PromptSet, as_prompts
from ..registry import Found
from ..target import Target
from .dense import as_maps, blocks_of, dense_features, read_patches, register_dense, streams


def _second_path(model: Model, look: Look, count: int, attend: Callable[[Tensor], Attend]) -> Tensor:
    """The patches [N, h*w, E] of a path beside the last ``count`` blocks; ``attend`` makes a block's attention of
    what enters it, the original stream after ``ln_1``."""
    blocks = blocks_of(model)
    start = len(blocks) - count
    originals = streams(model, look, start)  # count of [N, 1 + h*w, D]
    path = originals[0]
    for block, original in zip(blocks[start:], originals, strict=True):
        h = block.ln_1(original)
        path = path + block.attn(h, "", BLIND, attend(h), causal=False, first=False)
    return read_patches(model, path)


def _gem_blocks(model: Model, depth: Any) -> int:
    """How many blocks the wheel changes at this depth; its count begins behind the last block."""
    return min(_whole("depth", depth, 2, 7) - 1, len(blocks_of(model)))


def _gem_features(
    model: Model, look: Look, depth: int = 7, iterations: int = 1, inverse_temperature: float | None = None
) -> Tensor:
    count = _gem_blocks(model, depth)
    _whole("iterations", iterations, 0, 1)
    given = inverse_temperature
    if given is not None and (
        isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < math.inf
    ):
        raise InputError(
            f"inverse_temperature={given!r} cannot multiply cosines: pass a number above 0, or None for the picture's."
        )

    def attend(h: Tensor) -> Attend:
        def ensemble(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            size = h.norm(dim=-1).mean(dim=-1)[:, None, None, None]  # [N, 1, 1, 1]
            sharp = size * v.shape[-1] ** -0.5 if given is None else given
            found = torch.zeros_like(v)
            for x in (v, k, q):
                for _ in range(iterations):
                    x = F.normalize(x, dim=-1)
                    x = F.scaled_dot_product_attention(sharp * x, x, x, scale=1.0)
                x = F.normalize(x, dim=-1)
                found = found + F.scaled_dot_product_attention(sharp * x, x, v, scale=1.0)
            return found / 3

        return ensemble

    return _second_path(model, look, count, attend)


def _surgery_features(model: Model, look: Look, depth: int = 6) -> Tensor:
    def attend(h: Tensor) -> Attend:
        return lambda q, k, v: F.scaled_dot_product_attention(v, v, v)

    return _second_path(model, look, _surgery_blocks(model, depth), attend)


def _surgery_blocks(model: Model, depth: Any) -> int:
    return min(_whole("depth", depth, 1, 6), len(blocks_of(model)))


def _whole(name: str, value: Any, least: int, usual: int) -> int:
    """``value``, or InputError where it is no whole number from ``least`` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name}={value!r} is no count: pass a whole number from {least} on, such as {usual}.")
    return value


def _gem(
    model: Model,
    look: Look,
    target: Target,
    *,
    depth: int = 7,
    iterations: int = 1,
    inverse_temperature: float | None = None,
) -> Found:
    """GEM (Bousselham et al. 2023, arXiv 2312.00878), as its wheel gem_torch 1.0.1 computes it, before its scaling.

    Unit queries, keys and values each attend to themselves, ``iterations`` times and then over the values; their
    mean goes on. ``depth`` counts as the wheel does: the last ``depth - 1`` blocks, or all where there are fewer.
    ``inverse_temperature`` multiplies the cosines (the wheel's ``ss_attn_temp``); None takes the mean norm of the
    block's normalised tokens / sqrt(head width). The details tell ``blocks``, how many were changed.
    """
    unit = dense_features(
        model, look, "gem", depth=depth, iterations=iterations, inverse_temperature=inverse_temperature
    )
    return Found(as_maps(target(unit), model), [{"blocks": _gem_blocks(model, depth)}] * len(target))


def _clip_surgery(
    model: Model,
    look: Look,
    target: Target,
    *,
    labels: str | Prompt | PromptSet | Sequence[str | Prompt] | None = None,
    depth: int = 6,
) -> Found:
    """CLIP Surgery (Li et al. 2023, arXiv 2304.05653): values attend to values in the last ``depth`` blocks, and
    what all texts of a label set have in common is subtracted.

    The set is the texts asked with those of ``against``, or ``labels``, to which a text asked is added where it is
    missing; the details name it as ``subtracted``. A set of one text would cancel to zero: then it is the empty
    text that is subtracted, as in the paper's code, and ``subtracted`` is ``[""]``. ``blocks``: how many changed.
    """
    if not target.linear:
        raise InputError("clip_surgery subtracts what a label set shares, and has no softmax: use contrast='margin'.")
    if labels is not None and target.other_names:
        raise InputError("labels= names the whole set that clip_surgery subtracts: leave out against= and baseline=.")
    unit = dense_features(model, look, "clip_surgery", depth=depth)  # [N, h*w, E]
    count = len(target)
    if labels is None:
        rest, names = target.others, (*target.names, *target.other_names)
        sets = [list(range(len(names)))] * count
    else:
        prompts = as_prompts(labels)
        rest = look.remember(("clip_surgery", prompts), lambda: _vectors(model, prompts))
        names = (*target.names, *prompts.labels)
        sets = [
            [j, *(count + i for i, label in enumerate(prompts.labels) if label != name)]
            for j, name in enumerate(target.names)
        ]
    members = torch.cat([target.texts, rest]).to(unit)  # [M, E]
    cosines, whole = unit @ members.T, look.unit.to(unit) @ members.T  # [N, h*w, M], [N, M]
    maps, details = [], []
    shared: tuple[list[int], Tensor] | None = None  # the texts asked mostly have one set: its mean is taken once
    for j, own in enumerate(sets):
        if len(own) == 1:
            maps.append(cosines[..., j] - (unit @ _empty_text(model, look).to(unit).T)[..., 0])
            details.append([""])
            continue
        if shared is None or shared[0] is not own:
            weights = torch.softmax(2 * whole[:, own], dim=-1)  # [N, m]
            weights = weights / weights.mean(dim=-1, keepdim=True)
            shared = own, cosines[..., own] * weights[:, None]  # [N, h*w, m]
        weighted = shared[1]
        maps.append(weighted[..., own.index(j)] - weighted.mean(dim=-1))
        details.append([names[i] for i in own])
    said: dict[str, Any] = {"blocks": _surgery_blocks(model, depth)}
    if labels is not None:
        said["label_templates"] = [list(prompt.templates) for prompt in prompts]
    return Found(as_maps(torch.stack(maps, dim=-1), model), [{"subtracted": named, **said} for named in details])


def _vectors(model: Model, prompts: PromptSet) -> Tensor:
    return torch.from_numpy(model.encode_prompts(prompts)).to(model.device)  # [K, E]


def _empty_text(model: Model, look: Look) -> Tensor:
    """The unit vector [1, E] of a text without a word, which `encode_texts` refuses: it is no question."""

    def make() -> Tensor:
        start, end = (getattr(model.tokenizer, f"{part}_token_id", None) for part in ("sot", "eot"))
        tokens = model.tokenizer([""]) if start is None or end is None else torch.tensor([[start, end]])
        return F.normalize(model.clip.text(tokens.to(model.device)), dim=-1)

    return look.remember(("clip_surgery", "the empty text"), make)


register_dense(
    "gem",
    _gem,
    _gem_features,
    "Bousselham et al. 2023, Grounding Everything: Emerging Localization Properties in Vision-Language Transformers "
    "(arXiv 2312.00878)",
    "vit",
    "1 forward and the attentions of 6 blocks",
)
register_dense(
    "clip_surgery",
    _clip_surgery,
    _surgery_features,
    "Li et al. 2023, CLIP Surgery for Better Explainability with Enhancement in Open-Vocabulary Tasks "
    "(arXiv 2304.05653)",
    "vit",
    "1 forward and the attentions of 6 blocks",
)
