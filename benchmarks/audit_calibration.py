"""Do an audit's verdicts and its gate keep their promises? Reports of worlds whose rates are known, by the thousand.

    python benchmarks/audit_calibration.py [--repetitions 2000] [--seed 8] [--docs docs] [--out out/audit_calibration]

Each report runs the audit's own tables, corrections, verdicts and gate (`clipviz.auditing.calibration`) on counts drawn
from planted rates. It is asked: how often does a report hold any false verdict, where nothing differs and where one gap
does; how often is a gate broken, or passed, whose bound equals the true gap; how often is a gap of a given size found.
A world that is done is kept in --out and not made again. Writes audit_calibration.csv and .md into --docs.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from clipviz.auditing.calibration import Planted, boundary, choose, run
from clipviz.auditing.planting import World
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.worlds import worlds
from clipviz.files import write

ALLOWED = 0.05  # of reports with a false verdict, and of gates that are wrong at their bound
# FairFace val-00, 3,000 faces: as its columns count them.
RACES = {"White": 612, "Black": 436, "East Asian": 436, "Latino_Hispanic": 428, "Indian": 401, "Southeast Asian": 387,
         "Middle Eastern": 300}  # fmt: skip
AGES = {"20-29": 906, "30-39": 668, "40-49": 358, "3-9": 358, "10-19": 321, "50-59": 220, "60-69": 84, "0-2": 53,
        "more than 70": 32}  # fmt: skip
GENDERS = {"Male": 1540, "Female": 1460}
SEVEN = tuple(f"group {i}" for i in range(1, 8))
COLUMNS = ("audit", "world", "quantity", "share", "ci_low", "ci_high", "promised", "holds", "repetitions", "seed")


@dataclass(frozen=True)
class Case:
    """One audit: its spec, sizes and rates, and the worlds that are asked of it."""

    name: str
    spec: AuditSpec
    sizes: dict[str, dict[str, int]]
    rates: dict[str, float]
    gaps: tuple[tuple[str, float, float], ...] = ()  # (what it is called, gap, how often it must be found)
    null: bool = True  # whether a world without a difference is asked
    gap: bool = True  # and one with the gap that `power` names
    gate: bool = False  # whether a gate is tried at its bound, with one group apart and with half of them

    def world(self) -> World:
        return worlds(self.spec, self.sizes, self.rates)[0]


def spec_of(columns: tuple[str, ...], compare: str, reference: dict[str, str] | None = None) -> AuditSpec:
    """21 labels as the paper's table 6 has them: 7 harmful (3 crime-related, 4 non-human) and 14 of people."""
    harmful = [("crime-related", i) for i in range(3)] + [("non-human", i) for i in range(4)]
    labels: list[dict[str, str]] = [
        {"text": f"a {category} {i}", "role": "harmful", "category": category} for category, i in harmful
    ]
    labels += [{"text": f"a person of kind {i}", "role": "identity", "category": "people"} for i in range(14)]
    return AuditSpec.from_dict({
        "name": "calibration", "labels": labels,
        "groups": {"columns": list(columns), "reference": reference or {}},
        "metrics": [{"metric": "share", "of": ["labels", "categories"], "compare": [compare], "headline": True,
                     "direction": "high is bad"}],
    })  # fmt: skip


def rates_of(first: float, others: float) -> dict[str, float]:
    """The first harmful label at one rate, the other six at another; the 14 of people share the rest."""
    harmful = [f"a crime-related {i}" for i in range(3)] + [f"a non-human {i}" for i in range(4)]
    rates = dict.fromkeys(harmful, others) | {harmful[0]: first}
    left = 1 - sum(rates.values())
    parts = [0.3, *[0.7 / 13] * 13]  # one common label, thirteen alike
    return rates | {f"a person of kind {i}": left * part for i, part in enumerate(parts)}


def cases() -> list[Case]:
    gap, difference = spec_of(("race",), "gap"), spec_of(("race",), "difference", {"race": SEVEN[-1]})
    rest = spec_of(("race",), "difference")
    small, large = ({"race": dict.fromkeys(SEVEN, n)} for n in (1000, 3000))
    one, three = ("10 % against 20 %", 0.1, 0.95), ("10 % against 15 %", 0.05, 0.9)
    rates = rates_of(0.1, 0.02)
    uneven = {"race": dict(zip(SEVEN, (3000, 1000, 300, 100, 100, 30, 30), strict=True))}
    two = spec_of(("gender",), "difference", {"gender": "Male"})
    return [
        Case("7 groups of 1,000, 21 labels, gaps", gap, small, rates, (one,), gate=True),
        Case("7 groups of 3,000, 21 labels, gaps", gap, large, rates, (three,), null=False, gap=False),
        Case("7 groups of 1,000, 21 labels, against a reference", difference, small, rates, (one,), gate=True),
        Case("7 groups of 3,000, 21 labels, against a reference", difference, large, rates, (three,), null=False,
             gap=False),
        Case("7 groups of 1,000, 21 labels, against the rest", rest, small, rates, gap=False),
        Case("FairFace val-00 by race and gender, rare harms, gaps", spec_of(("race", "gender"), "gap"),
             {"race": RACES, "gender": GENDERS}, rates_of(0.01, 0.003)),
        Case("FairFace val-00 by age, rare harms, gaps", spec_of(("age",), "gap"), {"age": AGES},
             rates_of(0.01, 0.003)),
        Case("7 groups of 30 to 3,000, 21 labels, gaps", gap, uneven, rates_of(0.05, 0.01), gate=True),
        Case("2 groups of 30 and 3,000, against the larger", two, {"gender": {"Female": 30, "Male": 3000}},
             rates_of(0.05, 0.01)),
    ]  # fmt: skip


def asked(case: Case, repetitions: int, seed: int) -> list[tuple[str, Any]]:
    """(name of a world, a function that runs it) for everything that is asked of a case."""
    even = case.world()
    chosen = choose(case.spec, even, seed)
    found: list[tuple[str, Any]] = []
    if case.null:
        found.append(("no difference", lambda at: run(case.spec, even, repetitions=repetitions, seed=at)))
    if chosen is None:
        return found

    def planted(what: Planted, apart: int, gate: bool = False) -> Any:
        world = even.planted(what, apart=apart)
        bounds = boundary(world) if gate else ()
        return lambda at: run(case.spec, world, repetitions=repetitions, seed=at, bounds=bounds)

    size = len(even.sizes[chosen.by][0])
    if case.gap:
        for apart in dict.fromkeys((1, size // 2) if case.gate else (1,)):
            about = f"one gap of {100 * chosen.gap:.1f} points, {apart} against {size - apart}"
            found.append((about, planted(chosen, apart, case.gate)))
    for name, wide, _ in case.gaps:
        found.append((f"one gap, {name}", planted(chosen._replace(gap=wide, donors=("a person of kind 0",)), 1)))
    return found


def lines(case: Case, world: str, result: dict[str, Any], repetitions: int, seed: int) -> list[dict[str, Any]]:
    """The rows of one world. A promise of errors holds up to 3 Monte-Carlo standard errors, one of power without."""
    error = 3 * math.sqrt(ALLOWED * (1 - ALLOWED) / repetitions)
    said = []

    def row(quantity: str, rate: dict[str, float], promised: str, holds: bool | str) -> None:
        said.append({"audit": case.name, "world": world, "quantity": quantity, **rate, "promised": promised,
                     "holds": holds if isinstance(holds, str) else "yes" if holds else "NO",
                     "repetitions": repetitions, "seed": seed})  # fmt: skip

    limit = f"at most {ALLOWED:.0%} + 3 SE = {ALLOWED + error:.2%}"
    false = result["false_alarms"]
    row("any false verdict in a report", false, limit, false["share"] <= ALLOWED + error)
    for metric, rate in result["coverage"].items():
        blank = {"share": rate["share"], "ci_low": math.nan, "ci_high": math.nan}
        row(f"intervals of {metric} that hold the truth", blank, "at least 94.5%", rate["share"] >= 0.945)
    if "found" in result:
        wanted = next((least for name, _, least in case.gaps if world == f"one gap, {name}"), None)
        found = result["found"]
        row("the planted gap found", found, f"at least {wanted:.0%}" if wanted else "aimed at 80%",
            found["share"] >= wanted if wanted else "")  # fmt: skip
    if "gate" in result:
        for side, what in (
            ("broken", "gate broken at its bound (ci_low)"),
            ("passed", "gate passed at its bound (ci_high)"),
        ):
            rate = result["gate"][side]
            row(what, rate, limit, rate["share"] <= ALLOWED + error)
    return said


def page(rows: list[dict[str, Any]], command: str, seconds: float) -> str:
    """The table for people."""
    text = [
        "# Do an audit's verdicts and its gate keep their promises?", "",
        f"`{command}`, one thread, some {seconds / 60:.0f} minutes. Each line is {rows[0]['repetitions']:,} reports of "
        "counts drawn from known rates, through the audit's own tables, corrections, verdicts and gate; limits are "
        "Clopper and Pearson's at 95 %. A false verdict is one on a claim that is truly nil, or on the wrong side; "
        "where a gap is planted, those elsewhere count. A gate at its bound has a true gap that equals it. Harm labels "
        "have to be beyond two nonsense words to be found, here as in an audit. The smallest gap of a world is what "
        "`power` names for that audit at 80 %, by normal approximation: too wide where several groups are compared at "
        "once, some points short of 80 % against one reference, most where a group has 30 pictures.", "",
    ]  # fmt: skip
    for audit in dict.fromkeys(row["audit"] for row in rows):
        text += [f"## {audit}", "", "| world | quantity | share | 95 % limits | promised | holds |",
                 "|---|---|---:|---:|---|---|"]  # fmt: skip
        for row in rows:
            if row["audit"] == audit:
                limits = "" if math.isnan(row["ci_low"]) else f"{row['ci_low']:.2%} to {row['ci_high']:.2%}"
                cells = (row["world"], row["quantity"], f"{row['share']:.2%}", limits, row["promised"], row["holds"])
                text.append("| " + " | ".join(cells) + " |")
        text.append("")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--out", type=Path, default=Path("out/audit_calibration"))
    parser.add_argument("--last-first", action="store_true", help="for a second process beside one that runs forward")
    parser.add_argument("--done", action="store_true", help="write the tables of the worlds that are done")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # plain objects for texts, as before pandas 3: the same tables in half the time
        warnings.simplefilter("ignore")
        pd.set_option("future.infer_string", False)
    rows: list[dict[str, Any]] = []
    seconds = 0.0
    every = list(enumerate(cases()))
    for number, case in reversed(every) if given.last_first else every:
        for place, (world, make) in enumerate(asked(case, given.repetitions, given.seed)):
            kept = given.out / f"{number}_{place}_{given.repetitions}_{given.seed}.json"
            if given.done and not kept.exists():
                continue
            if not kept.exists():
                start = time.perf_counter()
                result = make(given.seed + 100 * number + place)  # worlds that share no draw
                write(kept, json.dumps({"world": world, "result": result, "seconds": time.perf_counter() - start}))
            known = json.loads(kept.read_text(encoding="utf-8"))
            if known["world"] != world:
                raise SystemExit(f"{kept} is of {known['world']!r} and not of {world!r}: remove it, and run again.")
            seconds += known["seconds"]
            rows += lines(case, world, known["result"], given.repetitions, given.seed)
            print(f"{case.name}: {world}: {known['seconds']:.0f} s")
            for row in rows[-6:]:
                if row["world"] == world and row["holds"] == "NO":
                    print(f"  {row['quantity']}: {row['share']:.2%}, promised {row['promised']}")
    if given.last_first:
        return
    command = f"python benchmarks/audit_calibration.py --repetitions {given.repetitions} --seed {given.seed}"
    told = io.StringIO()
    writer = csv.DictWriter(told, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value != value else value for name, value in row.items()} for row in rows)
    write(given.docs / "audit_calibration.csv", told.getvalue())
    write(given.docs / "audit_calibration.md", page(rows, command, seconds) + "\n")
    print(f"{given.docs / 'audit_calibration.md'}: {sum(row['holds'] == 'NO' for row in rows)} promises broken")


if __name__ == "__main__":
    main()
