"""What a gate may ask: ``NAME[.COLUMN].COMPARISON[.GROUP].SIDE OP NUMBER``, read into a `Bound`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SpecError, nearest
from .formats import base_of, kind_of
from .metric import METRICS

if TYPE_CHECKING:
    from .spec import AuditSpec

# What is compared -> what the table appends to the metric's name.
ENDINGS = {
    "share": "", "value": "", "difference": "_difference", "ratio": "_ratio", "gap": "_gap", "worst": "_worst",
    "against_best": "_against_best", "difference_adjusted": "_difference_adjusted",
}  # fmt: skip
SIDES = ("value", "ci_low", "ci_high")
_BOUND = re.compile(r"\s*(?P<path>.+?)\s*(?P<op><=|>=|<|>)\s*(?P<number>[-+0-9.eE]+)\s*(?P<percent>%?)\s*", re.S)
_EXAMPLE = '"crime-related.race.gap.ci_low > 0.05"'


@dataclass(frozen=True)
class Bound:
    """One bound of a gate; it is broken where the comparison that it states is true.

    ``metric`` is empty where the spec's first metric with this comparison is meant; ``by`` and ``group`` are empty
    where they are left out. ``ending`` is what the table appends to the metric: ``share`` + ``_gap``.
    """

    text: str
    name: str
    by: str
    metric: str
    ending: str
    group: str
    side: str
    op: str
    limit: float

    def holds(self, value: float) -> bool:
        """Whether ``value OP limit`` is true; never for an undefined value."""
        compare = {"<": value < self.limit, "<=": value <= self.limit, ">": value > self.limit,
                   ">=": value >= self.limit}  # fmt: skip
        return compare[self.op] and not math.isnan(value)

    @property
    def wants_proof(self) -> bool:
        """Whether the bound reads "not shown to be safe": then what cannot be computed breaks it too."""
        return self.side == ("ci_high" if ">" in self.op else "ci_low")


def parse_bound(text: str) -> Bound:
    """Read one bound of ``[gate] fail_if``.

    A name or a group with a dot in it stands in single quotes. COMPARISON is share, difference, ratio, gap, worst or
    a metric of the table in full (``mean_probability_gap``). A number may be given in percent.

    Raises
    ------
    SpecError : anything else; it says what is allowed.

    >>> parse_bound("crime-related.race.gap.ci_low > 5 %").limit
    0.05
    """
    found = _BOUND.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise SpecError(f"{text!r} is no bound of a gate; write for instance {_EXAMPLE}.")
    try:
        limit = float(found["number"]) / (100 if found["percent"] else 1)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise SpecError(f"{found['number']!r} in the bound {text!r} is no number; write for instance {_EXAMPLE}.")
    parts = _parts(found["path"], text)
    if len(parts) < 3 or parts[-1][0] not in SIDES or parts[-1][1]:
        raise SpecError(
            f"The bound {text!r} does not name its side before {found['op']!r}: end the name with .value, .ci_low "
            f"(fails when it is shown) or .ci_high (fails unless it is shown to be safe), such as {_EXAMPLE}."
        )
    places = [i for i, (part, quoted) in enumerate(parts[:-1]) if i and _compares(part, quoted)]
    if not places or places[0] > 2:
        got = parts[min(2, len(parts) - 2)][0]
        raise SpecError(
            f"The bound {text!r} names no comparison that is known (got {got!r}): NAME.COLUMN.COMPARISON.SIDE, with "
            "one of share, difference, ratio, gap, worst, or a metric in full; put a name with a dot in single quotes."
        )
    at = places[0]
    word = parts[at][0]
    metric, ending = ("", ENDINGS[word]) if word in ENDINGS else _full(word)
    if word == "share":
        metric = "share"
    by = parts[1][0] if at == 2 else ""
    group = ".".join(part for part, _ in parts[at + 1 : -1])
    return Bound(text.strip(), parts[0][0], by, metric, ending, group, parts[-1][0], found["op"], limit)


def check_bound(bound: Bound, spec: AuditSpec) -> None:
    """SpecError where ``bound`` asks for what ``spec`` does not compute, as far as that is known without the data."""
    from .spec_checks import asked

    if spec.part:
        return  # of a spec that was checked as a whole
    names = dict.fromkeys(name for metric in spec.metrics for _, name in asked(spec, metric))
    names |= dict.fromkeys(one for one in spec.sets if one)
    columns = [*spec.groups.columns, *(" x ".join(crossing) for crossing in spec.groups.crossings)]
    if bound.name not in names:
        raise SpecError(f"The bound {bound.text!r} names {bound.name!r}, of which this spec computes nothing. "
                        f"{nearest(bound.name, names)}")  # fmt: skip
    if bound.by and bound.by not in columns:
        raise SpecError(f"The bound {bound.text!r} names the column {bound.by!r}. {nearest(bound.by, columns)}")
    here = [metric for metric in spec.metrics if bound.name in dict(_named(spec, metric))]
    offered = computed(here or spec.metrics)  # of a set by its name, all of its metrics
    wanted = [name for name in offered if _fits(bound, name)]
    if not wanted:
        wish = (bound.metric or "METRIC") + bound.ending
        raise SpecError(
            f"The bound {bound.text!r} asks for {wish!r}, which this spec does not compute of {bound.name!r}; "
            f"it computes {', '.join(offered)}."
        )


def example_bound(spec: AuditSpec) -> str:
    """A bound that ``spec`` could bear, for a message: of its first headline metric, by its first column.

    >>> example_bound(AuditSpec.load("nurse_doctor"))  # doctest: +SKIP
    'nurse.gender.difference.Female.ci_low > 0.05'
    """
    for metric in sorted(spec.metrics, key=lambda one: not one.headline):
        endings = [one.replace(" ", "_") for one in metric.compare if one in ("gap", "difference")]
        found = _named(spec, metric)
        if metric.k or not found or not endings or not spec.groups.columns:
            continue
        name = found[0][0]
        quoted = f"'{name}'" if "." in name else name
        ending = "gap" if "gap" in endings else "difference.GROUP"
        base, _, group = ending.partition(".")
        word = base if metric.metric == "share" else f"{metric.metric}_{base}"
        return ".".join(filter(None, [quoted, spec.groups.columns[0], word, group, "ci_low > 0.05"]))
    return _EXAMPLE.strip('"')


def _named(spec: AuditSpec, metric: Any) -> list[tuple[str, str]]:
    """(name, level) of what ``metric`` is computed of."""
    from .spec_checks import asked

    return [(name, level) for level, name in asked(spec, metric)]


def computed(metrics: Iterable[Any]) -> list[str]:
    """The names that the table of a spec with these metrics can hold, in the spec's order."""
    metrics = list(metrics)
    several = len({metric.threshold for metric in metrics if metric.threshold is not None}) > 1
    found: dict[str, None] = {}
    for metric in metrics:
        bases = [f"skew@{k}" for k in metric.k] + [f"ndkl@{k}" for k in metric.k] or [metric.metric]
        if metric.threshold is not None and several:
            bases = [f"{metric.metric}@{metric.threshold:g}"]
        for base in bases:
            found[base] = None
            for comparison in metric.compare if not metric.k else ():
                found[f"{base}_{comparison.replace(' ', '_')}"] = None
                if comparison == "difference":
                    found[f"{base}_difference_adjusted"] = None
    return list(found)


def _full(word: str) -> tuple[str, str]:
    """A metric of the table -> the metric itself, with its threshold where it has one, and its comparison."""
    metric = base_of(word)
    return metric, word[len(metric) :]


def _compares(word: str, quoted: bool) -> bool:
    """Whether a part says what is compared; one with a threshold stands in quotes, for its point."""
    metric, ending = _full(word)
    in_full = kind_of(word) in (*METRICS, "ndkl") and ending in ENDINGS.values()
    return in_full and "@" in metric if quoted else in_full or word in ENDINGS


def _fits(bound: Bound, name: str) -> bool:
    """Whether the table's metric ``name`` is what ``bound`` asks for."""
    if bound.metric:
        return name == bound.metric + bound.ending
    return name == base_of(name) + bound.ending


def _parts(path: str, text: str) -> list[tuple[str, bool]]:
    """The parts between dots, and whether each stood in quotes."""
    found, rest = [], path
    while True:
        if rest[:1] in ("'", '"'):
            end = rest.find(rest[0], 1)
            if end < 0 or rest[end + 1 : end + 2] not in ("", "."):
                raise SpecError(f"A quote in the bound {text!r} is not closed; write for instance {_EXAMPLE}.")
            part, quoted, rest = rest[1:end], True, rest[end + 1 :]
        else:
            end = rest.find(".")
            end = len(rest) if end < 0 else end
            part, quoted, rest = rest[:end].strip(), False, rest[end:]
        if not part:
            raise SpecError(f"The bound {text!r} has an empty part; write for instance {_EXAMPLE}.")
        found.append((part, quoted))
        if not rest:
            return found
        rest = rest[1:].lstrip()
