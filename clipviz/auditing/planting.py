"""Worlds whose rates are known: groups of given sizes, and what their pictures are given, drawn from planted rates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest
from .claims import REST
from .formats import base_of
from .labels import categories_of, names_of
from .tally import WRITTEN, Tally
from .wordings import wordings

if TYPE_CHECKING:
    import pandas as pd

    from .labels import Label
    from .result import Audit
    from .spec import AuditSpec
    from .verdicts import Verdict

CROSS = " x "
HARM = 0.02  # the share of a harmful label where no rates are known; together at most a fifth
# Rates of what is no label's share, where nothing is known; and the deviation of means, as a share of the largest.
_RATES = {"accuracy": 0.8, "false_positive_rate": 0.05, "false_negative_rate": 0.2, "above_threshold": 0.05}
_MEANS = {"mean_probability": 0.5, "balanced_accuracy": 0.5}
_CONTROLLED = ("share", "mean_probability", "above_threshold")

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Sizes = dict[str, tuple[tuple[str, ...], Counts]]


class Planted(NamedTuple):
    """A gap: label ``name`` is given ``gap`` more often to some groups of ``by``, at the cost of ``donor``."""

    metric: str
    name: str
    by: str
    group: str
    reference: str
    gap: float
    donor: str

    def met(self, one: Verdict) -> bool:
        """Whether a verdict is on this gap."""
        same = (one.metric, one.level, one.name, one.by) == (self.metric, "label", self.name, self.by)
        return same and (self.reference == "" or one.group == self.group)


@dataclass(frozen=True, eq=False)
class _Block:
    """People who are drawn together: ``n`` [C] of each cell, and the group of every cell, {grouping: [C]}."""

    n: Counts
    codes: dict[str, Counts]


@dataclass(frozen=True, eq=False)
class World:
    """Groups of known sizes and the rates of the labels in them: all alike, but for what is planted."""

    spec: AuditSpec
    sizes: Sizes
    blocks: tuple[_Block, ...]
    labels: tuple[str, ...]
    rates: Floats
    planting: Planted | None = None
    apart: int = 0

    def planted(self, what: Planted, *, apart: int) -> World:
        """The same world with a gap between ``apart`` groups and the others."""
        return dataclasses.replace(self, planting=what, apart=apart)

    def donor(self, name: str, gap: float) -> str:
        """The commonest harmless label of another category that can give ``gap`` to ``name``; "" where none can."""
        part, start = next((p, s) for p, s in self._parts if name in names_of(p.labels))
        own = next(label for label in part.labels if label.name == name)
        if self.rates[self.labels.index(name)] + gap > 0.95:
            return ""
        rooms = [
            (not (label.category and label.category == own.category), float(self.rates[start + i]), label.name)
            for i, label in enumerate(part.labels)
            if label.name != name and label.role != "harmful" and self.rates[start + i] > gap * 1.01
        ]
        return max(rooms)[2] if rooms else ""

    def draw(self, rng: np.random.Generator) -> list[Tally]:
        """The counts of one audit of this world."""
        found: list[Tally] = []
        for (part, start), (control, control_rates) in zip(self._parts, self._controls, strict=True):
            members = _members(part.labels)
            names = _names(part.labels)
            for block in self.blocks:
                shares = self._cells(block)[:, start : start + len(part.labels)]
                found += self._tallies(rng, block, shares, members, names, part, WRITTEN, False)
                if control:
                    even = np.broadcast_to(control_rates, (len(block.n), len(control)))
                    found += self._tallies(rng, block, even, _members(control), _names(control), part, "placebo", True)
        return found

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

    def _cells(self, block: _Block) -> Floats:
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
        shares[moved, self.labels.index(what.name)] += what.gap
        shares[moved, self.labels.index(what.donor)] -= what.gap
        return shares

    def _tallies(
        self, rng: np.random.Generator, block: _Block, shares: Floats, members: Floats,
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


def worlds(
    spec: AuditSpec, sizes: Mapping[str, Mapping[str, int]] | Audit, rates: Mapping[str, float] | None
) -> tuple[World, tuple[str, ...]]:
    """The world without a difference, and what of the audit it leaves out. Raises InputError."""
    known: Mapping[str, float] | None = rates
    if not isinstance(sizes, Mapping):
        known = pooled(sizes.table) if rates is None else rates
        sizes = sizes_of(sizes.table)
    ordered: Sizes = {
        by: (tuple(groups), np.array(list(groups.values()), np.int64))
        for by, groups in sizes.items()
        if len(groups) > 1
    }
    if not ordered or any((n < 0).any() or not n.any() for _, n in ordered.values()):
        raise InputError('sizes has no grouping of two groups: pass such as {"gender": {"Female": 500, "Male": 500}}.')
    labels = tuple(label.name for part in spec.parts() for label in part.labels)
    ours = _rates(spec, known or {})
    left = tuple(dict.fromkeys(one.metric for one in spec.metrics if one.metric in ("skew", "association")))
    return World(spec, ordered, tuple(_blocks(ordered)), labels, ours), left


def sizes_of(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """{grouping: {group: pictures}} of an audit's table."""
    written = table[(table["variant"] == WRITTEN) & (table["reference"] == "")]
    found: dict[str, dict[str, int]] = {}
    for by, group, n in zip(written["by"], written["group"], written["n"], strict=True):
        groups = found.setdefault(str(by), {})
        groups[str(group)] = max(groups.get(str(group), 0), int(n))
    return found


def pooled(table: pd.DataFrame) -> dict[str, float]:
    """The share of every label over all groups of an audit's table."""
    part = table[(table["variant"] == WRITTEN) & (table["metric"] == "share") & (table["level"] == "label")]
    sums = part.groupby("name", sort=False)[["k", "n"]].sum()
    return {str(name): float(k / n) for name, k, n in zip(sums.index, sums["k"], sums["n"], strict=True) if n > 0}


def _rates(spec: AuditSpec, known: Mapping[str, float]) -> Floats:
    """Shares of every label, 1 in each set."""
    names = set(spec.names)
    for name, rate in known.items():
        if name not in names:
            raise InputError(f"rates names {name!r}, which is no label. {nearest(str(name), names)}")
        if not 0 <= rate <= 1:
            raise InputError(f"rates has {rate!r} for {name!r}: give shares from 0 to 1.")
    found: list[float] = []
    for part in spec.parts():
        harm = min(HARM, 0.2 / max(1, len(part.harmful)))
        own = [
            known.get(label.name, harm if not known and label.role == "harmful" else math.nan) for label in part.labels
        ]
        given, open_ = sum(r for r in own if r == r), sum(r != r for r in own)
        if given > 1 + 1e-9 or (open_ == 0 and given <= 0):
            raise InputError(f"The rates of one set of labels sum to {given:.4g}: give shares that sum to 1 at most.")
        scale = 1.0 if open_ else 1 / given
        found += [r * scale if r == r else max(0.0, 1 - given) / open_ for r in own]
    return np.array(found)


def _blocks(sizes: Sizes) -> Iterator[_Block]:
    """Crossings are drawn cell by cell, and make up the groups of the columns that they cross; others stand alone."""
    left = dict(sizes)
    for by in sorted(sizes, key=lambda name: -name.count(CROSS)):
        if by not in left:
            continue
        groups, n = left.pop(by)
        codes = {by: np.arange(len(groups))}
        for other in [name for name in left if set(name.split(CROSS)) < set(by.split(CROSS))]:
            places = [by.split(CROSS).index(column) for column in other.split(CROSS)]
            cut = [group.split(CROSS) for group in groups]
            if any(len(parts) != by.count(CROSS) + 1 for parts in cut):
                continue  # a group's own name holds the sign of a crossing
            names = [CROSS.join(parts[place] for place in places) for parts in cut]
            known = left[other]
            if set(names) <= set(known[0]):
                own = np.array([known[0].index(name) for name in names])
                if (np.bincount(own, n, minlength=len(known[0])) == known[1]).all():
                    codes[other] = own
                    left.pop(other)
        yield _Block(n, codes)


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
    """Means and variances of a normal of known mean, alike in all groups."""
    mean = _MEANS.get(metric, 0.0)
    shape = (len(levels[0]), len(n))
    size = np.maximum(n, 2)
    means = rng.normal(mean, 0.2 / np.sqrt(size), shape)
    variances = 0.04 * rng.chisquare(size - 1, shape) / (size - 1)
    means, variances = (np.where(n > 1, values, np.nan) for values in (means, variances))
    nothing: Any = np.zeros(shape, np.int64)
    return Tally(*about, *levels, nothing, n, metric, means, variances, control=control)


def _nothing(metric: str) -> float:
    """What is not planted is alike in all groups: differences and gaps of 0, ratios of 1."""
    return 1.0 if metric.endswith("_ratio") else 0.0 if metric.endswith(("_difference", "_gap")) else math.nan
