"""The part of an audit's page on its self-test: how often it covers, finds, and cries wolf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..reporting import Block, Details, Notice, Provenance, Section, Table, Text
from .formats import figure, shown, title_of
from .page_parts import compared_groups, number
from .sentences import said

if TYPE_CHECKING:
    from .result import Audit


def calibration_section(audit: Audit) -> Section:
    """What the self-test with planted rates gave, or how to run it."""
    found: Any = audit.calibration
    if not found:
        told = (
            f"No self-test ran with this audit. clipviz audit {said(audit.spec.name)} --selftest plants known rates "
            "with these group sizes and labels, and counts how often the intervals cover them, how often a report of "
            "no difference gives a false verdict, and how often a planted one is found."
        )
        return Section("Calibration", Text(told))
    blocks: list[Block] = [
        Text(f"This audit on {number(found['repetitions'])} draws of made-up data of its size: rates were planted, and "
             "the same intervals, tests, verdicts and gate were run on them."),
        Table(_rates(found), "How often the whole report is right", figures=("wanted",)),
        Table(_coverage(found), "How often the 95 % intervals hold the planted truth",
              figures=("no difference", "one gap", "intervals")),
    ]  # fmt: skip
    if found.get("left_out"):
        blocks.append(Notice(f"Not planted, and so not tested here: {'; '.join(map(str, found['left_out']))}."))
    drawn = {"seed": found.get("seed"), "pictures": found.get("sizes", {}), "rates": found.get("rates", {})}
    blocks.append(Details("What was planted", Provenance(drawn)))
    return Section("Calibration", *blocks)


def _rates(found: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = [("No difference anywhere: a report gives a false verdict", found["no_difference"]["false_alarms"],
             "at most 5 %")]  # fmt: skip
    if "one_gap" in found:
        planted = found["planted"]
        what = f"{said(str(planted['name']))} by {said(str(planted['by']))}, {compared_groups(planted)}"
        gap = shown("share_difference", planted["gap"])
        rows.append(("One gap: a report gives a false verdict elsewhere", found["one_gap"]["false_alarms"],
                     "at most 5 %"))  # fmt: skip
        rows.append((f"One gap of {gap} ({what}): it is found", found["one_gap"]["found"], "about 80 %"))
    for one in found.get("gate", ()):
        apart = f"A true gap of just the bound ({one['groups_apart']} against {one['others']} groups)"
        rows.append((f"{apart}: the gate says that it is broken", one["broken"], "at most 5 %"))
        rows.append((f"{apart}: the gate says that it is shown to be safe", one["passed"], "at most 5 %"))
    return [
        {"what": what, "share of the draws (95 % interval)": figure("share", r["share"], r["ci_low"], r["ci_high"]),
         "wanted": wanted}
        for what, r, wanted in rows
    ]  # fmt: skip


def _coverage(found: Mapping[str, Any]) -> list[dict[str, str]]:
    even = found["no_difference"]["coverage"]
    gap = found.get("one_gap", {}).get("coverage", {})
    return [
        {"figure": title_of(metric), "no difference": shown("share", one["share"]),
         "one gap": shown("share", gap[metric]["share"]) if metric in gap else "–",
         "intervals": number(one["intervals"])}
        for metric, one in even.items()
    ]  # fmt: skip
