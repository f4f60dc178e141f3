"""What a table needs of figures, however they come about: counted, counted by persons, or averaged.

A figure is of K names in G groups. Groups are told by their places; ``None`` for a reference is the rest, all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .tally import Counts, Floats, Tally


@dataclass(frozen=True, eq=False)
class Compared:
    """Values with limits, [K, J] each, for J groups."""

    value: Floats
    low: Floats
    high: Floats
    method: Any  # a text, or one for each


@dataclass(frozen=True, eq=False)
class Extremes:
    """Values with simultaneous limits, and which groups they are of: [K] each. -1 where there is none."""

    value: Floats
    low: Floats
    high: Floats
    group: Counts
    reference: Counts
    method: Any  # a text, or one for each


@dataclass(frozen=True, eq=False)
class Tested:
    """p-values [...], and how each was found [...]."""

    p: Floats
    method: Any


class Figures(Protocol):
    """Values of K names in G groups: ``value``, ``n`` and ``k`` [K, G] (``k`` NaN where nothing is counted)."""

    @property
    def value(self) -> Floats:
        """The figures."""

    @property
    def n(self) -> Floats:
        """How many pictures (or of means over persons: persons) each is of."""

    @property
    def k(self) -> Floats:
        """How many of them count."""

    def limits(self) -> Compared:
        """Each value with its limits."""

    def differences(self, groups: Sequence[int], reference: int | None) -> Compared:
        """Of each of the groups minus the reference."""

    def ratios(self, groups: Sequence[int], reference: int | None) -> Compared | None:
        """Of each of the groups over the reference; None where a ratio has no meaning."""

    def gap(self) -> Extremes:
        """The highest minus the lowest."""

    def worst(self, low_is_worst: bool) -> Extremes:
        """The worst group's value."""

    def against_best(self, low_is_worst: bool) -> Compared:
        """Each group minus the best of the others."""

    def pair_test(self, groups: Sequence[int], reference: int | None, draws: int, seed: int) -> Tested:
        """p [K, J] of each difference."""

    def group_test(self, draws: int, seed: int) -> Tested:
        """p [K] of all groups being alike."""


def figures_of(tally: Tally, chosen: Sequence[int], level: float = 0.95) -> Figures:
    """The names of a tally at the places ``chosen``, as what they are."""
    if tally.persons is not None:
        from .clustered import Clustered

        return Clustered.of(tally, chosen, level)
    if tally.means is not None:
        from .averaged import Averaged

        return Averaged.of(tally, chosen, level)
    from .counted import Counted

    return Counted.of(tally, chosen, level)
