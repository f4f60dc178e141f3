"""Worlds whose rates are known: groups of given sizes, and what their pictures are given, drawn from planted rates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .claims import REST
from .formats import base_of
from .labels import categories_of, names_of
from .table import claims_in, rows
from .tally import WRITTEN, Tally
from .wordings import wordings

if TYPE_CHECKING:
    import pandas as pd

    from .labels import Label
    from .spec import AuditSpec
    from .verdicts import Verdict

# Rates of what is no label's share, where nothing is known; and the deviation of means, as a share of the largest.
_RATES = {"accuracy": 0.8, "false_positive_rate": 0.05, "false_negative_rate": 0.2, "above_threshold": 0.05}
_HIGH, _NEAR_ONE, _NEAR_ZERO, _APART = 0.05, 0.8, 0.005, 0.12  # probabilities: how many are high, and where they lie
_MEANS = {"mean_probability": _HIGH * _NEAR_ONE + (1 - _HIGH) * _NEAR_ZERO, "balanced_accuracy": 0.5}
_CONTROLLED = ("share", "mean_probability", "above_threshold")

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Sizes = dict[str, tuple[tuple[str, ...], Counts]]


class Planted(NamedTuple):
    """A gap in one claim: some groups of ``by`` are given its ``label`` more often, by ``gap``, in place of ``donors``.

    ``name`` is that of the label itself, or of its category.
    """

    metric: str
    level: str
    name: str
    by: str
    group: str
    reference: str
    gap: float
    label: str
    donors: tuple[str, ...]

    def met(self, one: Verdict) -> bool:
        """Whether a verdict is on this gap."""
        same = (one.metric, one.level, one.name, one.by) == (self.metric, self.level, self.name, self.by)
        return same and (self.reference == "" or one.group == self.group)


@dataclass(frozen=True, eq=False)
class Block:
    """People who are drawn together: ``n`` [C] of each cell, and the group of every cell, {grouping: [C]}."""

    n: Counts
    codes: dict[str, Counts]


@dataclass(frozen=True, eq=False)
class World:
    """Groups of known sizes and the rates of the labels in them: all alike, but for what is planted."""

    spec: AuditSpec
    sizes: Sizes
    blocks: tuple[Block, ...]
    labels: tuple[str, ...]
    rates: Floats
    planting: Planted | None = None
    apart: int = 0

    def planted(self, what: Planted, *, apart: int) -> World:
        """The same world with a gap between ``apart`` groups and the others."""
        return dataclasses.replace(self, planting=what, apart=apart)

    def taken_from(self, level: str, name: str, gap: float) -> tuple[str, tuple[str, ...]] | None:
        """A label of this name or category, and as few harmless ones as can give it ``gap``, of other categories first.

        None where they cannot.
        """
        for part, start in self._parts:
            own = [label for label in part.labels if name == (label.name if level == "label" else label.category)]
            rates = dict(zip(names_of(part.labels), self.rates[start:].tolist(), strict=False))
            others = [label for label in part.labels if own and label not in own and label.role != "harmful"]
            others.sort(key=lambda label: (label.category == own[0].category != "", -rates[label.name]))
            enough = np.cumsum([rates[label.name] for label in others]) > gap * 1.01
            if enough.any() and sum(rates[label.name] for label in own) + gap < 0.95:
                return own[0].name, tuple(label.name for label in others[: int(enough.argmax()) + 1])
        return None

    def reports(self, rng: np.random.Generator) -> Iterator[tuple[AuditSpec, list[Tally]]]:
        """The counts of one audit of this world, a set of labels at a time."""
        for (part, start), (control, control_rates) in zip(self._parts, self._controls, strict=True):
            found: list[Tally] = []
            members = _members(part.labels)
            names = _names(part.labels)
            for block in self.blocks:
                shares = self._cells(block)[:, start : start + len(part.labels)]
                found += self._tallies(rng, block, shares, members, names, part, WRITTEN, False)
                if control:
                    even = np.broadcast_to(control_rates, (len(block.n), len(control)))
                    found += self._tallies(rng, block, even, _members(control), _names(control), part, "placebo", True)
            yield part, found

    def table(self, rng: np.random.Generator) -> pd.DataFrame:
        """The table of one audit of this world, by the audit's own code."""
        import pandas as pd

        drawn = list(self.reports(rng))
        tests = sum(claims_in(part, tallies) for part, tallies in drawn)
        tables = [rows(part, tallies, tests=tests) for part, tallies in drawn]
        return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)

    def truth(self, metric: str, level: str, by: str, name: str, group: str, reference: str) -> float:
        """The true value of a row of the table; NaN for what is not planted."""
        base = base_of(metric)
        if base != "share":
            return _nothing(metric) if metric != base else math.nan
        groups, n = self.sizes[by]
        rates = self._true.get((by, level, name))
        if rates is None:
            return math.nan
        if metric == "share_gap":
            return float(rates[n > 0].max() - rates[n > 0].min())
        if group not in groups:
            return math.nan
        a = groups.index(group)
        if metric == base:
            return float(rates[a])
        if reference == REST:
            others = np.arange(len(groups)) != a
            b = float(rates[others] @ n[others] / max(n[others].sum(), 1))
        elif reference in groups:
            b = float(rates[groups.index(reference)])
        else:
            return math.nan
        if metric == "share_difference":
            return float(rates[a]) - b if abs(float(rates[a]) - b) > 1e-12 else 0.0
        return float(rates[a]) / b if metric == "share_ratio" and b > 0 else math.nan

    def truths(self, table: pd.DataFrame) -> Floats:
        """The true value of every row."""
        columns = ("metric", "level", "by", "name", "group", "reference")
        known = self._known
        found = []
        for row in zip(*(table[name].to_numpy(object).tolist() for name in columns), strict=True):
            if row not in known:
                known[row] = self.truth(*row)
            found.append(known[row])
        return np.array(found, np.float64)

    @cached_property
    def _known(self) -> dict[tuple[str, ...], float]:
        """The true values that were asked for, by row: the same in every draw."""
        return {}

    @cached_property
    def _parts(self) -> tuple[tuple[AuditSpec, int], ...]:
        """The sets of labels, and where each begins."""
        parts = self.spec.parts()
        starts = np.cumsum([0, *(len(part.labels) for part in parts)]).tolist()
        return tuple(zip(parts, starts, strict=False))

    @cached_property
    def _controls(self) -> tuple[tuple[tuple[Label, ...], Floats], ...]:
        """For each part the labels of its placebo wording, with rates: nonsense is given what harm was given."""
        found = []
        for part, start in self._parts:
            control = next((one for one in wordings(part) if one.kind == "placebo"), None)
            own = dict(zip(names_of(part.labels), self.rates[start : start + len(part.labels)].tolist(), strict=True))
            labels = control.labels if control else ()
            missing = [label.name for label in labels if label.name not in own]
            left = 1 - sum(own.get(label.name, 0.0) for label in labels)
            rates = np.array([own.get(label.name, left / max(1, len(missing))) for label in labels])
            found.append((labels, rates / rates.sum() if len(rates) else rates))
        return tuple(found)

    @cached_property
    def _true(self) -> dict[tuple[str, str, str], Floats]:
        """(by, level, name) -> the true share of each group."""
        found: dict[tuple[str, str, str], Floats] = {}
        for part, start in self._parts:
            for block in self.blocks:
                cells = self._cells(block)[:, start : start + len(part.labels)] @ _members(part.labels).T
                for by, codes in block.codes.items():
                    size = len(self.sizes[by][0])
                    n = np.maximum(np.bincount(codes, block.n, minlength=size), 1e-300)
                    for k, (level, name) in enumerate(_names(part.labels)):
                        found[by, level, name] = np.bincount(codes, block.n * cells[:, k], minlength=size) / n
        return found

    def _cells(self, block: Block) -> Floats:
        """The rates of all labels in every cell, [C, L]."""
        shares = np.tile(self.rates, (len(block.n), 1))
        what = self.planting
        if what is None or what.by not in block.codes:
            return shares
        groups = self.sizes[what.by][0]
        free = [g for g, name in enumerate(groups) if name != what.reference]
        first = free.index(groups.index(what.group))
        chosen = [free[(first + i) % len(free)] for i in range(self.apart)]
        moved = np.isin(block.codes[what.by], chosen)
        shares[moved, self.labels.index(what.label)] += what.gap
        given = np.isin(np.array(self.labels, object), what.donors)
        shares[np.ix_(moved, given)] *= 1 - what.gap / self.rates[given].sum()
        return shares

    def _tallies(
        self, rng: np.random.Generator, block: Block, shares: Floats, members: Floats,
        names: Sequence[tuple[str, str]], part: AuditSpec, wording: str, control: bool,
    ) -> Iterator[Tally]:  # fmt: skip
        """One tally a metric and grouping, of the people of one block."""
        given = rng.multinomial(block.n, np.maximum(shares, 0) / shares.sum(axis=1, keepdims=True))  # [C, L]
        for by, codes in block.codes.items():
            groups, n = self.sizes[by]
            one = np.arange(len(groups))[:, None] == codes  # [G, C]
            hits = np.rint(members @ (one.astype(np.float64) @ given).T).astype(np.int64)
            for metric, threshold in _metrics(part):
                about = (wording, by, groups)
                if control and metric not in _CONTROLLED:
                    continue
                if metric == "share":
                    yield Tally(*about, *_split(names), hits, n, control=control)
                    continue
                asked = names if control else _asked(part, metric)
                levels = _split(asked)
                if metric in _RATES:
                    counted = rng.binomial(n, _RATES[metric], size=(len(asked), len(groups)))
                    yield Tally(*about, *levels, counted, n, metric, control=control, threshold=threshold)
                elif len(asked):
                    yield _means(rng, about, levels, n, metric, control)


def _names(labels: Sequence[Label]) -> list[tuple[str, str]]:
    return [*(("label", name) for name in names_of(labels)), *(("category", name) for name in categories_of(labels))]


def _split(names: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(name for _, name in names), tuple(level for level, _ in names)


def _members(labels: Sequence[Label]) -> Floats:
    """Which labels every name holds, [K, L]."""
    rows = [[label.category == one for label in labels] for one in categories_of(labels)]
    return np.concatenate([np.eye(len(labels)), np.array(rows, np.float64).reshape(-1, len(labels))])


def _metrics(spec: AuditSpec) -> list[tuple[str, float | None]]:
    known = ("share", "margin", *_RATES, *_MEANS)
    return list(dict.fromkeys((one.metric, one.threshold) for one in spec.metrics if one.metric in known))


def _asked(spec: AuditSpec, metric: str) -> list[tuple[str, str]]:
    return list(dict.fromkeys(pair for one in spec.metrics if one.metric == metric for pair in spec.of(one)))


def _means(
    rng: np.random.Generator, about: tuple[str, str, tuple[str, ...]], levels: tuple[tuple[str, ...], tuple[str, ...]],
    n: Counts, metric: str, control: bool,
) -> Tally:  # fmt: skip
    """Means and variances of a known mean, alike in all groups: of a normal, and of probabilities that are seldom high.

    A small group may show none of the high ones, and is where limits that trust its own variance fail.
    """
    if metric == "mean_probability":
        return _probabilities(rng, about, levels, n, control)
    mean = _MEANS.get(metric, 0.0)
    shape = (len(levels[0]), len(n))
    size = np.maximum(n, 2)
    means = rng.normal(mean, 0.2 / np.sqrt(size), shape)
    variances = 0.04 * rng.chisquare(size - 1, shape) / (size - 1)
    means, variances = (np.where(n > 1, values, np.nan) for values in (means, variances))
    nothing: Any = np.zeros(shape, np.int64)
    return Tally(*about, *levels, nothing, n, metric, means, variances, control=control)


def _probabilities(
    rng: np.random.Generator, about: tuple[str, str, tuple[str, ...]], levels: tuple[tuple[str, ...], tuple[str, ...]],
    n: Counts, control: bool,
) -> Tally:  # fmt: skip
    shape = (len(levels[0]), len(n))
    high, size = rng.binomial(n, _HIGH, shape), np.maximum(n, 1)
    means = (_NEAR_ONE * high + _NEAR_ZERO * (n - high) + _APART * rng.normal(0, np.sqrt(high))) / size
    squares = ((_NEAR_ONE**2 + _APART**2) * high + 2 * _NEAR_ZERO**2 * (n - high)) / size
    variances = np.maximum(squares - means**2, _NEAR_ZERO**2) * size / np.maximum(n - 1, 1)
    means, variances = (np.where(n > 1, values, np.nan) for values in (means, variances))
    nothing: Any = np.zeros(shape, np.int64)
    return Tally(*about, *levels, nothing, n, "mean_probability", means, variances, control=control)


def _nothing(metric: str) -> float:
    """What is not planted is alike in all groups: differences and gaps of 0, ratios of 1."""
    return 1.0 if metric.endswith("_ratio") else 0.0 if metric.endswith(("_difference", "_gap")) else math.nan
