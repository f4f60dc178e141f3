"""A league as one self-contained HTML page, and as a view in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import reporting
from ...reporting import Notice, Picture, Provenance, Section, Table
from ...reporting.html import isolate
from .measures import MEASURES
from .result import shown

if TYPE_CHECKING:
    from .result import League

_SHOWN = 500  # failures on a page; a JSON or `items` holds all


def league_page(league: League) -> str:
    """A table and a figure for each world, what failed, and the provenance."""
    sections = [Section("What to keep in mind", *[Notice(note) for note in league.notes])] if league.notes else []
    for world in dict.fromkeys(league.table["world"]):
        rows = league.ranking(world)
        figure = Picture(
            league.plot(world), f"{rows['metric'].iloc[0]} against cost.", alt=_said(rows.iloc[0]), wide=True
        )
        table = Table(wide(league, world), f"{world}: value and 95 % limits, the best in the first column on top",
                      note=_explained(league, world))  # fmt: skip
        sections.append(Section(world[0].upper() + world[1:], figure, table))
    if league.failed:
        lost = [{"id": name, "reason": reason} for name, reason in league.failed[:_SHOWN]]
        more = f"The first {_SHOWN} of {len(league.failed)}." if len(league.failed) > _SHOWN else ""
        sections.append(Section("Not measured", Table(lost, "Each with its reason", note=more)))
    sections.append(Section("Provenance", Provenance({"task": league.task, **league.provenance})))
    return reporting.page(f"{league.model}: which explanation to believe", sections, lead=league.headline)


def league_view(league: League) -> str:
    """The first world as a small table."""
    rows = wide(league, league.table["world"].iloc[0])
    head = "".join(f"<th>{isolate(name)}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{isolate(cell)}</td>" for cell in row.values()) + "</tr>" for row in rows)
    said = "".join(f"<p>{isolate(text)}</p>" for text in (league.headline, *league.notes))
    return f"<div><p><b>{isolate(league.model)}</b></p><table><tr>{head}</tr>{body}</table>{said}</div>"


def wide(league: League, world: str) -> list[dict[str, Any]]:
    """A row a method, a column a metric: value with limits, and n where it is not that of the others."""
    part = league.table[league.table["world"] == world]
    metrics = list(dict.fromkeys(part["metric"]))
    found: list[dict[str, Any]] = []
    for method in league.ranking(world)["method"]:
        rows = part[part["method"] == method].set_index("metric", drop=False)
        row: dict[str, Any] = {"method": method}
        for metric in metrics:
            if metric in rows.index:
                cell = rows.loc[metric]
                fewer = f" (n = {cell['n']})" if cell["n"] < part["n"].max() else ""
                row[metric] = shown(cell) + fewer
            else:
                row[metric] = "-"
        cell = rows.iloc[0]
        if cell["pairs"] and method != "gradcam":
            share = 100 * cell[["difference", "difference_low", "difference_high"]].astype(float)
            row[f"{metrics[0]}, minus gradcam"] = f"{share.iloc[0]:+.1f} [{share.iloc[1]:+.1f}, {share.iloc[2]:+.1f}]"
        else:
            row[f"{metrics[0]}, minus gradcam"] = "-"
        row["cost in passes"] = "-" if not cell["cost"] > 0 else f"{cell['cost']:.3g}"
        found.append(row)
    return found


def _explained(league: League, world: str) -> str:
    named = dict.fromkeys(league.table["metric"][league.table["world"] == world])
    said = [f"{m.label}: {m.about} ({m.better} is better)" for m in MEASURES.values() if m.label in named]
    return "; ".join(said) + "."


def _said(best: Any) -> str:
    return f"Points of {best['metric']} against cost; the highest is {best['method']} with {shown(best)}."
