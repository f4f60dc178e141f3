"""An evaluation as one self-contained HTML page, and as a view in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import reporting
from ..reporting import Notice, Picture, Provenance, Section, Table
from ..reporting.html import isolate
from .seen import ZERO_SHOT

if TYPE_CHECKING:
    from .result import Evaluation

_SHOWN = 1000  # pictures and labels on a page; a JSON or `items` holds all


def evaluation_page(evaluation: Evaluation) -> str:
    """Metrics, the accuracy of each label, pictures that were not scored, and the provenance."""
    labels = evaluation.per_label().drop(columns="label")
    claim = Notice(evaluation.seen, "info" if evaluation.seen == ZERO_SHOT else "warning")
    notes = [Notice(note) for note in evaluation.notes]
    sections = [
        Section("Metrics", claim, *notes, _metrics(evaluation)),
        Section(
            "Labels",
            Picture(evaluation.plot(), "Top-1 accuracy, the worst label on top.", alt=_worst(labels), wide=True),
            Table(labels.head(_SHOWN), "Each label, the worst first, and what it is most often mistaken for",
                  formats={"accuracy": ".1%", "mistaken": ".1%"}),
        ),
    ]  # fmt: skip
    if evaluation.failed:
        lost = [{"id": name, "reason": reason} for name, reason in evaluation.failed[:_SHOWN]]
        more = f"The first {_SHOWN} of {len(evaluation.failed)}." if len(evaluation.failed) > _SHOWN else ""
        sections.append(Section("Pictures that were not scored", Table(lost, "Each with its reason", note=more)))
    sections.append(Section("Provenance", Provenance({"task": evaluation.task, **evaluation.provenance})))
    return reporting.page(
        f"{evaluation.model}: {evaluation.task.replace('_', ' ')}", sections, lead=evaluation.headline
    )


def evaluation_view(evaluation: Evaluation) -> str:
    """The metrics as a small table; whatever comes from the data is text, never markup."""
    head = "".join(f"<th>{isolate(name)}</th>" for name in evaluation.table.columns)
    body = ""
    for row in evaluation.table.itertuples(index=False, name=None):
        cells = (f"{value:.1%}" if isinstance(value, float) else value for value in row)
        body += "<tr>" + "".join(f"<td>{isolate(cell)}</td>" for cell in cells) + "</tr>"
    told = [evaluation.seen, *evaluation.notes]
    if evaluation.failed:
        told.append(f"{len(evaluation.failed)} pictures were not scored: see .failed.")
    said = "".join(f"<p>{isolate(text)}</p>" for text in told)
    title = f"{evaluation.model}, {evaluation.task.replace('_', ' ')}, half: {evaluation.provenance.get('half', 'all')}"
    return f"<div><p><b>{isolate(title)}</b></p><table><tr>{head}</tr>{body}</table>{said}</div>"


def _metrics(evaluation: Evaluation) -> Table:
    return Table(
        evaluation.table,
        "Each metric, and what chance and the best constant answer would reach",
        formats={"value": ".2%", "chance": ".2%", "majority": ".2%"},
        note="top-1: the truth's cosine is the highest, a tie is wrong; balanced: the mean over the labels that occur.",
    )


def _worst(labels: Any) -> str:
    first, last = labels.iloc[0], labels.iloc[-1]
    return (
        f"Bars of {len(labels)} labels, from {first['name']} ({first['accuracy']:.0%}) "
        f"to {last['name']} ({last['accuracy']:.0%})."
    )
