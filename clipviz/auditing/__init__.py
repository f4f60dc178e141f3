"""Whom does a model fail, by how much, and how sure are we? Label probes with statistics that hold.

>>> audit = clipviz.audit("faces/", "nurse_doctor", model=clipviz.load("ViT-B-32", "openai"))  # doctest: +SKIP
>>> audit.save("report.html")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calibration import calibrate
    from .comparing import AuditComparison
    from .explaining import DecisionMaps, explain_decisions
    from .known_tables import celeba_table
    from .labels import Label
    from .metric import Metric
    from .result import Audit
    from .spec import AuditSpec
    from .verb import audit
    from .verdicts import Verdict
    from .wordings import Wording

# Name -> module, loaded when first used.
_HOMES = {
    "Audit": "result",
    "AuditComparison": "comparing",
    "AuditSpec": "spec",
    "DecisionMaps": "explaining",
    "Label": "labels",
    "Metric": "metric",
    "Verdict": "verdicts",
    "Wording": "wordings",
    "audit": "verb",
    "calibrate": "calibration",
    "celeba_table": "known_tables",
    "explain_decisions": "explaining",
}

__all__ = [
    "Audit",
    "AuditComparison",
    "AuditSpec",
    "DecisionMaps",
    "Label",
    "Metric",
    "Verdict",
    "Wording",
    "audit",
    "calibrate",
    "celeba_table",
    "explain_decisions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
