"""Consensus: where methods that reason differently agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from ...model import Look, Model
from ..registry import Explainer, Found, check_options, find_explainer, register_explainer, unwrapped
from ..target import Target

Member = tuple[str, dict[str, Any]]

# One of each family that costs a pass or two: what a gradient, an attention, a sum and a dense feature get wrong
# differs, and the mean of their maps keeps what they have in common.
MEMBERS: dict[str, tuple[Member, ...]] = {
    "vit": (("gradcam", {}), ("legrad", {"start": 0}), ("head_decomposition", {}), ("clearclip", {})),
    "resnet": (("gradcam", {}), ("attention_x_gradient", {}), ("maskclip", {})),
}


def _consensus(model: Model, look: Look, target: Target, *, of: Sequence[str | Member] | None = None) -> Found:
    """Consensus (clipviz): the mean of several methods' maps, each less its mean and over its standard deviation.

    ``of`` names methods, or pairs (method, options); by default one of each family that costs a pass or two. Zero is a
    map's own mean, so that a value below it says "less than elsewhere" and nothing about the score. A map that is
    the same everywhere has no say; ``flat`` in the details names its method.
    """
    if of is not None and (isinstance(of, str) or not isinstance(of, Sequence)):
        raise InputError(f"of={of!r} is no list of methods: write of=['gradcam', 'legrad'].")
    members = [_member(model, one) for one in (of if of is not None else MEMBERS[model.kind])]
    if len(members) < 2:
        raise InputError("A consensus needs two methods or more: name them as of=['gradcam', 'legrad'].")
    # Smaller maps than that are what rounding leaves of texts, or of parts, that cancel.
    rounding = 1e-7 * target.reach(look.unit).amax(dim=0)  # [P]
    total: Tensor | float = 0.0
    flat: list[list[str]] = [[] for _ in range(len(target))]
    for explainer, options in members:
        given = explainer.function(model, look, target, **options)
        maps = unwrapped(given, explainer, len(look.pixels), len(target)).maps.detach()
        if maps.shape[-2:] != model.grid:
            raise InputError(
                f"{explainer.name!r} gives maps of {tuple(maps.shape[-2:])}, not of {model.grid}: leave it out of `of`."
            )
        centred = maps - maps.mean(dim=(0, 2, 3), keepdim=True)  # over the tiles too: one may have all there is
        spread = centred.square().mean(dim=(0, 2, 3), keepdim=True).sqrt()  # [1, P, 1, 1]
        still = spread.flatten() <= torch.maximum(1e-6 * maps.abs().amax(dim=(0, 2, 3)), rounding.to(maps))
        for j in torch.nonzero(still).flatten().tolist():
            flat[j].append(explainer.name)
        total = total + torch.where(still[None, :, None, None], torch.zeros_like(maps), centred / spread)
    assert isinstance(total, Tensor)  # there are two members or more
    said = [f"{explainer.name}({_spelt(options)})" for explainer, options in members]
    return Found(total / len(members), [{"of": said, "flat": names} for names in flat])


def _spelt(options: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


def _member(model: Model, named: str | Member) -> tuple[Explainer, dict[str, Any]]:
    """The explainer and its options; InputError for one that does not ask the text, or for a consensus of itself."""
    pair = (named, {}) if isinstance(named, str) else named
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[1], Mapping)):
        raise InputError(f"A member is a name, or a pair such as ('legrad', {{'start': 0}}); got {named!r}.")
    name, options = pair
    explainer = find_explainer(name, model)
    if name == "consensus" or not explainer.uses_text:
        raise InputError(f"of={name!r} does not ask the text by itself: leave it out of the consensus.")
    check_options(explainer, options)
    return explainer, dict(options)


register_explainer(
    "consensus",
    _consensus,
    family="consensus",
    paper="clipviz: the mean of standardised maps of one method of each family",
    signed=False,
    notes=("Zero in a map of consensus is the map's own mean.",),
    passes="1 forward and about 2 a text",
)
