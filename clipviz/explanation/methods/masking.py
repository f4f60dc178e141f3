"""Pictures of which a part is blanked out, and their scores, in batches that are filled again and again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError
from ...model import Look, Model
from ...model.encoding import Batches
from ..target import Target

# Of the score: less is what rounding makes of one and the same picture.
ROUNDING = 1e-6

# Numbers of some masks [B] -> those masks [B, S, S], 1 where the picture stays and 0 where it is blank.
Masks = Callable[[Tensor], Tensor]


def grid_of(model: Model) -> tuple[int, int]:
    """Rows and columns of cells; of a model that open_clip runs, those that its tiles are cut by."""
    if model.kind != "other":
        return model.grid
    cells = math.gcd(model.image_size, 16)
    return (cells, cells)


def cell_of_pixel(size: int, cells: int, device: Any = None) -> Tensor:
    """[size]: the cell that each pixel of a side is in. Pixels behind the last whole cell count to it."""
    return (torch.arange(size, device=device) // (size // cells)).clamp_(max=cells - 1)


def of_cells(masks: Tensor, size: int) -> Masks:
    """Masks over cells [M, h, w] as masks over ``size`` x ``size`` pixels."""
    rows, columns = (cell_of_pixel(size, cells, masks.device) for cells in masks.shape[1:])
    return lambda chosen: masks[chosen][:, rows][:, :, columns]


def scores(model: Model, pixels: Tensor, target: Target) -> Tensor:
    """The scores [N, P] of ``pixels`` [N, 3, S, S], of any kind of model, without gradients."""
    with torch.inference_mode(False), torch.no_grad():
        return target(F.normalize(model.network.visual(pixels), dim=-1))


def look_scores(look: Look, target: Target) -> Tensor:
    """The scores [N, P] of the tiles as they are."""
    with torch.inference_mode(False), torch.no_grad():
        return target(look.unit)


def masked_scores(
    model: Model, tile: Tensor, instead: Tensor, masks: Masks, count: int, target: Target, batch_size: int
) -> Tensor:
    """The scores [count, P] of one ``tile`` [3, S, S] under each mask, ``instead`` [3, S, S] where that is 0.

    One pass a mask serves all texts. Batches are filled in place, so that memory does not grow with ``count``, and
    halved where they do not fit.
    """
    room: list[Tensor] = []

    def run(chosen: Tensor) -> Tensor:
        kept = masks(chosen)[:, None]  # [B, 1, S, S]
        if not room:
            room.append(tile.new_empty(len(chosen), *tile.shape))
        batch = room[0][: len(chosen)]
        return scores(model, torch.lerp(instead, tile, kept, out=batch), target)

    with torch.inference_mode(False), torch.no_grad():
        return Batches(batch_size)(run, torch.arange(count, device=tile.device))


def unmoved(found: Tensor, full: Tensor, target: Target, unit: Tensor) -> Tensor:
    """[P]: whether the scores ``found`` [M, P] under all masks are ``full`` [P], but for rounding.

    So of a picture that is its own blank, in which nothing can be hidden: about 1e-6 of a cosine is what batches of
    another size come to. ``unit`` [1, E] is the picture's vector.
    """
    both = torch.cat([found.to(full), full[None]])
    return (both.amax(dim=0) - both.amin(dim=0) <= ROUNDING * target.reach(unit)[0]).cpu()


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """``value``, if it is a whole number from ``least`` to ``most``; else an InputError that names the option."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        allowed = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise InputError(f"{name}={value!r} is not a whole number {allowed}.")
    return value


def plain(values: Tensor) -> list[Any]:
    """[N, P] -> for each text one number, or where the picture has several tiles a list of theirs."""
    return [column[0] if len(column) == 1 else column for column in values.T.tolist()]
