"""Embeddings as a view in a notebook: what they are and their first rows, no pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reporting.html import isolate
from .manifest import told_model

if TYPE_CHECKING:
    from .embeddings import Embeddings

_ROWS, _COLUMNS, _WIDE = 5, 12, 80


def embeddings_line(embeddings: Embeddings) -> str:
    """How many, of what model, from where, and what is missing."""
    manifests, whole = embeddings.stored.manifests, len(embeddings) == len(embeddings.stored)
    said = [f"{len(embeddings):,}{'' if whole else f' of {len(embeddings.stored):,}'} "
            f"{embeddings.manifest.kind} x {embeddings.stored.width}"]  # fmt: skip
    said += [told_model(embeddings.manifest.model), embeddings.stored.where]
    if embeddings.part != "all":
        said.append(f"half {embeddings.part!r}")
    if failed := sum(one.counts.get("failed", 0) for one in manifests):
        said.append(f"{failed:,} failed")
    if not all(one.complete for one in manifests):
        said.append("the run has not come to its end")
    return f"Embeddings({', '.join(said)})"


def embeddings_view(embeddings: Embeddings) -> str:
    """The line of ``repr`` and a table; whatever comes from the data is text, never markup."""
    columns = ["id", *embeddings.columns][:_COLUMNS]
    rows = embeddings.select(range(min(_ROWS, len(embeddings)))).table(columns).to_pylist()
    head = "".join(f"<th>{isolate(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{isolate(_short(row[name]))}</td>' for name in columns)}</tr>" for row in rows)
    left_out = []
    if len(embeddings) > len(rows):
        left_out.append(f"{len(embeddings) - len(rows):,} more rows")
    if len(embeddings.columns) >= _COLUMNS:
        left_out.append(f"{len(embeddings.columns) + 1 - len(columns)} more columns")
    more = f"<p>{' and '.join(left_out)}</p>" if left_out else ""
    return f"<div><p><b>{isolate(repr(embeddings))}</b></p><table><tr>{head}</tr>{body}</table>{more}</div>"


def _short(value: object) -> str:
    said = "" if value is None else str(value)
    return said if len(said) <= _WIDE else said[: _WIDE - 1] + "…"
