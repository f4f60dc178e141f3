"""RISE: the score under thousands of random, smooth masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError
from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .inputs import blank_pixels
from .masking import cell_of_pixel, grid_of, look_scores, masked_scores, plain, scores, unmoved, whole


def _rise(
    model: Model,
    look: Look,
    target: Target,
    *,
    samples: int = 1000,
    points: int = 7,
    keep: float = 0.5,
    centred: bool = True,
    seed: int = 0,
    blank: str = "mean",
    batch_size: int = 32,
) -> Found:
    """RISE (Petsiuk et al. 2018, arXiv 1806.07421): how much higher the score is where the cell may be seen.

    ``points`` x ``points`` bits, each 1 with the probability ``keep``, are enlarged bilinearly and shifted at random;
    where a mask is 0 stands ``blank``. The paper takes 4,000 to 8,000 ``samples``. Its map is the mean score where
    a cell is seen; ``centred`` takes off the mean score of all masks, and with it the noise of uneven cover, which on
    cosines is larger than what is looked for. ``centred=False`` gives the paper's own numbers.
    """
    if not isinstance(keep, (int, float)) or not 0 < keep < 1:
        raise InputError(f"keep={keep!r} is no probability: pass a number between 0 and 1, such as 0.5.")
    size, (h, w) = look.pixels.shape[-1], grid_of(model)
    whole("samples", samples, 2), whole("points", points, 1, size), whole("seed", seed, 0)
    masks = SmoothMasks(samples, points, float(keep), size, seed, look.pixels)
    cells = masks.over_cells(h, w).cpu().double()  # [M, h, w]
    instead = blank_pixels(model, look.pixels, blank)
    maps, errors = [], []
    for tile, empty, full, unit in zip(look.pixels, instead, look_scores(look, target), look.unit, strict=True):
        found = masked_scores(model, tile, empty, masks, samples, target, batch_size)  # [M, P]
        moved = ~unmoved(found, full, target, unit[None])
        value, error = estimate(found.cpu().double(), cells.flatten(1), float(keep), centred)
        value = value * moved[:, None]
        maps.append(value.unflatten(1, (h, w)))
        errors.append(error.square().mean(dim=1).sqrt())  # [P]
    said = [
        {"baseline": blank, "baseline_score": b, "sampling_error": e, "samples": samples, "seed": seed}
        for b, e in zip(plain(scores(model, instead, target)), plain(torch.stack(errors)), strict=True)
    ]
    return Found(torch.stack(maps), said)


def estimate(scores: Tensor, cells: Tensor, keep: float, centred: bool) -> tuple[Tensor, Tensor]:
    """Scores [M, P] and masks [M, K] -> each cell's value, and its standard error: [P, K] both.

    Not centred, it is the paper's sum of score times mask over M times ``keep``. Centred, it is their covariance over
    ``keep``. Both are without bias, whatever the number of masks.
    """
    count = len(scores)
    if centred:  # the masks as well: it changes no value, and their mean is no error
        scores, cells = scores - scores.mean(dim=0), cells - cells.mean(dim=0)
    by_mean = scores.T @ cells / (count * keep)  # [P, K]
    squares = scores.square().T @ cells.square() / (count * keep**2)
    error = (squares - by_mean.square()).clamp_min(0).div(count - 1).sqrt()
    return by_mean * (count / (count - 1) if centred else 1), error


class SmoothMasks:
    """``count`` masks, made in bulk when asked for: `masks(numbers)` [B, S, S], equal for equal seeds on any device.

    A mask is U G V^T: bits G [points, points], and U, V rows of the matrix that enlarges a side to one cell more than
    the picture; where they begin is the random shift.
    """

    def __init__(self, count: int, points: int, keep: float, size: int, seed: int, like: Tensor):
        random = torch.Generator().manual_seed(seed)
        self.bits = (torch.rand(count, points, points, generator=random) < keep).to(like)
        cell = -(-size // points)
        self.shifts = torch.randint(cell, (2, count), generator=random).to(like.device)
        corner = torch.eye(points, dtype=like.dtype, device=like.device)[None]  # [1, points, points]
        enlarge = F.interpolate(corner, size=(points + 1) * cell, mode="linear", align_corners=False)[0].T
        self.sides = torch.stack([enlarge[i : i + size] for i in range(cell)])  # [shift, S, points]

    def __call__(self, chosen: Tensor) -> Tensor:
        return self._between(self.sides, self.sides, chosen)

    def over_cells(self, h: int, w: int) -> Tensor:
        """The mean of every mask over each cell, [M, h, w]."""
        down, across = (self._pooled(cells) for cells in (h, w))
        return self._between(down, across, torch.arange(len(self.bits), device=self.bits.device))

    def _between(self, down: Tensor, across: Tensor, chosen: Tensor) -> Tensor:
        rows, columns = down[self.shifts[0, chosen]], across[self.shifts[1, chosen]]  # [B, S, points]
        return rows @ self.bits[chosen] @ columns.mT

    def _pooled(self, cells: int) -> Tensor:
        """[shift, cells, points]: the means of the sides over the pixels of each cell."""
        size = self.sides.shape[1]
        member = F.one_hot(cell_of_pixel(size, cells, self.sides.device), cells).to(self.sides)  # [S, cells]
        return (member / member.sum(dim=0)).T @ self.sides


register_explainer(
    "rise",
    _rise,
    family="perturbation",
    paper="Petsiuk et al. 2018, RISE (arXiv 1806.07421)",
    needs="vectors",
    passes="1 forward a mask (1,000), all texts together",
)
