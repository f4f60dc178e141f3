"""Where in a network a method looks, and how what it finds there becomes a grid."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

from torch import Tensor

from ...errors import InputError, nearest
from ...model import Model


def spatial_tap(model: Model, layer: int | str | None = None) -> str:
    """The tap from which every cell still reaches the score: of the last layer, or of ``layer``.

    In a ViT the tokens after ``ln_1`` of block ``layer`` (0 is the first, -1 the last), before its attention: after the
    last one the class token alone reaches the score. In a ResNet the output of stage ``layer`` (1 to 4, or -1 for the
    last). ``layer`` may also be the name of any tap that holds a grid. Raises InputError for what is not there.
    """
    visual = model.clip.visual
    if model.kind == "resnet":
        known = {i: f"stage.{i}" for i in range(1, 5)}
        names = ["stem", *known.values()]
    else:
        known = {i: f"block.{i}.ln_1" for i in range(visual.config.layers)}  # type: ignore[arg-type, misc]
        names = [
            t for t in visual.taps() if t.split(".")[-1] in ("embed", "ln_1", "ln_2", "attn", "mlp") or t[6:].isdigit()
        ]
    if isinstance(layer, str):
        if layer not in names:
            raise InputError(f"layer={layer!r} is no grid inside {model.name}. {nearest(layer, names)}")
        return layer
    if layer is not None and (isinstance(layer, bool) or not isinstance(layer, SupportsIndex)):
        raise InputError(f"layer={layer!r} is no layer: pass a whole number, or a name such as {names[-1]!r}.")
    last = max(known)
    wanted = -1 if layer is None else index(layer)  # a number of NumPy as well
    number = last + 1 + wanted if wanted < 0 else wanted
    if number not in known:
        raise InputError(
            f"layer={layer} is not in {model.name}: it is from {min(known)} to {last}, or -1 for the last."
        )
    return known[number]


def as_grid(value: Tensor, model: Model) -> Tensor:
    """Tokens [N, 1 + h*w, C] (the class token dropped) or a stage [N, C, h, w] -> [N, C, h, w]."""
    if value.dim() == 4:
        return value
    return value[:, 1:].transpose(1, 2).unflatten(2, model.grid)
