"""An audit as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from .plain import plain, records
from .schema import FORMAT

if TYPE_CHECKING:
    from ..result import Audit


def as_json(audit: Audit) -> str:
    """Everything but the pictures, by `schema`; null is what is undefined, and a limit that there is not."""
    return json.dumps(content(audit), allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def content(audit: Audit) -> dict[str, Any]:
    """What the file holds, as plain values."""
    from ..gate import gate

    held = gate(audit)
    bounds = [
        {"text": plain(one.bound.text), "value": plain(one.value), "broken": one.broken,
         "applicable": one.applicable, "sentence": plain(one.sentence)}
        for one in held.bounds
    ]  # fmt: skip
    return {
        "format": FORMAT,
        "spec": plain(audit.spec.to_dict()),
        "spec_sha256": audit.spec.sha256,
        "verdicts": [plain(dataclasses.asdict(verdict)) for verdict in audit.verdicts],
        "gate": {"broken": held.broken, "sentence": held.sentence, "bounds": bounds},
        "notes": plain(audit.notes),
        "table": records(audit.table),
        "competence": records(audit.competence),
        "composition": records(audit.composition),
        "spread": records(audit.spread),
        "power": records(audit.power),
        "calibration": plain(_calibration(audit)),
        "failed": [{"id": plain(name), "reason": plain(reason)} for name, reason in audit.failed],
        "provenance": plain(audit.provenance),
    }


def _calibration(audit: Audit) -> Any:
    found: Any = audit.calibration
    return dataclasses.asdict(found) if dataclasses.is_dataclass(found) and not isinstance(found, type) else found
