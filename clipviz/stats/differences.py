"""The difference of two shares with its limits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .counts import Floats, checked_level, counts, numbers, one_of
from .shares import beta_limits, wilson_limits

METHODS = ("square-and-add", "newcombe", "miettinen-nurminen")


def combined_limits(
    value: ArrayLike, low: ArrayLike, high: ArrayLike, value0: ArrayLike, low0: ArrayLike, high0: ArrayLike
) -> tuple[Floats, Floats]:
    """The limits of ``value - value0`` from the limits of each, which are independent: square and add.

    Each side takes the distance of the limits that lie on it: below, how far ``value`` may fall and ``value0`` rise
    (Newcombe 1998, doi 10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I; Zou and Donner 2008 call it
    MOVER). All broadcast; for shares of clusters, standardised rates and whatever has limits. Raises InputError.

    >>> [round(float(limit), 3) for limit in combined_limits(0.5, 0.4, 0.6, 0.2, 0.15, 0.26)]
    [0.183, 0.412]
    """
    a, l, u, b, l0, u0 = numbers(value=value, low=low, high=high, value0=value0, low0=low0, high0=high0)
    return square_and_add(a, l, u, b, l0, u0)


def square_and_add(a: Floats, l: Floats, u: Floats, b: Floats, l0: Floats, u0: Floats) -> tuple[Floats, Floats]:
    """`combined_limits`, unchecked, of arrays that broadcast."""
    return a - b - np.hypot(a - l, u0 - b), a - b + np.hypot(u - a, b - l0)


def difference_limits(
    hits: ArrayLike, n: ArrayLike, hits0: ArrayLike, n0: ArrayLike, *, level: float = 0.95,
    method: str = "square-and-add",
) -> tuple[Floats, Floats]:  # fmt: skip
    """The limits of the difference ``hits`` / ``n`` - ``hits0`` / ``n0``, all broadcast; NaN where an n is 0.

    ``method``: "square-and-add" from Clopper and Pearson's limits (covers at least 94.5 % at 95 %, see
    docs/audit_statistics.md); "newcombe", the same from Wilson's limits; "miettinen-nurminen", the score interval with
    their N / (N - 1) (1985, doi 10.1002/sim.4780040211). Raises InputError.

    >>> [round(float(limit), 3) for limit in difference_limits(15, 100, 5, 100)]
    [0.011, 0.192]
    """
    one_of(method, METHODS, "method")
    tail = (1 - checked_level(level)) / 2
    k, m = counts(hits, n)
    k0, m0 = counts(hits0, n0, of="hits0", out_of="n0")
    k, m, k0, m0 = numbers(hits=k, n=m, hits0=k0, n0=m0)
    if method == "miettinen-nurminen":
        return _score_limits(k, m, k0, m0, tail)
    limits = beta_limits if method == "square-and-add" else wilson_limits
    with np.errstate(invalid="ignore"):
        return square_and_add(k / m, *limits(k, m, tail), k0 / m0, *limits(k0, m0, tail))


def _score_limits(k: Floats, n: Floats, k0: Floats, n0: Floats, tail: float) -> tuple[Floats, Floats]:
    z, d = -special.ndtri(tail), k / n - k0 / n0

    def reach(gap: Floats) -> Floats:
        return z * np.sqrt(score_variance(gap, k, n, k0, n0))

    low = bisected(lambda gap: d - gap - reach(gap) > 0, np.full(d.shape, -1.0), d)
    high = bisected(lambda gap: d - gap + reach(gap) > 0, d, np.ones(d.shape))
    lost = np.isnan(d)
    return np.where(lost, np.nan, low), np.where(lost, np.nan, high)


def score_variance(gap: Floats, k: Floats, n: Floats, k0: Floats, n0: Floats) -> Floats:
    """The variance of the difference at the likeliest rates that differ by ``gap``, with N / (N - 1).

    Those rates solve a cubic, whose middle root is taken by the cosine (Miettinen and Nurminen's appendix).
    """
    both, c = n + n0, k + k0
    l2 = (n + 2 * n0) * gap - both - c
    l1 = (n0 * gap - both - 2 * k0) * gap + c
    l0 = k0 * gap * (1 - gap)
    shift = l2 / (3 * both)
    q = shift**3 - l1 * l2 / (6 * both**2) + l0 / (2 * both)
    size = np.sqrt(np.maximum(shift**2 - l1 / (3 * both), 0))
    p = np.where(q >= 0, size, -size)
    cosine = np.clip(q / np.where(p == 0, 1, p) ** 3, -1, 1)
    rate0 = np.clip(2 * p * np.cos((np.pi + np.arccos(cosine)) / 3) - shift, 0, 1)
    rate = np.clip(rate0 + gap, 0, 1)
    return (rate * (1 - rate) / n + rate0 * (1 - rate0) / n0) * both / (both - 1)


def bisected(below: Callable[[Floats], np.ndarray], low: Floats, high: Floats, steps: int = 52) -> Floats:
    """Where ``below`` turns from true to false between ``low`` and ``high``, for all cells at once."""
    low, high = low.astype(np.float64, copy=True), high.astype(np.float64, copy=True)
    for _ in range(steps):
        middle = (low + high) / 2
        more = below(middle)
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return (low + high) / 2
