"""Which suffix is written how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...files import suffix_of, write

if TYPE_CHECKING:
    from ..result import Audit

SUFFIXES = (".html", ".json", ".csv", ".md", ".xml")


def export(audit: Audit, path: str | Path, *, people: bool = False) -> Path:
    """Write ``audit`` as the suffix says; an interrupted save leaves the old file whole.

    ``.html``: one self-contained page; ``.json``: everything but the pictures, by `schema`; ``.csv``: the table;
    ``.md``: a section of a model card with a ``model-index``; ``.xml``: the gate as JUnit.
    ``people`` puts pictures of people on the page. Raises InputError for another suffix, and for people elsewhere.
    """
    suffix = suffix_of(path, SUFFIXES, "An audit")
    if people and suffix != ".html":
        raise InputError(
            f"Pictures of people are shown on a page alone; save as .html, or leave people=True out for {suffix}."
        )
    if suffix == ".html":
        from ..pages import audit_page

        return write(path, audit_page(audit, people=people))
    if suffix == ".json":
        from .as_json import as_json

        return write(path, as_json(audit))
    if suffix == ".csv":
        from .as_csv import as_csv

        return write(path, as_csv(audit))
    if suffix == ".md":
        from .model_card import model_card

        return write(path, model_card(audit))
    from .junit import junit

    return write(path, junit(audit))
