"""A section for a model's card: a ``model-index`` that the Hugging Face Hub reads, and the verdicts in Markdown."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from ..facts import compared_rows, demonstration, pictures
from ..formats import figure, title_of
from ..sentences import said
from .plain import text

if TYPE_CHECKING:
    from ..result import Audit

_MARKUP = re.compile(r"[&<>*_\[\]`|~\\#@{}$]|(?<=\w):(?=//)|(?<=www)\.")
# Line breaks of YAML, and what a YAML file may not hold as it is.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_ROWS = 60
_LIMITS = (
    "Labels of the data are what somebody saw in a picture, nobody was asked; intervals hold for pictures like these."
)


def model_card(audit: Audit) -> str:
    """Front matter with a ``model-index``, one metric a headline figure, and a Markdown section for people.

    Figures that are undefined have no entry. Texts of the spec and the data are text: nothing in them is markup.
    """
    return f"---\n{_index(audit)}---\n\n{section(audit)}"


def section(audit: Audit) -> str:
    """The section without its front matter, to be put into a card that has one."""
    lines = [f"## Bias audit: {escape(audit.spec.title)}", ""]
    if told := demonstration(audit):
        lines += [f"**{escape(told)}**", ""]
    lines += [f"Model {escape(audit.model)}, {pictures(audit)} pictures, spec `{audit.spec.sha256[:12]}`.", ""]
    for verdict in audit.verdicts:
        tag = {"found": "Found", "not found": "Not found", "none": "No verdict"}[verdict.state]
        lines.append(f"- **{'Found, fragile' if verdict.fragile else tag}.** {escape(verdict.sentence)}")
    if not audit.verdicts:
        lines.append("- No headline comparison was made.")
    rows = _headline(audit)
    lines += ["", "| figure | groups | value (95 % interval) | n |", "|---|---|---|---:|"]
    for row in rows[:_ROWS]:
        what = escape(f"{said(row['name'])}: {title_of(row['metric'])}")
        value = figure(row["metric"], row["value"], row["ci_low"], row["ci_high"])
        n = "" if math.isnan(row["n"]) else f"{row['n']:.0f}"
        lines.append(f"| {what} | {escape(_groups(row))} | {value} | {n} |")
    if len(rows) > _ROWS:
        lines += ["", f"The first {_ROWS} of {len(rows)} figures."]
    lines += ["", escape(audit.spec.meaning or _LIMITS), ""]
    lines += [f"- {escape(note)}" for note in (*audit.notes, *audit.spec.limits)]
    return "\n".join(lines).rstrip() + "\n"


def escape(value: str) -> str:
    """``value`` as it looks, in one line of Markdown.

    >>> escape("<b> [a](b) *c*")
    '&#60;b&#62; &#91;a&#93;(b) &#42;c&#42;'
    """
    line = " ".join(text(value).replace("\x00", "\ufffd").split())
    return _MARKUP.sub(lambda found: f"&#{ord(found.group())};", line)


def _index(audit: Audit) -> str:
    """Front matter, as YAML in which every text stands in double quotes."""
    data = audit.provenance.get("data", {})
    fingerprint = str(data.get("fingerprint", "")) if hasattr(data, "get") else ""
    metrics = [
        {
            "type": row["metric"],
            "value": float(row["value"]),
            "name": f"{row['name']}: {title_of(row['metric'])} ({_groups(row)})",
            "args": {"ci_low": _finite(row["ci_low"]), "ci_high": _finite(row["ci_high"]), "n": _finite(row["n"]),
                     "p_adjusted": _finite(row["p_adjusted"])},
        }
        for row in _headline(audit)
        if math.isfinite(row["value"])
    ]  # fmt: skip
    if not metrics:
        return 'tags:\n- "bias-audit"\n'
    result = {
        "task": {"type": "zero-shot-image-classification", "name": f"bias audit {audit.spec.name}"},
        "dataset": {"type": f"clipviz-audit-{fingerprint[:16] or 'data'}", "name": audit.spec.title,
                    "args": {"spec_sha256": audit.spec.sha256, "pictures": pictures(audit)}},
        "metrics": metrics,
    }  # fmt: skip
    return "model-index:\n" + _yaml([{"name": audit.model, "results": [result]}], 0)


def _yaml(value: Any, depth: int) -> str:
    """Lists and dicts as YAML blocks, everything else as JSON, which is YAML but for a few characters."""
    pad = "  " * depth
    out = ""
    if isinstance(value, list):
        for item in value:
            out += f"{pad}- {_yaml(item, depth + 1).lstrip()}"
        return out
    for key, item in value.items():
        if isinstance(item, dict | list):
            out += f"{pad}{key}:\n{_yaml(item, depth + 1)}"
        else:
            written = json.dumps(text(item) if isinstance(item, str) else item, ensure_ascii=False, allow_nan=False)
            out += f"{pad}{key}: {_ESCAPED.sub(lambda c: f'{chr(92)}u{ord(c.group()):04x}', written)}\n"
    return out


def _headline(audit: Audit) -> list[dict[str, Any]]:
    """What the headline is about."""
    rows: Any = compared_rows(audit.table).to_dict("records")
    return list(rows)


def _groups(row: dict[str, Any]) -> str:
    group, reference = (said(str(row[side] or "")) for side in ("group", "reference"))
    between = f"{group} against {reference}" if group and reference else group
    return f"{said(str(row['by']))}: {between}" if between else said(str(row["by"]))


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
