"""What an audit's provenance tells about its model and its pictures, for headings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .provenance import DEMONSTRATION

if TYPE_CHECKING:
    from .result import Audit


def pictures(audit: Audit) -> int:
    """How many pictures were judged."""
    return int(audit.provenance.get("pictures", 0))


def demonstration(audit: Audit) -> str:
    """What heads a report on the bundled model; empty for any other."""
    return DEMONSTRATION if audit.provenance.get("demonstration") else ""
