"""Scores as probabilities of being right: fitted on dev, and how far they can be trusted elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, nearest
from ...stats import exact_limits

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("isotonic", "platt")
BINS = 10
_BOXES = ("from", "to", "n", "predicted", "right", "low", "high")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A rising map from score to the probability that a box is right, ``calibration(scores)`` -> [n].

    "isotonic": ``scores`` and ``shares`` are the corners of a line, constant beyond its ends (Zadrozny and Elkan 2002,
    doi 10.1145/775047.775151). "platt": ``shares`` are slope and intercept of a logistic curve (Platt 1999). ``n``
    boxes of dev were fitted.
    """

    method: str
    scores: tuple[float, ...]
    shares: tuple[float, ...]
    n: int

    def __call__(self, scores: ArrayLike) -> Floats:
        given = np.asarray(scores, np.float64)
        if self.method == "isotonic":
            return np.interp(given, self.scores, self.shares)
        from scipy.special import expit

        slope, intercept = self.shares
        found: Floats = expit(slope * given + intercept)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"method": self.method, "scores": list(self.scores), "shares": list(self.shares), "n": self.n}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """What ``to_dict`` wrote."""
        return cls(str(data["method"]), tuple(data["scores"]), tuple(data["shares"]), int(data["n"]))


def fit_calibration(scores: ArrayLike, right: ArrayLike, *, method: str = "isotonic") -> Calibration:
    """Fit ``scores`` [n] to whether each box is ``right`` [n] (`Matches.right`), on pictures for choices.

    By scikit-learn: isotonic regression, or with "platt" a logistic curve on Platt's smoothed targets. Raises
    InputError for fewer than two boxes, shapes that differ, and scores that are not finite.
    """
    given, hit = _pair(scores, right, "scores")
    if method not in METHODS:
        raise InputError(f"method={method!r} is not known. {nearest(str(method), METHODS)}")
    if len(given) < 2:
        raise InputError(
            f"{len(given)} boxes cannot be calibrated on: give more pictures of dev, or a lower threshold."
        )
    if method == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        line = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(given, hit)
        knots, shares = (tuple(map(float, part)) for part in (line.X_thresholds_, line.y_thresholds_))
        return Calibration(method, knots, shares, len(given))
    from sklearn.linear_model import LogisticRegression

    # Platt's targets: not 1 and 0 but a little inside, lest boxes that can be told apart make a step
    yes, no = hit.sum(), len(hit) - hit.sum()
    target = np.where(hit > 0, (yes + 1) / (yes + 2), 1 / (no + 2))
    centre, spread = given.mean(), given.std() or 1.0
    features = np.tile((given - centre) / spread, 2)[:, None]
    curve = LogisticRegression(C=np.inf, max_iter=1000).fit(
        features, np.repeat([1, 0], len(given)), sample_weight=np.concatenate([target, 1 - target])
    )
    slope = float(curve.coef_[0, 0]) / spread
    return Calibration(method, (), (slope, float(curve.intercept_[0]) - slope * centre), len(given))


def reliability_table(
    probability: ArrayLike, right: ArrayLike, *, bins: int = BINS, level: float = 0.95
) -> pd.DataFrame:
    """A row a bin of ``probability`` [n] in equal steps from 0 to 1: from, to, n, predicted, right, low, high.

    ``predicted`` and ``right`` are the means in the bin, NaN where it is empty; the limits are Clopper and Pearson's,
    of boxes taken for independent.
    """
    import pandas as pd

    given, hit = _shares(probability, right)
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise InputError(f"bins={bins!r} is no count: pass a whole number such as 10.")
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, given, side="right") - 1, 0, bins - 1)
    n = np.bincount(place, minlength=bins)
    means = [np.where(n > 0, np.bincount(place, weights=part, minlength=bins) / np.maximum(n, 1), np.nan)
             for part in (given, hit)]  # fmt: skip
    low, high = exact_limits(np.bincount(place, weights=hit, minlength=bins), n, level=level)
    columns = (edges[:-1], edges[1:], n, *means, low, high)
    return pd.DataFrame(dict(zip(_BOXES, columns, strict=True)))


def calibration_error(probability: ArrayLike, right: ArrayLike, *, bins: int = BINS) -> float:
    """ECE: how far, on average over boxes, the share that is right lies from the probability, bin by bin.

    Guo et al. 2017 (arXiv 1706.04599), ``bins`` of equal width. NaN without boxes.

    >>> calibration_error([0.8, 0.8, 0.8, 0.8], [1, 1, 1, 0])
    0.050000000000000044
    """
    if not np.size(probability):
        return float("nan")
    table = reliability_table(probability, right, bins=bins)
    apart = (table["predicted"] - table["right"]).abs().fillna(0).to_numpy()
    return float(apart @ table["n"].to_numpy() / table["n"].sum())


def _pair(scores: ArrayLike, right: ArrayLike, what: str) -> tuple[Floats, Floats]:
    given, hit = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    if given.ndim != 1 or given.shape != hit.shape:
        raise InputError(f"{what} and right are [n], one a box; got {list(given.shape)} and {list(hit.shape)}.")
    if not np.isfinite(given).all() or not np.isin(hit, (0, 1)).all():
        raise InputError(f"{what} must be finite, and right be True or False: leave other boxes out, and count them.")
    return given, hit


def _shares(probability: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    given, hit = _pair(probability, right, "probability")
    if given.size and not (given.min() >= 0 and given.max() <= 1):
        raise InputError(
            f"A probability lies from 0 to 1; got {given.min():.4g} to {given.max():.4g}: calibrate scores first, with "
            "fit_calibration on dev."
        )
    return given, hit
