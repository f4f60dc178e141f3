"""The gate: are the bounds of a spec kept? What continuous integration asks an audit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import SpecError, nearest
from .bounds import Bound, parse_bound
from .formats import base_of, figure, shown
from .tally import TOO_FEW, WRITTEN
from .verdicts import barred_names

if TYPE_CHECKING:
    import pandas as pd

    from .result import Audit

NOBODY: Mapping[tuple[str, str], str] = MappingProxyType({})


class BoundResult(NamedTuple):
    """One bound, the value that it was held against, and what came of it, in a sentence."""

    bound: Bound
    value: float
    broken: bool
    sentence: str
    applicable: bool


@dataclass(frozen=True)
class GateResult:
    """Every bound of the gate; ``broken`` decides the exit code."""

    bounds: tuple[BoundResult, ...]

    @property
    def broken(self) -> bool:
        """Whether any bound is broken."""
        return any(found.broken for found in self.bounds)

    @property
    def sentence(self) -> str:
        """The outcome in one line."""
        if not self.bounds:
            return "This spec has no gate: nothing was held against a bound."
        broken = sum(found.broken for found in self.bounds)
        idle = sum(not found.applicable for found in self.bounds)
        if len(self.bounds) == 1:
            return f"The bound is {'broken' if broken else 'not applicable' if idle else 'kept'}."
        told = f"{broken} of {len(self.bounds)} bounds broken" if broken else f"All {len(self.bounds)} bounds kept"
        if idle and not broken:
            told = f"{len(self.bounds) - idle} of {len(self.bounds)} bounds kept, none broken"
        return f"{told}{f'; {idle} not applicable' if idle else ''}."

    def __repr__(self) -> str:
        return f"GateResult({'broken' if self.broken else 'open'}: {self.sentence})"


def gate(audit: Audit) -> GateResult:
    """Hold the bounds of ``audit.spec.gate`` against the figures of the wording as written.

    A bound on a label that the model does not know is not applicable, and said. A bound that asks for proof of safety
    (``ci_high > x``) is broken where the value is undefined, or is of too few people; any other is then not applicable.

    Raises
    ------
    SpecError : a bound on what the audit did not compute; it says what there is.

    >>> gate(clipviz.audit("faces/", "fairface_denigration", model=m)).broken  # doctest: +SKIP
    """
    return hold(audit.spec.gate.fail_if, audit.table, barred_names(audit.spec, audit.competence))


def hold(
    fail_if: Iterable[str | Bound], table: pd.DataFrame, barred: Mapping[tuple[str, str], str] = NOBODY
) -> GateResult:
    """Hold bounds against a table; ``barred`` are (level, name) of what gets no gate, with the reason."""
    written = table[table["variant"] == WRITTEN]
    bounds = (bound if isinstance(bound, Bound) else parse_bound(bound) for bound in fail_if)
    return GateResult(tuple(_held(bound, written, barred) for bound in bounds))


def _held(bound: Bound, table: pd.DataFrame, barred: Mapping[tuple[str, str], str]) -> BoundResult:
    row = _row(bound, table)
    subject = _subject(row)
    if reason := barred.get((str(row["level"]), bound.name)):
        told = f"{subject}: not applicable, for {reason}."
        return BoundResult(bound, math.nan, False, told, False)
    if "too few" in str(row["method"]):
        told = f"{subject}: {'broken' if bound.wants_proof else 'not applicable'}, for there are {TOO_FEW}."
        return BoundResult(bound, math.nan, bound.wants_proof, told, bound.wants_proof)
    value = float(row[bound.side])
    metric = str(row["metric"])
    side = {"value": "", "ci_low": "lower limit ", "ci_high": "upper limit "}[bound.side]
    words = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below"}[bound.op]
    limit = f"{words} {shown(metric, bound.limit)}"
    if math.isnan(value):
        if bound.wants_proof:
            told = f"{subject}: broken, for its {side}is undefined here and nothing shows that it is not {limit}."
            return BoundResult(bound, value, True, told, True)
        return BoundResult(bound, value, False, f"{subject}: not applicable, for it is undefined here.", False)
    broken = bound.holds(value)
    told = figure(metric, *(float(row[name]) for name in ("value", "ci_low", "ci_high")))
    outcome = f"broken: {side or 'value '}{limit}" if broken else f"kept: {side or 'value '}not {limit}"
    return BoundResult(bound, value, broken, f"{subject}: {told}; {outcome}.", True)


def _row(bound: Bound, table: pd.DataFrame) -> Any:
    """The one row that the bound means; SpecError where there is none or several."""
    named = table[table["name"] == bound.name]
    if not len(named):
        raise SpecError(f"The bound {bound.text!r} names {bound.name!r}, of which the audit has no figure. "
                        f"{nearest(bound.name, map(str, dict.fromkeys(table['name'])))}")  # fmt: skip
    columns = list(dict.fromkeys(named["by"]))
    if bound.by and bound.by not in columns:
        raise SpecError(f"The bound {bound.text!r} names the column {bound.by!r}. "
                        f"{nearest(bound.by, map(str, columns))}")  # fmt: skip
    placed = named[named["by"] == bound.by] if bound.by else named
    metric = bound.metric or next((m for m in _bases(placed) if (placed["metric"] == m + bound.ending).any()), "")
    wanted = placed[placed["metric"] == (metric or "?") + bound.ending]
    if not len(wanted):
        exist = ", ".join(dict.fromkeys(map(str, placed["metric"])))
        asked = (bound.metric or "a metric") + bound.ending
        raise SpecError(f"The bound {bound.text!r} asks for {asked!r}, which this audit did not compute; "
                        f"for {bound.name!r} there are {exist}.")  # fmt: skip
    if len(columns := list(dict.fromkeys(wanted["by"]))) > 1:
        raise SpecError(f"The bound {bound.text!r} could mean {', '.join(map(repr, columns))}; name the column: "
                        f"{bound.name}.{columns[0]}.")  # fmt: skip
    if bound.group:
        groups = list(dict.fromkeys(map(str, wanted["group"])))
        wanted = wanted[wanted["group"] == bound.group]
        if not len(wanted):
            raise SpecError(f"The bound {bound.text!r} names the group {bound.group!r}. "
                            f"{nearest(bound.group, groups)}")  # fmt: skip
    if len(wanted) > 1:
        raise SpecError(
            f"The bound {bound.text!r} names no group of {len(wanted)} "
            f"({', '.join(map(str, wanted['group'].iloc[:4]))}, ...): name one before .{bound.side}, or ask for gap or "
            "worst, whose intervals hold for all groups at once."
        )
    return wanted.iloc[0]


def _bases(table: pd.DataFrame) -> list[str]:
    """The metrics of the table without their comparisons, in its order."""
    return list(dict.fromkeys(base_of(str(name)) for name in table["metric"]))


def _subject(row: Any) -> str:
    place = str(row["by"])
    group, reference = str(row["group"] or ""), str(row["reference"] or "")
    if group and reference:
        place += f", {group} against {reference}"
    elif group:
        place += f", {group}"
    return f"{row['name']} by {place}"
