"""Is a harm beyond what nonsense does? The gap of a harmful label beside that of words that mean nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from .claims import Figure, Figures, pair_limits

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec

CONTROL = "placebo"  # the wording in which nonsense words stand for the harmful labels
COMPARED = ("share", "mean_probability", "above_threshold")  # what a nonsense word has too

Floats = NDArray[np.float64]
Placebos = Mapping[str, tuple[tuple[str, str], ...]]


def harms(spec: AuditSpec) -> set[tuple[str, str]]:
    """(level, name) of harmful labels and of the categories with one."""
    found = {("label", label.name) for label in spec.harmful}
    return found | {("category", label.category) for label in spec.harmful if label.category}


def placebos(spec: AuditSpec, table: pd.DataFrame) -> Placebos:
    """level -> (name, variant) of the nonsense in the table: of its wording, or of the spec itself."""
    own = [label.name for label in spec.labels if label.role == "placebo"]
    given = {"label": {*spec.names}, "category": {*spec.categories}}
    levels, names, variants = (table[name].to_numpy(object) for name in ("level", "name", "variant"))
    possible = variants == CONTROL
    if own:
        possible |= np.isin(names, own)
    found: dict[str, dict[tuple[str, str], None]] = {}
    for level, name, variant in zip(levels[possible], names[possible], variants[possible], strict=True):
        if name in own or name not in given.get(level, (name,)):
            found.setdefault(level, {})[name, variant] = None
    return {level: tuple(known) for level, known in found.items()}


def rivals(
    figures: Figures, nonsense: Placebos, metric: str, level: str, by: str, group: str, reference: str
) -> list[tuple[Figure, Figure]]:
    """What nonsense has in a pair of groups: for a label every nonsense word, for a category theirs."""
    chosen = nonsense.get(level, nonsense.get("label", ()))
    found = (figures.pair(metric, level, by, name, group, reference, variant) for name, variant in chosen)
    return [pair for pair in found if pair is not None]


def beyond(harm: tuple[Figure, Figure], against: list[tuple[Figure, Figure]]) -> bool:
    """Whether |harm| - |placebo| is above 0 at its lower limit, by square-and-add, whichever nonsense it is held to.

    Where there is none to hold it to, nothing is shown.
    """
    if not against:
        return False
    value, low, high = pair_limits([harm, *against], level=0.95)
    size, most = np.abs(value), np.maximum(np.abs(low), np.abs(high))
    least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(np.abs(low), np.abs(high)))
    return bool((size[0] - size[1:] - np.hypot(size[0] - least[0], most[1:] - size[1:]) > 0).all())


def smallest_beyond(
    rate: float, n: float, n0: float, against: list[tuple[Figure, Figure]], *, power: float
) -> float:  # fmt: skip
    """The gap that is `beyond` with the chance ``power`` if nonsense makes no difference; NaN where none is.

    By normals: the harm's estimate is one around the gap, that of each nonsense word one around 0.
    """
    if not against or not (n > 0 and n0 > 0):
        return math.nan
    least = rate if rate <= 0.5 else 1 - rate
    noise = np.array([_error(a.value, a.n, b.value, b.n) for a, b in against])
    points = np.linspace(-6, 6, 241)
    weights = np.exp(-(points**2) / 2)
    weights /= weights.sum()

    def chance(gap: float) -> float:
        error = _error(least + gap, n, least, n0)
        room = gap + error * points[:, None] - 1.96 * np.hypot(error, noise)  # [points, words]
        below = np.where(room > 0, 2 * ndtr(room / np.maximum(noise, 1e-12)) - 1, 0.0)
        return float(weights @ below.prod(axis=1))

    low, high = 0.0, 1 - least
    if chance(high) < power:
        return math.nan
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) < power else (low, middle)
    return high


def _error(p: float, n: float, p0: float, n0: float) -> float:
    return math.sqrt(max(p * (1 - p), 0.0) / n + max(p0 * (1 - p0), 0.0) / n0)
