"""What the score is when parts of the picture are hidden: the ground of every metric of faithfulness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from ...model import Look
from ..target import Target
from .region import Map, as_map

BASELINES = ("blur", "mean")
UNITS = ("patch", "pixel")
_BLUR = 0.1  # the blur's standard deviation, of the picture's side: no object is left to be told


@dataclass(frozen=True, eq=False)
class Hiding:
    """One picture as a model sees it, in ``cells`` (rows, columns) that can be hidden, and one score of it.

    Hidden cells show ``blank`` [1, 3, S, S]. ``text`` is the column of the target that is scored.
    """

    look: Look
    target: Target
    text: int
    cells: tuple[int, int]
    blank: Tensor
    batch_size: int

    @property
    def count(self) -> int:
        return self.cells[0] * self.cells[1]

    def scores(self, shown: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The score [K] of the picture with only the cells ``shown`` [K, count]; ``batch_size`` are run at a time."""
        found = [self._score(part) for part in self._pictures(shown)]
        return np.concatenate(found) if found else np.zeros(0)

    def _pictures(self, shown: NDArray[np.bool_]) -> Iterator[Tensor]:
        pixels = self.look.pixels
        side = pixels.shape[-1]
        rows, columns = (torch.arange(side, device=pixels.device) * n // side for n in self.cells)
        for start in range(0, len(shown), self.batch_size):
            part = torch.from_numpy(shown[start : start + self.batch_size]).to(pixels.device)
            mask = part.unflatten(1, self.cells)[:, rows][:, :, columns][:, None]  # [B, 1, S, S]
            yield torch.where(mask, pixels, self.blank)

    def _score(self, pixels: Tensor) -> NDArray[np.float64]:
        model = self.look.model
        with torch.inference_mode(False), torch.no_grad():
            encode = model.network.visual if model.kind == "other" else model.clip.visual
            unit = F.normalize(encode(pixels), dim=-1)
            return self.target(unit)[:, self.text].double().cpu().numpy()


def hiding(
    look: Look, target: Target, shape: tuple[int, int], *, unit: str, baseline: str, text: int, batch_size: int
) -> Hiding:
    """How cells of ``look`` are hidden: patches of the model (of a map's ``shape`` where it has none), or pixels.

    ``baseline`` is what a hidden cell shows: the picture blurred ("blur", a Gaussian of a tenth of the side) or its own
    mean colour ("mean"). Raises InputError for a picture that was seen in tiles, whose parts hide one another.
    """
    if len(look.pixels) != 1:
        raise InputError(
            f"This picture was seen in {len(look.pixels)} tiles: look with view='crop', 'pad' or 'squash'."
        )
    if unit not in UNITS:
        raise InputError(f"unit={unit!r} is not known; it is one of {', '.join(UNITS)}.")
    if not 0 <= text < len(target):
        raise InputError(f"text={text!r} is none of the {len(target)} texts of the target: pass its place from 0.")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size={batch_size!r} is not a positive whole number.")
    side = look.pixels.shape[-1]
    if unit == "pixel":
        cells = (side, side)
    else:
        cells = shape if look.model.kind == "other" else look.model.grid
    return Hiding(look, target, text, cells, blank_of(look.pixels, baseline), batch_size)


def blank_of(pixels: Tensor, baseline: str) -> Tensor:
    """The picture [1, 3, S, S] with everything hidden."""
    if baseline == "mean":
        return pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels)
    if baseline == "blur":
        side = pixels.shape[-1]
        at = torch.arange(side, dtype=pixels.dtype, device=pixels.device) / (_BLUR * side)
        # rows of weights that sum to 1: what lies outside of the picture has none
        weights = torch.softmax(-0.5 * (at[:, None] - at[None, :]) ** 2, dim=1)  # [S, S]
        return weights @ pixels @ weights.T
    raise InputError(f"baseline={baseline!r} is not known; it is one of {', '.join(BASELINES)}.")


def on_cells(values: Any, cells: tuple[int, int]) -> Map:
    """A map [h, w] on ``cells`` with its sum kept: averaged where they are coarser, bilinear where they are finer."""
    grid = as_map(values)
    if grid.shape == cells:
        return grid
    h, w = grid.shape
    finer = cells[0] >= h and cells[1] >= w
    how: dict[str, Any] = {"mode": "bilinear", "align_corners": False} if finer else {"mode": "area"}
    found = F.interpolate(torch.from_numpy(grid)[None, None], size=cells, **how)[0, 0].numpy()
    return found * (h * w / (cells[0] * cells[1]))
