"""What a figure comes from: model, data, half, labels, seed and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..versions import versions

if TYPE_CHECKING:
    from ..sources import Source
    from .registry import Question


def about_run(question: Question, part: Source, **more: Any) -> dict[str, Any]:
    """Plain values for JSON; ``part`` are the pictures that were asked for, its fingerprint over their bytes."""
    return {
        "model": dict(question.model.provenance),
        "data": {"where": part.where_from, "fingerprint": part.fingerprint, "pictures": len(part)},
        "half": part.part,
        "truth": question.truth,
        **more,
        "seed": question.seed,
        "versions": versions(),
    }
