"""The first parts of an audit's page: what was found, drawn, and group by group."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import plots
from ..reporting import Block, Details, Item, Listing, Notice, Picture, Section, Table, Text
from .claims import claimed
from .facts import compared_rows, demonstration
from .formats import base_of, figure, interval, is_difference, is_share, shown, title_of
from .gate import gate
from .sentences import BY_CATEGORY, said, said_column, said_figure, said_group
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from .result import Audit
    from .verdicts import Verdict

_SHOWN = 300  # rows of a table on the page; JSON and CSV hold all
_DRAWN = 60  # lines of a figure
_OPEN = 12  # verdicts of one kind that stand unfolded
_FOLDED = {
    "found": "more differences that were found", "not found": "comparisons in which no difference was found",
    "none": "comparisons without a verdict",
}  # fmt: skip
_LOOKS = {"strong": "found", "fragile": "found, but fragile", "quiet": "not found", "plain": "no verdict of its own"}


def verdict_section(audit: Audit) -> Section:
    """Verdicts in plain sentences, what was found before what was not, with the gate and the notes."""
    blocks: list[Block] = []
    if told := demonstration(audit):
        blocks.append(Notice(told, "warning", "Demonstration model"))
    if audit.spec.headline:
        blocks.append(Text(audit.spec.headline))
    kinds: dict[str, list[Item]] = {"found": [], "not found": [], "none": []}
    # What holds before what is fragile, the largest first.
    for verdict in sorted(audit.verdicts, key=lambda one: (one.state, one.fragile, -size_of(one.value))):
        kinds[verdict.state].append(_item(verdict))
    if not audit.verdicts:
        blocks.append(Text("No headline comparison was made: there is nothing to give a verdict on."))
    for state, folded in _FOLDED.items():
        items = _once(kinds[state])
        if not items:
            if state == "found" and audit.verdicts:
                blocks.append(Text(_silence(kinds)))
            continue
        cut = len(items) if len(items) <= _OPEN else _OPEN if state == "found" else 0
        first, rest = items[:cut], items[cut:]
        if first:
            blocks.append(Listing(*first))
        if rest:
            count = len(rest) if state == "found" else len(kinds[state])
            blocks.append(Details(f"{count} {folded}", Listing(*rest)))
    blocks += _gate(audit)
    if notes := [note for note in audit.notes if note != told]:
        blocks.append(Notice("\n\n".join(notes), title="What to keep in mind"))
    return Section("Verdicts", *blocks)


def _silence(kinds: dict[str, list[Item]]) -> str:
    """What is said where nothing was found, which is not that nothing is there."""
    if not kinds["not found"]:
        return "No verdict is given on any comparison, for the reasons below. The figures stand, and mean nothing yet."
    return "No difference was found. What this audit could not have seen is told below."


def _once(items: list[Item]) -> list[Item]:
    """Items that say the same, such as no verdict for one reason, once with their number."""
    counts = Counter(items)
    return [
        item if count == 1 else replace(item, note="; ".join(filter(None, [item.note, f"{count} comparisons"])))
        for item, count in counts.items()
    ]


def _item(verdict: Verdict) -> Item:
    if verdict.state == "none":
        return Item(verdict.sentence, "No verdict", "quiet")
    p = probability(verdict.p_adjusted)
    corrected = (
        f"p {p if p.startswith('below') else f'= {p}'}, corrected over the whole report; {title_of(verdict.metric)}"
    )
    if verdict.state == "not found":
        return Item(verdict.sentence, "Not found", "quiet", f"by {said_column(verdict.by)}; {corrected}")
    tag, tone = ("Fragile", "warning") if verdict.fragile else ("Found", "strong")
    return Item(verdict.sentence, tag, tone, f"by {said_column(verdict.by)}; {corrected}")  # type: ignore[arg-type]


def _gate(audit: Audit) -> list[Block]:
    held = gate(audit)
    if not held.bounds:
        return []
    items = []
    for one in held.bounds:
        tag, tone = ("Broken", "strong") if one.broken else ("Kept", "good") if one.applicable else ("Idle", "quiet")
        items.append(Item(one.sentence, tag, tone, one.bound.text))  # type: ignore[arg-type]
    heading = Notice(
        held.sentence, "warning" if held.broken else "info", "The gate is broken" if held.broken else "Gate"
    )
    return [heading, Listing(*items)]


def figure_section(audit: Audit) -> Section:
    """Each headline comparison with its interval, drawn, and the same as a table."""
    rows = compared_rows(audit.table)
    if not len(rows):
        return Section("Figures", Text("This spec has no headline comparison."))
    looks = {_key(verdict): _look(verdict) for verdict in audit.verdicts}
    blocks: list[Block] = []
    kinds: dict[str, list[dict[str, Any]]] = {}
    records: Any = rows.to_dict("records")
    for row in records:
        kinds.setdefault(_kind(str(row["metric"])), []).append(row)
    if len(kinds) > 1 and not any(_row_key(row) in looks for row in kinds.get("best", ())):
        kinds.pop("best", None)  # the gap, seen from each group: the table has it
    main = "points" if "points" in kinds else next(iter(kinds))
    blocks.append(_forest(main, kinds.pop(main), looks))
    if kinds:
        rest = [_forest(kind, several, looks) for kind, several in kinds.items()]
        blocks.append(Details("Ratios, worst groups and other figures, drawn", *rest))
    table = [
        {"what": said(str(row["name"])), "by": said_column(str(row["by"])), "compared": compared_groups(row),
         "figure": title_of(str(row["metric"])), "value": shown(row["metric"], row["value"]),
         "95 % interval": interval(row["metric"], row["ci_low"], row["ci_high"]), "n": number(row["n"]),
         "p, corrected": probability(row["p_adjusted"]), "method": str(row["method"])}
        for row in rows.head(_SHOWN).to_dict("records")
    ]  # fmt: skip
    note = f"The first {_SHOWN} of {len(rows)}." if len(rows) > _SHOWN else ""
    blocks.append(
        Details("These figures as a table, with their tests", Table(table, "Headline comparisons", note=note))
    )
    return Section("Figures", *blocks)


def _forest(kind: str, rows: list[dict[str, Any]], looks: dict[tuple[str, ...], str]) -> Picture:
    total = len(rows)
    if total > _DRAWN:  # those with a verdict, then the largest; in the table's order
        order = sorted(
            range(total), key=lambda i: (looks.get(_row_key(rows[i]), "plain") in ("quiet", "plain"), -_size(rows[i]))
        )
        rows = [rows[i] for i in sorted(order[:_DRAWN])]
    order_of = {head: i for i, head in enumerate(dict.fromkeys(map(_head, rows)))}
    rows = sorted(rows, key=lambda row: order_of[_head(row)])  # what is of one name and column stands together
    percent = kind in ("points", "percent") or (kind == "best" and is_share(str(rows[0]["metric"])))
    unit = {"ratio": "times the reference", "percent": "%"}.get(kind, "percentage points" if percent else "")
    line = {"ratio": 1.0, "percent": None}.get(kind, 0.0)
    found = [looks.get(_row_key(row), "plain") for row in rows]
    what = {"points": "Differences", "percent": "Worst groups", "ratio": "Ratios to the reference",
            "best": "Against the best group"}.get(kind, "Figures")  # fmt: skip
    title = f"{what}, with 95 % intervals"
    numbers = ([row[side] for row in rows] for side in ("value", "ci_low", "ci_high"))
    drawn = plots.intervals(
        [compared_groups(row) for row in rows], *numbers,
        notes=[f"{figure(row['metric'], row['value'], row['ci_low'], row['ci_high'])}{_n(row)}" for row in rows],
        heads=heads_of(rows), looks=found, legend=_LOOKS, line=line, percent=percent, title=title, unit=unit,
    )  # fmt: skip
    largest = max(rows, key=_size)
    alt = (
        f"{title}: {len(rows)} comparisons, {sum(one in ('strong', 'fragile') for one in found)} of them found. The "
        f"largest: {_head(largest)}, {compared_groups(largest)}, "
        f"{figure(largest['metric'], largest['value'], largest['ci_low'], largest['ci_high'])}. All are in the table."
    )
    left_out = f" {_DRAWN} of {total}: those that were found and the largest." if total > len(rows) else ""
    gaps = any(str(row["metric"]).endswith("_gap") for row in rows)
    caption = "A gap is the highest minus the lowest group; its interval holds for every pair at once." if gaps else ""
    return Picture(drawn, f"{caption}{left_out}".strip(), alt, wide=True, drawn=True)


def group_section(audit: Audit) -> Section:
    """Heat tables of each metric by group, and every figure of a group as a table."""
    written = audit.table[audit.table["variant"] == WRITTEN]
    groups = written[written["metric"].map(base_of) == written["metric"]]
    groups = groups[groups["group"] != ""]
    headline = {base_of(str(m)) for m in audit.table[claimed(audit.table)]["metric"]}
    names = dict.fromkeys(zip(*(audit.table[claimed(audit.table)][c] for c in ("metric", "name")), strict=True))
    wanted = {(base_of(str(metric)), str(name)) for metric, name in names}
    blocks: list[Block] = [Text(told)] if (told := _by_category(audit, set(map(str, groups["name"])))) else []
    rest: list[Block] = []
    for (metric, by), part in groups.groupby(["metric", "by"], sort=False):
        first = part[[(str(metric), str(name)) in wanted for name in part["name"]]]
        if metric in headline and len(first):
            blocks.append(_heat(str(metric), str(by), first))
            if len(set(part["name"])) > len(set(first["name"])):
                rest.append(_heat(str(metric), str(by), part))
        else:
            rest.append(_heat(str(metric), str(by), part))
    if rest:
        blocks.append(Details("The other labels and metrics by group", *rest))
    table = [
        {"figure": title_of(str(row["metric"])), "what": said(str(row["name"])), "by": said_column(str(row["by"])),
         "group": said_group(str(row["group"])), "value (95 % interval)":
         figure(row["metric"], row["value"], row["ci_low"], row["ci_high"]), "k": number(row["k"]),
         "n": number(row["n"])}
        for row in groups.head(_SHOWN).to_dict("records")
    ]  # fmt: skip
    note = "k of n pictures: given the label, or judged rightly where it is an accuracy."
    note += f" The first {_SHOWN} of {len(groups)}." if len(groups) > _SHOWN else ""
    if table:
        blocks.append(
            Details(
                "Every figure by group, with intervals", Table(table, "Figures by group", note=note, figures=("k", "n"))
            )
        )
    return Section("By group", *(blocks or [Text("No figure by group was computed.")]))


def _by_category(audit: Audit, names: set[str]) -> str:
    """What is meant by an accuracy by category, where there is one."""
    told = []
    for name in sorted(one for one in names if one.endswith(BY_CATEGORY)):
        whole = name.removesuffix(BY_CATEGORY)
        labels = [one for one in audit.spec.labels if one.category and whole in (one.set, "all labels")]
        listed = ", ".join(said(one) for one in dict.fromkeys(label.category for label in labels))
        told.append(f'"{said(name)}" counts any label of the right category as right; the categories are {listed}.')
    return " ".join(told)


def _heat(metric: str, by: str, part: pd.DataFrame) -> Picture:
    wide = part.drop_duplicates(["name", "group"]).pivot(index="name", columns="group", values="value")
    names, groups = list(dict.fromkeys(part["name"])), list(dict.fromkeys(part["group"]))
    names, groups = names[: plots.MOST_CELLS], groups[: plots.MOST_CELLS]
    wide = wide.loc[names, groups]
    rows, columns = names, groups
    if len(groups) > max(8, len(names)):  # the longer side goes down
        wide, rows, columns = wide.T, groups, names
    unit = ", %" if is_share(metric) else ""
    title = f"{title_of(metric)} by {said_column(by)}{unit}"
    drawn = plots.heat_table(
        wide.to_numpy(float), [said_group(str(r)) for r in rows], [said_group(str(c)) for c in columns],
        percent=is_share(metric), title=title[0].upper() + title[1:],
    )  # fmt: skip
    top: Any = part.sort_values("value", ascending=False).iloc[0] if part["value"].notna().any() else None
    alt = f"{title}: {len(names)} by {len(groups)} cells."
    if top is not None:
        alt += (
            f" The highest: {said(str(top['name']))}, {said_group(str(top['group']))}, {shown(metric, top['value'])}."
        )
    return Picture(drawn, "", alt + " All are in the table below.", drawn=True)


def compared_groups(row: Any) -> str:
    """Who is compared to whom, in a few words."""
    group, reference = said_group(str(row["group"] or "")), said_group(str(row["reference"] or ""))
    reference = {"rest": "the rest", "best": "the best"}.get(reference, reference)
    between = f"{group} against {reference}" if group and reference else group or reference or "all"
    return f"gap: {between}" if str(row["metric"]).endswith("_gap") else between


def heads_of(rows: Sequence[Any]) -> dict[int, str]:
    """Number of a line -> the heading above it: where another name or column begins."""
    return {i: _head(row) for i, row in enumerate(rows) if not i or _head(row) != _head(rows[i - 1])}


def number(value: Any) -> str:
    """A count; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def probability(value: float) -> str:
    """A p-value.

    >>> probability(0.00001), probability(0.034)
    ('below 0.001', '0.034')
    """
    if value is None or math.isnan(value):
        return "–"
    return "below 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.0995 else f"{value:.2f}"


def capped(rows: Iterable[dict[str, Any]], most: int = _SHOWN) -> tuple[list[dict[str, Any]], str]:
    """The first rows, and a note where there are more."""
    listed = list(rows)
    return listed[:most], f"The first {most} of {len(listed)}." if len(listed) > most else ""


def _kind(metric: str) -> str:
    if metric.endswith("_ratio"):
        return "ratio"
    if metric.endswith("_against_best"):
        return "best"
    if is_share(metric):
        return "points" if is_difference(metric) else "percent"
    return base_of(metric)


def _head(row: Any) -> str:
    figure_ = said_figure(str(row["metric"]), str(row.get("level", "label")), str(row["name"]))
    return f"{figure_}, by {said_column(str(row['by']))}"


def _n(row: Any) -> str:
    return "" if row["n"] is None or math.isnan(row["n"]) else f", n = {number(row['n'])}"


def _size(row: Any) -> float:
    return size_of(row["value"])


def size_of(value: float) -> float:
    """How far from zero; what is undefined comes last."""
    return -1.0 if math.isnan(value) else abs(float(value))


def _key(verdict: Verdict) -> tuple[str, ...]:
    return verdict.metric, verdict.level, verdict.name, verdict.by, verdict.group, verdict.reference


def _row_key(row: Any) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("metric", "level", "name", "by", "group", "reference"))


def _look(verdict: Verdict) -> str:
    if verdict.state == "found":
        return "fragile" if verdict.fragile else "strong"
    return "quiet" if verdict.state == "not found" else "plain"
