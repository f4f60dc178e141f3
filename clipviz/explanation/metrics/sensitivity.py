"""Do the numbers of a map foretell what hiding its cells does? And does the map stay when the picture hardly moves?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import InputError
from ...model import Look
from ..target import Target
from .hiding import Hiding, hiding, on_cells
from .region import Map, Seed, as_map, chance


@dataclass(frozen=True, eq=False)
class SensitivityN:
    """``correlations`` [K] of the sums of a map over random sets of ``sizes`` [K] cells with what hiding them takes.

    NaN where sums or drops do not vary, as those of a constant map. ``cells`` is the number of all cells.
    """

    sizes: NDArray[np.int64]
    correlations: NDArray[np.float64]
    cells: int

    @property
    def mean(self) -> float:
        """Over the sizes; NaN where one of them is."""
        return float(self.correlations.mean())


def sensitivity_n(
    look: Look,
    target: Target,
    values: Any,
    *,
    text: int = 0,
    sizes: Sequence[int] | None = None,
    samples: int = 100,
    unit: str = "patch",
    baseline: str = "mean",
    batch_size: int = 32,
    seed: Seed = 0,
) -> SensitivityN:
    """Pearson's correlation between the sum of a map over n cells and the fall of the score when they are hidden.

    For every n of ``sizes`` (by default up to eight from 1 to 80 % of the cells, evenly on a logarithmic scale)
    ``samples`` sets of cells are drawn by ``seed``; a map whose cells add up has 1 at each n in a linear network. See
    `insertion_deletion` for the other parameters. Costs K x samples forward passes. Raises InputError.
    Ancona et al. 2018, Towards Better Understanding of Gradient-based Attribution Methods (arXiv 1711.06104).

    >>> sensitivity_n(look, target, heatmap.values).mean  # doctest: +SKIP
    """
    grid = as_map(values)
    parts = hiding(look, target, grid.shape, unit=unit, baseline=baseline, text=text, batch_size=batch_size)
    _check_samples(samples, 3)
    default = np.unique(np.geomspace(1, max(1, 0.8 * parts.count), 8).round().astype(np.int64))
    chosen = default if sizes is None else np.asarray(sizes)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not len(chosen) or not _between(chosen, parts.count):
        raise InputError(f"sizes={sizes!r} are no numbers of cells: pass whole ones from 1 to {parts.count - 1}.")
    cells, rng = on_cells(grid, parts.cells).ravel(), chance(seed)
    full = _full(parts)
    found = []
    for size in chosen.tolist():
        hidden = np.argsort(rng.random((samples, parts.count)), axis=1).argsort(axis=1) < size  # [samples, cells]
        found.append(_correlation(hidden @ cells, full - parts.scores(~hidden)))
    return SensitivityN(chosen.astype(np.int64), np.array(found), parts.count)


@dataclass(frozen=True)
class Infidelity:
    """``error``, the mean square of ``factor`` x (sum of the map over hidden cells) - (fall of the score).

    ``power`` is the mean square of the falls: the error of a map that says nothing.
    """

    error: float
    factor: float
    power: float

    @property
    def relative(self) -> float:
        """error / power: 0 foretells every fall, 1 none. NaN where the score never fell."""
        return self.error / self.power if self.power else math.nan


def infidelity(
    look: Look,
    target: Target,
    values: Any,
    *,
    text: int = 0,
    samples: int = 200,
    share: float = 0.5,
    fit: bool = True,
    unit: str = "patch",
    baseline: str = "mean",
    batch_size: int = 32,
    seed: Seed = 0,
) -> Infidelity:
    """How far a map is from foretelling the fall of the score when random cells are hidden.

    Each cell is hidden with probability ``share``, ``samples`` times by ``seed``; the map is taken as what each cell
    adds to the score. ``fit`` multiplies the map by the best factor first, as most maps have units of their own; for
    one whose cells add up, fit=False asks for its sizes too. A map of zeros has error = power. Costs ``samples``
    forward passes. Raises InputError. Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations
    (arXiv 1901.09392).

    >>> infidelity(look, target, heatmap.values).relative  # doctest: +SKIP
    """
    grid = as_map(values)
    parts = hiding(look, target, grid.shape, unit=unit, baseline=baseline, text=text, batch_size=batch_size)
    _check_samples(samples, 1)
    if not 0 < share < 1:
        raise InputError(f"share={share!r} is no probability of being hidden: pass one between 0 and 1.")
    hidden = chance(seed).random((samples, parts.count)) < share
    said = hidden @ on_cells(grid, parts.cells).ravel()
    fell = _full(parts) - parts.scores(~hidden)
    power = float(said @ said)
    factor = (float(said @ fell) / power if power else 0.0) if fit else 1.0
    return Infidelity(float(np.mean((factor * said - fell) ** 2)), factor, float(np.mean(fell**2)))


def max_sensitivity(
    look: Look, explain: Callable[[Look], Any], *, radius: float = 0.02, samples: int = 10, seed: int = 0
) -> float:
    """The largest relative change of a map when every pixel moves by at most ``radius`` (of intensities 0 to 1).

    ``explain`` takes a `Look` to a map [h, w]; it is called ``samples + 1`` times. The change is the norm of the
    difference over that of the map; NaN for a map of zeros. A map that ignores the picture has 0: small is not good by
    itself. Raises InputError. Yeh et al. 2019 (arXiv 1901.09392).

    >>> max_sensitivity(look, lambda look: gradcam(look, "a dog").values)  # doctest: +SKIP
    """
    if not 0 < radius < math.inf:
        raise InputError(f"radius={radius!r} is no distance of intensities: pass one above 0, such as 0.02.")
    _check_samples(samples, 1)
    first: Map = as_map(explain(look))
    size = np.linalg.norm(first)
    if not size:
        return math.nan
    pixels, generator = look.pixels, torch.Generator().manual_seed(seed)
    std = torch.tensor(look.model.std, dtype=pixels.dtype, device=pixels.device).view(3, 1, 1)
    worst = 0.0
    for _ in range(samples):
        noise = torch.rand(pixels.shape, generator=generator, dtype=torch.float32).to(pixels) * 2 - 1
        moved = Look(look.model, pixels + radius * noise / std, look.picture, look.frame)
        worst = max(worst, float(np.linalg.norm(as_map(explain(moved)) - first) / size))
    return worst


def _full(parts: Hiding) -> float:
    return float(parts.scores(np.ones((1, parts.count), bool))[0])


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson's; NaN where one does not vary by more than rounding."""
    for x in (a, b):
        if np.ptp(x) <= 1e-12 * max(1e-300, float(np.abs(x).max())):
            return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def _between(sizes: NDArray[np.int64], cells: int) -> bool:
    return bool(sizes.min() >= 1 and sizes.max() < cells)


def _check_samples(samples: int, least: int) -> None:
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < least:
        raise InputError(f"samples={samples!r} is too few or no count: pass a whole number of at least {least}.")
