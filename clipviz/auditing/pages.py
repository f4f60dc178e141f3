"""An audit as one self-contained page: verdicts first, then all that they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import reporting
from ..errors import DataError
from ..reporting import Block, Code, Details, Picture, Provenance, Section, Table, Text
from ..reporting.html import isolate
from .facts import demonstration, pictures
from .page_checks import (
    composition_section,
    power_section,
    published_section,
    wording_section,
    words_section,
)
from .page_leaning import leaning_section
from .page_parts import capped, figure_section, group_section, number, verdict_section
from .page_selftest import calibration_section
from .parts import BEST, REST
from .sentences import said

if TYPE_CHECKING:
    from .result import Audit
    from .verdicts import Verdict

_SHOWN = 500
_PROMPTS = 400
_CLAIMS, _EACH = 6, 4  # claims with pictures, and pictures of each group
_LIMITS = (
    "The intervals hold for pictures drawn as these were; other cameras, places and people may give other figures.",
    "A cosine is not what a product does: thresholds, prompts and people stand between this model and its use.",
    "A difference is not its cause. What the picture shows beside the person (clothes, background, light) counts too.",
    "Verdicts are corrected for how many comparisons this report makes, not for other reports on the same pictures.",
)
_MEANING = (
    "Groups are what the data's labels say. Such labels are mostly what annotators perceived in a picture; the people "
    "were not asked, and some would name themselves otherwise, or in none of these words."
)
CHECKS = (
    composition_section, wording_section, words_section, calibration_section, power_section, published_section,
)  # fmt: skip

__all__ = ["audit_page", "audit_view", "demonstration", "headline", "title_of_page"]


def audit_page(audit: Audit, *, people: bool = False) -> str:
    """The page; the same audit gives the same bytes.

    ``people`` puts the pictures behind the verdicts that were found on it, which are people: left out by default.
    """
    sections = [
        verdict_section(audit),
        figure_section(audit),
        group_section(audit),
        leaning_section(audit),
        *(check(audit) for check in CHECKS),
        _people(audit) if people else None,
        _prompts(audit),
        _meaning(audit),
        _failed(audit),
        Section("Provenance", Provenance(_provenance(audit))),
    ]
    return reporting.page(
        title_of_page(audit),
        [section for section in sections if section is not None],
        lead=headline(audit),
        date=str(audit.provenance.get("made", "")) or None,
        footer="Made by clipviz. Every figure is in the JSON and the CSV beside this page.",
    )


def title_of_page(audit: Audit) -> str:
    """What heads the page; one on the bundled model says so first."""
    return f"{'Demonstration model' if demonstration(audit) else 'Bias audit'}: {audit.spec.title}"


def headline(audit: Audit) -> str:
    """The model, the pictures, and how many of the comparisons were found."""
    found = sum(verdict.state == "found" for verdict in audit.verdicts)
    fragile = sum(verdict.fragile for verdict in audit.verdicts)
    silent = sum(verdict.state == "none" for verdict in audit.verdicts)
    told = f"{audit.model} on {number(pictures(audit))} pictures: "
    told += f"{found} of {len(audit.verdicts)} headline comparisons show a difference"
    told += f", {fragile} of them fragile" if fragile else ""
    told += f"; {silent} get no verdict" if silent else ""
    return told + "."


def audit_view(audit: Audit) -> str:
    """The verdicts for a notebook; whatever comes from spec or data is text, never markup."""
    tags = {"found": "Found", "not found": "Not found", "none": "No verdict"}
    rows = "".join(
        f"<tr><td><b>{'Fragile' if verdict.fragile else tags[verdict.state]}</b></td>"
        f'<td style="text-align:left">{isolate(verdict.sentence)}</td></tr>'
        for verdict in audit.verdicts[:30]
    )
    more = f"<p>{len(audit.verdicts) - 30} more.</p>" if len(audit.verdicts) > 30 else ""
    told = "".join(f"<p>{isolate(note)}</p>" for note in filter(None, (demonstration(audit), *audit.notes)))
    head = f"<p><b>{isolate(audit.spec.title)}</b>: {isolate(headline(audit))}</p>"
    return f"<div>{head}<table>{rows}</table>{more}{told}</div>"


def _people(audit: Audit) -> Section:
    blocks: list[Block] = [
        Text("Shown because they were asked for. A picture here is an example behind a figure, not evidence of one.")
    ]
    # Nobody is shown beside a label that the model does not know, or in which no difference was found.
    found = [one for one in audit.verdicts if one.state == "found"]
    for verdict in found[:_CLAIMS]:
        blocks.append(Text(verdict.sentence))
        for group in (verdict.group, verdict.reference):
            if group and group not in (REST, BEST):
                blocks += _examples(audit, verdict, group)
    if not found:
        blocks.append(Text("No difference was found, so that no picture stands behind a verdict."))
    return Section("Pictures", *blocks)


def _examples(audit: Audit, verdict: Verdict, group: str) -> list[Block]:
    """Pictures of a group that were given the label, drawn by the spec's seed, or why there are none."""
    try:
        found = audit.examples(group=group, label=verdict.name, by=verdict.by, k=_EACH)
    except DataError as error:
        return [Text(f"{said(group)}: {error}")]
    what = f"{said(group)}: the model's label was {said(verdict.name)}, which says nothing about the person"
    return [Picture(item.image, what, f"A picture of the group {what}") for item in found]


def _prompts(audit: Audit) -> Section:
    from .wordings import wordings

    spec = audit.spec
    texts = [
        f"{label.role}{f', {label.category}' if label.category else ''}, {label.name!r}: "
        f"{template.replace('{}', label.text)}"
        for label in spec.labels
        for template in spec.templates
    ]
    more = f"\n… {len(texts) - _PROMPTS} more" if len(texts) > _PROMPTS else ""
    blocks: list[Block] = [
        Text(
            f"{_many(spec.labels, 'label')}, {_many(spec.templates, 'template')}, word for word as the model read them."
        ),
        Code("\n".join(texts[:_PROMPTS]) + more),
    ]
    run = set(audit.table["variant"])
    variants = [one for part in spec.parts() for one in wordings(part) if one.name in run]
    listed, note = capped(
        {
            "wording": said(one.name),
            "kind": one.kind,
            "templates": " | ".join(one.templates),
            "labels": ", ".join(said(label.text) for label in one.labels),
            "logit scale": "as the model's" if one.logit_scale is None else f"x {one.logit_scale:g}",
        }
        for one in variants
    )
    if listed:
        blocks.append(Details("Every wording, word for word", Table(listed, "Wordings", note=note)))
    return Section("Prompts", *blocks)


def _many(things: tuple[Any, ...], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def _meaning(audit: Audit) -> Section:
    spec = audit.spec
    blocks: list[Block] = [Text(spec.purpose)] if spec.purpose else []
    blocks += [Text(spec.about)] if spec.about else []
    return Section(
        "What the labels mean, and limits",
        *blocks,
        Text(spec.meaning or _MEANING),
        reporting.Listing(*(reporting.Item(one) for one in (*spec.limits, *_LIMITS))),
    )


def _failed(audit: Audit) -> Section | None:
    if not audit.failed:
        return None
    listed, note = capped([{"id": name, "reason": reason} for name, reason in audit.failed], _SHOWN)
    return Section("Pictures that were not judged", Table(listed, "Each with its reason", note=note))


def _provenance(audit: Audit) -> dict[str, Any]:
    told = {"spec": audit.spec.name, "spec SHA-256": audit.spec.sha256, "seed": audit.spec.seed}
    elsewhere = ("made", "seed", "spec", "wordings", "demonstration")
    return {**told, **{key: _short(value) for key, value in audit.provenance.items() if key not in elsewhere}}


def _short(value: Any) -> Any:
    """Without lists that nobody reads on a page, such as the tokens that a model has seen."""
    if isinstance(value, Mapping):
        return {key: _short(one) for key, one in value.items()}
    return f"{len(value)} values, in the JSON" if isinstance(value, list | tuple) and len(value) > 24 else value
