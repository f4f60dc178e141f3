"""The labels above a threshold that are given to one group most more often than to another, as the paper lists them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..reporting import Details, Section, Table, Text
from .claims import Figures
from .formats import base_of
from .sentences import said_group
from .tally import WRITTEN

if TYPE_CHECKING:
    from .result import Audit


def leaning_section(audit: Audit) -> Section | None:
    """For every threshold, the ``thresholds.most`` labels that lean most to each side; None for other audits.

    Radford et al. 2021, section 7.1, figure 18: the 20 most gendered labels of each gender at 0.5 % and 4 %.
    """
    if audit.spec.kind != "threshold":
        return None
    blocks: list[Any] = []
    for metric, by, group, reference, rows in _sides(audit):
        base = base_of(metric)
        above = f"{100 * float(base.partition('@')[2]):g} %" if "@" in base else "the threshold"
        caption = f"Above {above}: labels that {said_group(group)} is given more often than {said_group(reference)}"
        note = "The difference in points with its 95 % interval; p is corrected over the whole report."
        summary = f"More for {said_group(group)}, above {above} (by {by}, {len(rows)} labels)"
        blocks.append(Details(summary, Table(rows, caption, note=note)))
    told = f"At most {audit.spec.thresholds.most} a side, the largest difference first. A large p may be chance."
    return Section("Labels that lean most to a group", Text(told), *blocks) if blocks else None


def _sides(audit: Audit) -> list[tuple[str, str, str, str, list[dict[str, Any]]]]:
    """(metric, by, group, reference, rows): each comparison once in its own direction and once turned round."""
    table = audit.table
    kept = table[(table["variant"] == WRITTEN) & (table["level"] == "label")]
    kept = kept[kept["metric"].str.startswith("above_threshold") & kept["metric"].str.endswith("_difference")]
    compared: dict[tuple[str, ...], list[dict[Any, Any]]] = {}
    for row in kept.to_dict("records"):
        compared.setdefault(tuple(row[key] for key in ("metric", "by", "group", "reference")), []).append(row)
    figures = Figures.of(table)
    found = []
    for (metric, by, group, reference), rows in compared.items():
        for turn, one, other in ((1, group, reference), (-1, reference, group)):
            ours = [row for row in rows if turn * row["value"] > 0]
            leaning = sorted(ours, key=lambda row: (-abs(row["value"]), row["name"]))
            shown = [_shown(row, turn, one, other, figures) for row in leaning[: audit.spec.thresholds.most]]
            if shown:
                found.append((metric, by, one, other, shown))
    return found


def _shown(row: dict[Any, Any], turn: int, one: str, other: str, figures: Figures) -> dict[str, Any]:
    """A label's line, seen from the group ``one``."""
    pair = figures.pair(base_of(row["metric"]), "label", row["by"], row["name"], row["group"], row["reference"])
    shares = [math.nan, math.nan] if pair is None else [figure.value for figure in pair][::turn]
    least, most = sorted((turn * row["ci_low"], turn * row["ci_high"]))
    return {
        "label": row["name"],
        said_group(one): f"{shares[0]:.1%}",
        said_group(other): f"{shares[1]:.1%}",
        "points": f"{100 * turn * row['value']:.1f} ({100 * least:.1f} to {100 * most:.1f})",
        "p": None if math.isnan(row["p_adjusted"]) else round(row["p_adjusted"], 4),
    }
