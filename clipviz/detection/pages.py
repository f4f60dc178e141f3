"""A set of boxes as one self-contained HTML page, and as a view in a notebook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from .. import plots, reporting
from ..errors import InputError
from ..plots.tags import one_line
from ..reporting import Notice, Picture, Provenance, Section, Table
from ..reporting.blocks import table_text
from ..reporting.html import data_uri, isolate
from .detections import counted

if TYPE_CHECKING:
    from .detections import Detections


_PAGE, _VIEW = 1000, 20  # boxes that are listed; a CSV or a JSON holds all
_FORMATS = {"x0": ".1f", "y0": ".1f", "x1": ".1f", "y1": ".1f"}
# The folders of a path from the root, of either kind of system: a page goes to others, and its maker's folders do not.
_FOLDERS = re.compile(
    r"(?<=['\"])(?:[A-Za-z]:)?[/\\][^'\"\n]*[/\\]"  # in quotes, whatever they are called
    r"|(?<![\w.~/\\:<])(?:[A-Za-z]:)?[/\\]+(?:[^/\\'\"\n:;,()<>]+[/\\]+)+"
)
_WHOLE = re.compile(r"(?:[A-Za-z]:)?[/\\].*[/\\](?=.)", re.DOTALL)
_GONE = "A picture cannot be opened again, so nothing is drawn: detections.with_pictures(...) takes the pictures anew."


def detections_page(detections: Detections) -> str:
    """The figure, the boxes, the labels, what could not be opened, and the provenance."""
    notes = [Notice(without_folders(note), "warning") for note in detections.notes]
    figure = _figure(detections)
    drawn = (
        Notice(_GONE) if figure is None else Picture(figure, _caption(detections), alt=in_words(detections), wide=True)
    )
    table = detections.table
    sections = [
        Section("The boxes", *notes, *([drawn] if detections.images else []), _boxes(detections, _PAGE)),
        Section("The labels", Table(_labels(detections), "Each label and its boxes")),
    ]  # fmt: skip
    if detections.failed:
        lost = [{"image": name, "reason": without_folders(reason)} for name, reason in detections.failed[:_PAGE]]
        more = f"The first {_PAGE} of {len(detections.failed)}." if len(detections.failed) > _PAGE else ""
        sections.append(Section("Pictures that could not be opened", Table(lost, "Each with its reason", note=more)))
    about = {"threshold": detections.threshold, **detections.provenance}
    sections.append(Section("Provenance", Provenance(_shared(about))))
    found = f"{table['label'].nunique()} of {len(detections.labels)} labels"
    lead = f"{counted(len(detections))} of score {detections.threshold:.3g} or more, of {found}."
    return reporting.page(without_folders(f"Boxes by {detections.method}, {detections.model}"), sections, lead=lead)


def detections_view(detections: Detections) -> str:
    """The figure and the highest boxes; whatever comes from outside is text, never markup."""
    parts = [f"<p><b>{isolate(without_folders(repr(detections)))}</b></p>"]
    figure = _figure(detections)
    if figure is not None:
        uri, width, height = data_uri(figure)
        alt = escape(one_line(in_words(detections), 400))  # within an attribute, where no <bdi> may stand
        parts.append(
            f'<img src="{uri}" width="{width}" height="{height}" alt="{alt}" style="max-width:100%;height:auto">'
        )
    elif detections.images:
        parts.append(f"<p>{isolate(_GONE)}</p>")
    if len(detections):
        grid = table_text(_boxes(detections, _VIEW))
        head = "".join(f"<th>{isolate(name)}</th>" for name in grid.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{isolate(one_line(cell))}</td>" for cell in row) + "</tr>" for row in grid.rows
        )
        parts.append(f"<table><tr>{head}</tr>{rows}</table>")
        if len(detections) > _VIEW:
            parts.append(f"<p>The first {_VIEW} of {len(detections)} boxes.</p>")
    told = [without_folders(note) for note in detections.notes]
    if detections.failed:
        told.append(f"{len(detections.failed)} pictures could not be opened: see .failed.")
    return f"<div>{''.join(parts)}{''.join(f'<p>{isolate(text)}</p>' for text in told)}</div>"


def without_folders(text: str) -> str:
    """``text`` with the folders taken from its absolute paths.

    >>> without_folders("'/photos/ann/a.jpg' is damaged")
    "'a.jpg' is damaged"
    """
    return _FOLDERS.sub("", text)


def in_words(detections: Detections) -> str:
    """What the figure shows, for those who cannot see it."""
    if not len(detections):
        return f"No box of any of {len(detections.labels)} labels."
    highest = detections[int(detections.scores.argmax())]
    corners = ", ".join(f"{value:.0f}" for value in highest.box)
    return f"{len(detections)} boxes; the highest, {highest.score:.3g}, is {highest.label[:100]!r} at ({corners})."


def _figure(detections: Detections) -> bytes | None:
    """The figure, drawn once, or None where there is none."""
    try:
        return plots.png(detections.plot()) if detections.images else None
    except InputError:
        return None


def _caption(detections: Detections) -> str:
    return f"Boxes of score {detections.threshold:.3g} or more, by {detections.method}; one colour a label."


def _boxes(detections: Detections, most: int) -> Table:
    shown = detections.table.head(most)
    if len(detections.images) == 1:
        shown = shown.drop(columns="image")
    note = f"The first {most} of {len(detections)}." if len(detections) > most else ""
    caption = "Each box in its picture's own pixels, from the top left corner"
    return Table(shown, caption, formats=_FORMATS if len(shown) else {}, note=note)


def _labels(detections: Detections) -> list[dict[str, Any]]:
    scores: dict[str, list[float]] = {label: [] for label in detections.labels}
    for found in detections:
        scores[found.label].append(found.score)
    return [{"label": name, "boxes": len(own), "highest": max(own, default=None)} for name, own in scores.items()]


def _shared(value: Any) -> Any:
    """A provenance as others may see it."""
    if isinstance(value, Mapping):
        return {str(key): _shared(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shared(item) for item in value]
    if not isinstance(value, str):
        return value
    return without_folders(_WHOLE.sub("", value, count=1) if _WHOLE.match(value) else value)
