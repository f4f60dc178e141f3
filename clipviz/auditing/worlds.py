"""From an audit's sizes and rates to a `World` that has them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, nearest
from .planting import Block, Floats, Sizes, World
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from .result import Audit
    from .spec import AuditSpec

CROSS = " x "  # between the columns of a crossing, and between their groups
HARM = 0.02  # the share of a harmful label where no rates are known; together at most a fifth


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
        groups[str(group)] = max(groups.get(str(group), 0), int(n) if n == n else 0)
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


def _blocks(sizes: Sizes) -> Iterator[Block]:
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
        yield Block(n, codes)
