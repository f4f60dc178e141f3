"""An evaluation of boxes as one self-contained HTML page, and as a view in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import reporting
from ...reporting import Notice, Picture, Provenance, Section, Table
from ...reporting.html import isolate
from ..seen import ZERO_SHOT
from .result import shown
from .summary import ALL

if TYPE_CHECKING:
    from .result import BoxEvaluation

_SHOWN = 500  # labels and failures on a page; a JSON or `items` holds all
_NOTE = (
    "AP: average precision over IoU 0.5 to 0.95, AP30, AP50 and AP75 at one IoU, AR: average recall of at most so many "
    "boxes a label (COCO's, by pycocotools); GT-known: the highest box of the given label overlaps a truth by 0.5; "
    "top-1 localisation: and it is the highest of the picture; MaxBoxAccV2: GT-known over IoU 0.3, 0.5, 0.7; mean best "
    "IoU: each truth with its best box; oracle: the best candidate overlaps by 0.5; false alarms: pictures with a box "
    "at the threshold where nothing that was asked is there (lower is better). Limits: 95 %, from resampled pictures."
)


def boxes_page(evaluation: BoxEvaluation) -> str:
    """Metrics beside the rivals, precision and reliability, labels, what was left out, and the provenance."""
    claim = Notice(evaluation.seen, "info" if evaluation.seen == ZERO_SHOT else "warning")
    labels = evaluation.per_label()
    figure = Picture(evaluation.plot(), "Precision over recall.", alt=f"Curves. {evaluation.headline}.", wide=True)
    sections = [
        Section("Metrics", claim, *[Notice(note) for note in evaluation.notes],
                Table(beside(evaluation), "Value and 95 % limits", note=_NOTE)),
        Section("Precision", figure),
    ]  # fmt: skip
    if evaluation.provenance.get("calibration"):
        drawn = Picture(evaluation.plot("reliability"), "Reliability of the calibrated scores.",
                        alt="Points of the share that is right over the predicted probability.", wide=True)  # fmt: skip
        bins = Table(evaluation.reliability(), "Boxes by predicted probability",
                     formats=dict.fromkeys(("from", "to", "predicted", "right", "low", "high"), ".1%"))  # fmt: skip
        sections.append(Section("Reliability", drawn, bins))
    sections.append(Section("Labels", Table(labels.head(_SHOWN), "Each label, the worst first",
                                            formats={"AP50": ".1%", "GT-known": ".1%"})))  # fmt: skip
    if evaluation.failed:
        lost = [{"id": name, "reason": reason} for name, reason in evaluation.failed[:_SHOWN]]
        more = f"The first {_SHOWN} of {len(evaluation.failed)}." if len(evaluation.failed) > _SHOWN else ""
        sections.append(Section("Left out", Table(lost, "Pictures and boxes, each with its reason", note=more)))
    sections.append(Section("Provenance", Provenance({"task": evaluation.task, **evaluation.provenance})))
    return reporting.page(f"{evaluation.model}: detection", sections, lead=evaluation.headline)


def boxes_view(evaluation: BoxEvaluation) -> str:
    """The metrics as a small table; whatever comes from the data is text, never markup."""
    rows = beside(evaluation)
    head = "".join(f"<th>{isolate(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{isolate('-' if cell is None else cell)}</td>" for cell in row.values()) + "</tr>"
        for row in rows
    )
    told = [evaluation.seen, *evaluation.notes]
    if evaluation.failed:
        told.append(f"{len(evaluation.failed)} pictures or boxes were left out: see .failed.")
    said = "".join(f"<p>{isolate(text)}</p>" for text in told)
    title = f"{evaluation.model}, detection, half: {evaluation.provenance.get('half', 'all')}"
    return f"<div><p><b>{isolate(title)}</b></p><table><tr>{head}</tr>{body}</table>{said}</div>"


def beside(evaluation: BoxEvaluation) -> list[dict[str, Any]]:
    """A row a metric, a column a method, and what the detector is ahead of each rival."""
    table = evaluation.table
    methods = list(dict.fromkeys(table["method"]))
    cells = {(row["metric"], row["boxes"], row["method"]): row for row in table.to_dict("records")}
    found = []
    for metric, boxes in dict.fromkeys(zip(table["metric"], table["boxes"], strict=True)):
        own = cells.get((metric, boxes, methods[0]))
        row: dict[str, Any] = {
            "metric": metric if boxes == ALL else f"{metric}, {boxes}",
            "n": own["n"] if own else None,
        }
        for method in methods:
            cell = cells.get((metric, boxes, method))
            row[method] = shown(cell).replace(" %", "\u00a0%") if cell else "-"
        for method in methods[1:]:
            cell = cells.get((metric, boxes, method))
            row[f"ahead of {method}"] = _ahead(cell) if cell else "-"
        found.append(row)
    return found


def _ahead(cell: Any) -> str:
    value, low, high = (100 * cell[name] for name in ("difference", "difference_low", "difference_high"))
    return "-" if value != value else f"{value:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "\u2212")
