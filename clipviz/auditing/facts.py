"""What an audit's provenance tells about its model and its pictures, for headings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .result import Audit

DEMONSTRATION = "clipviz-tiny"


def model_name(audit: Audit) -> str:
    """The name of the model that was judged."""
    model = audit.provenance.get("model", {})
    return str(model.get("model", "?") if isinstance(model, Mapping) else model)


def pictures(audit: Audit) -> int:
    """How many pictures were judged."""
    if audit.judged is not None:
        return len(audit.judged.ids)
    data: Any = audit.provenance.get("data", {})
    return int(data.get("pictures", 0)) if isinstance(data, Mapping) else 0


def demonstration(audit: Audit) -> str:
    """What heads a report on the bundled model, or on one that grew from it; empty for any other."""
    name = model_name(audit)
    if DEMONSTRATION not in name:
        return ""
    return (
        f"Demonstration model: {name} is small and was taught a few hundred words. These figures show how an audit "
        "reads; they say nothing about any model that is in use."
    )
