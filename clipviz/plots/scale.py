"""From a signed value to a colour and an opacity.

Warm colours speak for the text, cool ones against it, and zero is transparent, so that the picture stays visible where
nothing is said. Blue against orange and red keeps its meaning for colour-blind readers. A map of one sign uses its own
half of the same colours: a warm place means the same in every figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipviz.errors import InputError

Limits: TypeAlias = float | tuple[float, float] | None
FloatArray: TypeAlias = NDArray[np.float32]

# From faint to strong: strong is bright, so that it shows on dark and on colourful pictures alike, as a glow does.
_WARM = ((200, 30, 80), (250, 70, 40), (255, 150, 20), (255, 225, 60))
_COOL = ((50, 50, 190), (30, 110, 250), (20, 180, 250), (80, 222, 255))
_STEPS = 256
_SOFT = 0.75  # opacity grows as |value| ** 0.75: half the limit is plainly seen, a tenth is a hint


@dataclass(frozen=True)
class Scale:
    """The values that a colour bar spans; ``low <= 0 <= high``, and symmetric about zero where both signs occur.

    ``constant`` tells that a map has one value everywhere; ``over`` and ``under`` that values lie beyond the limits.

    >>> scale_of([[-0.1, 0.5]]).low
    -0.5
    """

    low: float
    high: float
    constant: bool = False
    under: bool = False
    over: bool = False

    @property
    def kind(self) -> Literal["diverging", "positive", "negative"]:
        """Which colours are in use."""
        if self.low < 0 < self.high:
            return "diverging"
        return "negative" if self.low < 0 else "positive"

    @property
    def reach(self) -> float:
        """The magnitude of the strongest colour."""
        return max(-self.low, self.high)


def scale_of(values: ArrayLike, limits: Limits = None) -> Scale:
    """The scale of one map.

    Parameters
    ----------
    values : array of any shape; NaN where nothing was seen.
    limits : None for the largest magnitude in ``values``; a number L for -L to L; a pair (low, high) around zero. A
        pair that spans zero is widened to be symmetric, so that equal colours stay equal magnitudes.

    Raises
    ------
    InputError : infinite values, limits that leave zero out or are not finite.

    >>> scale_of([[0.0, 0.4]]).kind
    'positive'
    """
    array = np.asarray(values, dtype=np.float32)
    if np.isinf(array).any():
        raise InputError(
            "A map to draw holds infinite values; finite numbers are allowed, and NaN where nothing was seen."
        )
    seen = array[~np.isnan(array)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    constant = high - low <= 1e-6 * max(-low, high)
    if limits is None:
        reach = max(-low, high)
        # Rounding noise of the resampling is not a second sign.
        floor, ceiling = (low if low < -1e-6 * reach else 0.0), (high if high > 1e-6 * reach else 0.0)
    else:
        floor, ceiling = _pair(limits)
    if floor < 0 < ceiling:
        floor, ceiling = -max(-floor, ceiling), max(-floor, ceiling)
    slack = 1e-6 * max(-floor, ceiling)
    return Scale(floor, ceiling, constant, under=low < floor - slack, over=high > ceiling + slack)


def shared_scale(maps: Iterable[ArrayLike]) -> Scale:
    """One scale that fits every map.

    >>> shared_scale([[[0.1]], [[-0.5]]]).high
    0.5
    """
    scales = [scale_of(values) for values in maps]
    low = min((s.low for s in scales), default=0.0)
    high = max((s.high for s in scales), default=0.0)
    reach = max(-low, high)
    return Scale(-reach, reach) if low < 0 < high else Scale(low, high)


def steps(scale: Scale, values: FloatArray) -> NDArray[np.intp]:
    """Where ``values`` [...] lie in the tables `COLOURS` and `OPACITY`; zero and NaN lie in the middle."""
    if scale.reach == 0:
        return np.full(values.shape, _STEPS - 1, np.intp)
    place = np.nan_to_num(values, nan=0.0)
    np.clip(place, scale.low, scale.high, out=place)
    place *= np.float32((_STEPS - 1) / scale.reach)
    np.rint(place, out=place)
    return place.astype(np.intp) + (_STEPS - 1)


def _pair(limits: float | tuple[float, float]) -> tuple[float, float]:
    message = (
        f"limits={limits!r} cannot be used; give one positive number L for -L to L, or a pair (low, high) with"
        " low <= 0 <= high and low < high."
    )
    try:
        low, high = (-float(limits), float(limits)) if isinstance(limits, int | float) else map(float, limits)
    except (TypeError, ValueError):
        raise InputError(message) from None
    if not (math.isfinite(low) and math.isfinite(high) and low <= 0 <= high and low < high):
        raise InputError(message)
    return low, high


def _table() -> FloatArray:
    ramp = np.linspace(0, 1, _STEPS)

    def half(anchors: tuple[tuple[int, int, int], ...]) -> NDArray[np.float64]:
        at = np.linspace(0, 1, len(anchors))
        return np.stack([np.interp(ramp, at, [a[c] for a in anchors]) for c in range(3)], axis=-1)

    return np.concatenate([half(_COOL)[:0:-1], half(_WARM)]).astype(np.float32)  # [511, 3]


COLOURS = _table()  # [511, 3] from 0 to 255
OPACITY = (np.abs(np.linspace(-1, 1, 2 * _STEPS - 1)) ** _SOFT).astype(np.float32)
