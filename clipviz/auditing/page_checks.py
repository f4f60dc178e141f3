"""The parts of an audit's page that put its figures to the test: composition, wording, words, power, and others'."""

from __future__ import annotations

import math
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plots
from ..reporting import Block, Details, Notice, Picture, Section, Table, Text
from .claims import KEY
from .formats import figure, interval, is_share, shown
from .page_parts import capped, compared_groups, heads_of, number, probability
from .sentences import said, said_column, said_group
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from .result import Audit

_DRAWN, _OPEN = 40, 12  # lines of a figure, rows of a table that stands unfolded


def composition_section(audit: Audit) -> Section | None:
    """Crude gaps beside those at equal composition."""
    table = audit.composition
    if table is None or not len(table):
        return None
    rows = table.to_dict("records")
    comparable = [row for row in rows if math.isfinite(row["adjusted"])]
    blocks: list[Block] = [
        Text("A gap between groups can come from who is in them: their ages, say. Beside each crude gap stands the gap "
             "as it would be if all groups were made up alike: standardised to all pictures, and by Mantel-Haenszel.")
    ]  # fmt: skip
    warned = [row for row in rows if row["disagree"]]
    if warned:
        told = [f"{_claim(row)}: {said_note(row)}" for row in warned[:10]]
        blocks.append(Notice("\n\n".join(told), "warning", "Crude and adjusted disagree"))
    shown_rows = sorted(range(len(comparable)), key=lambda i: -abs(comparable[i]["crude"]))[:_DRAWN]
    chosen = [comparable[i] for i in sorted(shown_rows)]
    if chosen:
        sides = {"crude": "crude", "standardised": "adjusted", "Mantel-Haenszel": "mh"}
        ways = {
            name: [[row[f"{c}{end}"] for end in ("", "_low", "_high")] for row in chosen] for name, c in sides.items()
        }
        drawn = plots.compared(
            [compared_groups(row) for row in chosen], ways, heads=heads_of(chosen),
            notes=["disagree" if row["disagree"] else "" for row in chosen],
            title="Crude gaps beside gaps at equal composition", unit="percentage points",
        )  # fmt: skip
        alt = (
            f"Crude and adjusted intervals of {len(chosen)} comparisons; {len(warned)} disagree. All are in the table."
        )
        few = f"{len(chosen)} of {len(comparable)}: those with the largest crude gaps."
        blocks.append(Picture(drawn, few if len(chosen) < len(comparable) else "", alt, wide=True, drawn=True))
    listed, note = capped(
        {"comparison": _claim(row), "crude": _three(row, "crude"), "standardised": _three(row, "adjusted"),
         "Mantel-Haenszel": _three(row, "mh"), "its p": probability(row["mh_p"]), "strata": number(row["strata"]),
         "left out: too small": _listed(row["small_strata"]), "moves if 5 % of group labels were wrong":
         _moved(row, "moved_5"), "if 10 %": _moved(row, "moved_10"), "note": str(row["note"] or "")}
        for row in rows
    )  # fmt: skip
    blocks.append(
        Details("Crude against adjusted as a table", Table(listed, "Composition", note=note, figures=("strata",)))
    )
    return Section("Crude against adjusted", *blocks)


def wording_section(audit: Audit) -> Section | None:
    """Where each headline figure lies under every wording."""
    table = audit.spread
    if table is None or not len(table):
        return None
    claims = [(key, part) for key, part in table.groupby(list(KEY), sort=False) if len(part) > 1]
    if not claims:
        return None
    size = {key: float(part["value"].abs().max()) for key, part in claims}
    chosen = [pair for pair in claims if pair[0] in sorted(size, key=lambda key: -size[key])[:_DRAWN]]
    names = [name for name in dict.fromkeys(table["wording"]) if name != WRITTEN]
    blocks: list[Block] = [
        Text("The same question in other words, on the same pictures. A figure that holds in one wording alone says "
             "more about the wording than about the model: such a verdict is marked fragile.")
    ]  # fmt: skip
    for percent in (True, False):
        part = [(dict(zip(KEY, key, strict=True)), rows) for key, rows in chosen if is_share(str(key[0])) == percent]
        if not part:
            continue
        first = np.full((len(part), 3), np.nan)
        others = np.full((len(part), len(names)), np.nan)
        notes = []
        for i, (_, rows) in enumerate(part):
            at = rows.drop_duplicates("wording").set_index("wording")
            if WRITTEN in at.index:
                first[i] = at.loc[WRITTEN, ["value", "ci_low", "ci_high"]].to_numpy(float)
            for j, name in enumerate(names):
                others[i, j] = at["value"].get(name, np.nan)
            notes.append(f"{int(rows['keeps_sign'].sum())} of {len(rows)} hold{_net(rows, percent)}")
        drawn = plots.spread_chart(
            [compared_groups(about) for about, _ in part], others, first, notes=notes, percent=percent,
            heads=heads_of([about for about, _ in part]),
            title="Headline figures under other wordings", unit="percentage points" if percent else "",
        )  # fmt: skip
        alt = f"{len(part)} headline figures as written and under {len(names)} other wordings; all in the table."
        caption = (
            "Hold: under how many wordings the 95 % interval lies off zero, on the side of the figure as written. sd: "
            "over the wordings, net of sampling noise."
        )
        caption += f" {len(chosen)} of {len(claims)}: those that reach farthest." if len(chosen) < len(claims) else ""
        blocks.append(Picture(drawn, caption, alt, wide=True, drawn=True))
    listed, note = capped(
        {"comparison": _claim(row), "wording": said(str(row["wording"])), "value": shown(row["metric"], row["value"]),
         "95 % interval": interval(row["metric"], row["ci_low"], row["ci_high"]),
         "corrected interval": interval(row["metric"], row["corrected_low"], row["corrected_high"]),
         "off zero, same side": bool(row["keeps_sign"])}
        for row in table.to_dict("records")
    )  # fmt: skip
    blocks.append(
        Details(
            "Every wording as a table",
            Table(listed, "Headline figures under every wording", note=note, figures=("value",)),
        )
    )
    return Section("Wording", *blocks)


def words_section(audit: Audit) -> Section | None:
    """Does the model know the words?"""
    table = audit.competence
    if table is None or not len(table):
        return None
    states = table["state"].tolist()
    barred = sum(state in ("never seen in training", "not told apart") for state in states)
    untold = sum(state == "not testable" for state in states)
    told = f"{len(states) - barred - untold} of {len(states)} labels are known to mean something to this model"
    told += f", {barred} are not and get no verdict" if barred else ""
    told += f", {untold} cannot be tested here" if untold else ""
    listed, note = capped(
        {"label": said(str(row["label"])), "role": row["role"], "state": row["state"],
         "AUC (95 % interval)": _auc(row), "pictures that show it": number(row["shown"]) if row["shown"] else "–",
         "in words": said_long(row["sentence"])}
        for row in table.to_dict("records")
    )  # fmt: skip
    notice = Notice(f"{told}.", "warning" if barred else "info", "Labels and what the model knows of them")
    return Section("Does the model know the words?", notice, Table(listed, "Each label's competence", note=note))


def power_section(audit: Audit) -> Section | None:
    """What this audit could not have seen."""
    table = audit.power
    if table is None or not len(table):
        return None
    sizes = table["smallest_gap"].to_numpy(float)
    finite = sizes[np.isfinite(sizes)]
    told = "Silence is no proof of fairness: a gap may be there and be too small to be found four times in five."
    if finite.size:
        metric = str(table["metric"].iloc[0])
        low, high = (shown(metric, float(v)).lstrip("+") for v in (finite.min(), finite.max()))
        span = f"goes from {low} to {high}" if low != high else f"is {low}"
        told += f" The smallest gap that it finds so often {span}, after correction over the whole report."
    listed, note = capped(
        {"comparison": _claim(row), "n": number(row["n"]), "n of the reference": number(row["n_reference"]),
         "rate of the reference": shown("share", row["rate"]),
         "smallest gap found in 80 % of such audits": shown(row["metric"], row["smallest_gap"]).lstrip("+")}
        for row in table.to_dict("records")
    )  # fmt: skip
    measured = Table(listed, "Power", note=note, figures=tuple(listed[0])[1:])
    folded = measured if len(listed) <= _OPEN else Details("Comparison by comparison", measured)
    return Section("What this audit could not have seen", Text(told), folded)


def published_section(audit: Audit) -> Section | None:
    """Others' figures beside ours, never judged by."""
    if not audit.spec.published:
        return None
    cautions = list(dict.fromkeys(one.caution for one in audit.spec.published if one.caution))
    models = dict.fromkeys(one.model for one in audit.spec.published)
    whose = next(iter(models)) if len(models) == 1 else ""
    shared = _shared([one.source for one in audit.spec.published])  # said once, and in full
    listed, note = capped(
        {"figure": said(one.name), "by": said_column(one.by) or "everybody", "group": said_group(one.group) or "–",
         "published": shown(one.metric, one.value), "here (95 % interval)": _ours(audit.table, one)}
        | ({} if len(models) == 1 else {"their model": said(one.model) or "–"})
        | ({} if one.source == shared else {"source": said_long(one.source.removeprefix(shared).lstrip(", "))})
        for one in audit.spec.published
    )  # fmt: skip
    once = [f"{what}: {said_long(text)}." for what, text in (("Source", shared), ("Their model", whose)) if text]
    warned = "\n\n".join(cautions) or "Published figures depend on prompts, weights and pictures that are not these."
    return Section(
        "Published figures beside ours", Notice(warned, "warning", "These need not agree"),
        *([Text(" ".join(once))] if once else []),
        Table(listed, "Published, and measured here", note=note, figures=("published",)),
    )  # fmt: skip


def _ours(table: pd.DataFrame, one: Any) -> str:
    here = table[(table["variant"] == WRITTEN) & (table["metric"] == one.metric) & (table["name"] == one.name)]
    if one.group:
        here = here[(here["group"] == one.group) & (here["by"] == one.by)]
    elif len(here):
        from ..stats import share_limits

        here = here[(here["by"] == here["by"].iloc[0]) & (here["reference"] == "")]
        hits, n = float(here["k"].sum()), float(here["n"].sum())
        if not n > 0 or math.isnan(hits):
            return "–"
        low, high = share_limits(hits, n)
        return figure(one.metric, hits / n, float(low), float(high))
    if not len(here):
        return "not measured here"
    row = here.iloc[0]
    return figure(one.metric, row["value"], row["ci_low"], row["ci_high"])


def _shared(sources: list[str]) -> str:
    """What all sources begin with, whole parts between commas of it."""
    shared = sources[0].split(", ")
    for one in sources[1:]:
        pairs = zip(shared, one.split(", "), strict=False)
        shared = [mine for mine, theirs in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return ", ".join(shared)


def _claim(row: Any) -> str:
    return f"{heads_of([row])[0]}: {compared_groups(row)}"


def _three(row: Any, name: str) -> str:
    return figure(row["metric"], row[name], row[f"{name}_low"], row[f"{name}_high"])


def _moved(row: Any, name: str) -> str:
    return shown("share_difference", row[name])


def _net(rows: pd.DataFrame, percent: bool) -> str:
    net = float(rows["sd_net"].iloc[0]) if "sd_net" in rows else math.nan
    return "" if math.isnan(net) else f"; sd {100 * net:.1f}" if percent else f"; sd {net:.3f}"


def _auc(row: Any) -> str:
    return "–" if math.isnan(row["auc"]) else f"{row['auc']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})"


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) or "–" if isinstance(value, list | tuple) else str(value or "–")


def said_note(row: Any) -> str:
    """The note of a row of composition, or what disagreeing means."""
    return str(row["note"] or "one interval is off zero and the other is not, or on the other side")


def said_long(sentence: str) -> str:
    """A sentence that quotes a label in full, at most 400 letters of it."""
    return sentence if len(sentence) <= 400 else sentence[:400] + "…"
