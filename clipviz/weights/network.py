"""From a configuration and a state dict to a frozen network, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..clip import CLIP, Config
from ..errors import ModelError

if TYPE_CHECKING:
    from .other import OtherNetwork

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Weights:
    """A network with what must be known beside its tensors to use it rightly."""

    clip: CLIP | OtherNetwork
    preprocess: Mapping[str, Any] = field(default_factory=dict)  # open_clip's preprocess_cfg
    seen_token_ids: frozenset[int] | None = None  # None: the card does not tell
    card: Mapping[str, Any] = field(default_factory=dict)


def build(config: Config, state: Mapping[str, Tensor] | None, source: str) -> CLIP:
    """A frozen float32 `CLIP` in evaluation mode with the weights ``state`` (random ones for None).

    Raises ModelError where names or shapes do not fit; nothing is half-loaded. Safe to call
    inside ``torch.inference_mode()``: the parameters are ordinary tensors.
    """
    with torch.inference_mode(False), torch.no_grad():
        if state is None:
            clip = CLIP(config)
        else:
            with torch.device("meta"):
                clip = CLIP(config)
            expected = clip.state_dict()
            # batch norm counts its training batches; some layouts leave the count out, and nothing here reads it
            counts = {k: torch.zeros((), dtype=torch.long) for k in expected if k.endswith("num_batches_tracked")}
            state = {**counts, **state}
            _check(expected, state, source)
            # contiguous: the same weights give the same bits, whichever layout they were stored in
            held = {
                k: v.to(torch.float32 if v.is_floating_point() else v.dtype, copy=True).contiguous()
                for k, v in state.items()
            }
            clip.load_state_dict(held, assign=True)
    return clip.eval().requires_grad_(False)


def _check(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str) -> None:
    missing = [k for k in expected if k not in state]
    left_over = [k for k in state if k not in expected]
    other = [
        f"{k} {tuple(state[k].shape)} for {tuple(expected[k].shape)}"
        for k in expected
        if k in state and state[k].shape != expected[k].shape
    ]
    if not (missing or left_over or other):
        return
    parts = [
        f"{len(names)} {what} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
        for names, what in ((missing, "missing"), (left_over, "left over"), (other, "of another shape"))
        if names
    ]
    if other:
        cause = "the configuration describes another architecture"
    elif missing and not left_over:
        cause = "the file is one part of a model that was stored in several"
    else:
        cause = "the file holds another kind of model"
    raise ModelError(f"The weights of {source} do not fit: {'; '.join(parts)}. Most likely {cause}.")


def fingerprint(clip: nn.Module) -> str:
    """SHA-256 over all tensors in float32, by name: the same for the same network in any layout."""
    digest = hashlib.sha256()
    for name, tensor in sorted(clip.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        digest.update(name.encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().data)
    return digest.hexdigest()
