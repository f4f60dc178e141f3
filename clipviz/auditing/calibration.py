"""Does this audit find what is there, and nothing else? Known rates through its own tests, verdicts and gate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .bounds import Bound
from .claims import KEY, adjusted
from .gate import hold
from .placebo import harms
from .planting import Planted, World
from .power import power
from .tally import WRITTEN
from .verdicts import verdicts
from .worlds import worlds

if TYPE_CHECKING:
    import pandas as pd

    from .result import Audit
    from .spec import AuditSpec
    from .verdicts import Verdict

FORMAT = "clipviz calibration 1"
LEAST = 0.05  # the gap at which the gate is tried where none can be found with a chance of 80 %


def calibrate(
    spec: AuditSpec, sizes: Mapping[str, Mapping[str, int]] | Audit, *, repetitions: int = 200, seed: int | None = None,
    rates: Mapping[str, float] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Plant known rates in groups of this audit's sizes and report how often it covers, finds and cries wolf.

    ``sizes`` are {grouping: {group: pictures}}, or an `Audit`, whose sizes and pooled figures are then taken. ``rates``
    are the labels' shares; labels that are not named share the rest alike. Every repetition draws each picture's label
    and runs the same tables, corrections, verdicts and gate as the audit, for three worlds: "no difference"; "one gap",
    in the first harmful label (or the first) and its category, of the size that 80 % of such audits should find; and
    the gate "at the boundary", where the true gap equals the bound, with one group apart and with half of them apart.
    ``false_alarms`` is the share of reports with any verdict on claims that are truly nil, or on the wrong side.
    Pictures are drawn independently, also where the audit tells persons apart; what ``left_out`` lists is not planted.
    The dict is plain, for JSON. Raises InputError.

    >>> calibrate(AuditSpec.load("nurse_doctor"), {"gender": {"Female": 500, "Male": 500}})  # doctest: +SKIP
    """
    if isinstance(repetitions, bool) or not isinstance(repetitions, int) or repetitions < 1:
        raise InputError(f"repetitions={repetitions!r} is no count: pass a whole number such as 200.")
    seed = spec.seed if seed is None else seed
    even, left_out = worlds(spec, sizes, rates)
    found: dict[str, Any] = {
        "format": FORMAT, "repetitions": repetitions, "seed": seed, "left_out": list(left_out),
        "sizes": {by: dict(zip(groups, map(int, n), strict=True)) for by, (groups, n) in even.sizes.items()},
        "rates": {name: float(rate) for name, rate in zip(even.labels, even.rates, strict=True)},
    }  # fmt: skip
    found["no_difference"] = run(spec, even, repetitions=repetitions, seed=seed)
    planted = choose(spec, even, seed)
    if planted is None:
        found["left_out"].append("a planted gap: no label has room for one that would be found")
        return found
    found["planted"] = {**planted._asdict(), "donors": list(planted.donors)}
    found["gate"] = []
    size = len(even.sizes[planted.by][0])
    for apart in dict.fromkeys((1, size // 2)):
        world = even.planted(planted, apart=apart)
        bounds = boundary(world)
        result = run(spec, world, repetitions=repetitions, seed=seed + apart, bounds=bounds)
        gate = result.pop("gate")
        found["gate"].append({"groups_apart": apart, "others": size - apart, "bound": bounds[0].text, **gate})
        found.setdefault("one_gap", result)  # with one group apart
    return found


def run(
    spec: AuditSpec, world: World, *, repetitions: int, seed: int, bounds: tuple[Bound, ...] = ()
) -> dict[str, Any]:  # fmt: skip
    """Reports of one world: ``coverage`` by metric, ``false_alarms``, ``found``, and of ``bounds`` how often broken.

    ``bounds`` are two on one figure: "is shown to be above" and "is not shown to be below"; ``broken`` is how often the
    first is broken, ``passed`` how often the second is not: both are errors where the figure equals the bound.
    """
    rng = np.random.default_rng([seed, 8])
    covered: dict[str, list[int]] = {}
    false = found = broken = passed = 0
    for _ in range(repetitions):
        table = adjusted(world.table(rng))
        said = verdicts(spec, table)
        truths = world.truths(table)
        _cover(table, truths, covered)
        wrong, right = _count(said, world)
        false += wrong
        found += right
        if bounds:
            own = np.flatnonzero(table["name"].to_numpy(object) == bounds[0].name)
            shown, unsafe = hold(bounds, table.take(own)).bounds
            broken += shown.broken
            passed += not unsafe.broken
    result: dict[str, Any] = {
        "coverage": {metric: {"share": k / n, "intervals": n} for metric, (k, n) in covered.items() if n},
        "false_alarms": _rate(false, repetitions),
    }
    if world.planting is not None:
        result["found"] = _rate(found, repetitions)
    if bounds:
        result["gate"] = {"broken": _rate(broken, repetitions), "passed": _rate(passed, repetitions)}
    return result


def choose(spec: AuditSpec, even: World, seed: int) -> Planted | None:
    """What is planted: the first headline claim on shares of a harm, else of anything, in a gap for 80 % to find."""
    sizes = power(spec, adjusted(even.table(np.random.default_rng([seed, 8]))))
    sizes = sizes[sizes["metric"].isin(["share_difference", "share_gap"])]
    harmful = harms(spec)
    claims = list(zip(*(sizes[name].tolist() for name in (*KEY, "smallest_gap")), strict=True))
    for metric, level, by, name, group, reference, gap in sorted(
        claims, key=lambda one: (one[1], one[3]) not in harmful
    ):
        wide = gap if math.isfinite(gap) else LEAST
        labels = even.taken_from(level, name, wide)
        if labels is not None and metric == "share_difference":
            return Planted(metric, level, name, by, group, reference, wide, *labels)
        if labels is not None:
            return Planted(metric, level, name, by, even.sizes[by][0][0], "", wide, *labels)
    return None


def boundary(world: World) -> tuple[Bound, Bound]:
    """Two bounds that the planted gap meets exactly: "is shown to be above it" and "is not shown to be below it"."""
    what = world.planting
    if what is None:
        raise InputError("A gate is tried on a gap, and this world has none: plant one.")
    ending = what.metric.removeprefix("share")
    group = what.group if ending == "_difference" else ""
    truth = world.truth(what.metric, what.level, what.by, what.name, what.group, what.reference)
    said = ".".join(filter(None, [what.name, what.by, what.metric, group]))
    low, high = (
        Bound(f"{said}.{side} > {truth:.4g}", what.name, what.by, "share", ending, group, side, ">", truth)
        for side in ("ci_low", "ci_high")
    )
    return low, high


def _count(said: tuple[Verdict, ...], world: World) -> tuple[bool, bool]:
    """Whether any verdict is false, and whether the planted one is among them."""
    wrong = right = False
    for one in said:
        if one.state != "found":
            continue
        truth = world.truth(one.metric, one.level, one.by, one.name, one.group, one.reference)
        side = truth if one.metric.endswith("_gap") else truth * math.copysign(1, one.value)
        wrong |= not side > 1e-12
        right |= world.planting is not None and world.planting.met(one)
    return wrong, right


def _cover(table: pd.DataFrame, truths: np.ndarray, covered: dict[str, list[int]]) -> None:
    low, high = (table[name].to_numpy(np.float64) for name in ("ci_low", "ci_high"))
    written = table["variant"].to_numpy(object) == WRITTEN
    known = written & np.isfinite(truths) & np.isfinite(low) & np.isfinite(high)
    inside = (low <= truths + 1e-12) & (truths <= high + 1e-12)
    metrics = table["metric"].to_numpy(object)
    for metric in dict.fromkeys(metrics[known].tolist()):
        own = known & (metrics == metric)
        count = covered.setdefault(metric, [0, 0])
        count[0] += int(inside[own].sum())
        count[1] += int(own.sum())


def _rate(k: int, n: int) -> dict[str, float]:
    """A share of the repetitions with its limits."""
    from ..stats import exact_limits

    low, high = exact_limits(k, n)
    return {"share": k / n, "ci_low": float(low), "ci_high": float(high)}
