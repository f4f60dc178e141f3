"""What an audit comes from: model, data, exact prompts, spec, seed and versions."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .. import assets
from ..versions import versions

if TYPE_CHECKING:
    from ..embedding import Embeddings
    from ..model import Model
    from .spec import AuditSpec
    from .wordings import Wording

DEMONSTRATION = (
    "Demonstration model: clipviz-tiny is bundled to try things out. It knows few words and few kinds of pictures; "
    "nothing here says anything about a model that people use."
)


def about_audit(
    spec: AuditSpec, embeddings: Embeddings, model: Model, wordings: Iterable[Wording], pictures: int
) -> dict[str, Any]:
    """Plain values for JSON. Only ``made`` has a date: that of SOURCE_DATE_EPOCH, where it is set."""
    told = embeddings.provenance
    return {
        "made": made(),
        "model": dict(model.provenance),
        "demonstration": is_demonstration(model),
        "logit_scale": float(model.logit_scale),
        "data": told["data"],
        "settings": told["settings"],
        "half": told["half"],
        "pictures": pictures,
        "spec": {"name": spec.name, "sha256": spec.sha256},
        "seed": spec.seed,
        "wordings": [about_wording(one) for one in wordings],
        "versions": {**versions(), "scipy": version("scipy"), "pandas": version("pandas")},
    }


def about_wording(wording: Wording) -> dict[str, Any]:
    """A wording with every prompt as the model read it."""
    return {
        "name": wording.name,
        "kind": wording.kind,
        "control": wording.control,
        "logit_scale": wording.logit_scale,
        "templates": list(wording.templates),
        "prompts": {
            label.name: texts for label, texts in zip(wording.labels, wording.prompts(), strict=True)
        },
    }  # fmt: skip


def is_demonstration(model: Model) -> bool:
    """Whether it is the bundled model."""
    return model.name == assets.MODEL and model.tag is None


def made() -> str:
    """Now in UTC, to the second; SOURCE_DATE_EPOCH (seconds) in its place, where builds are to be equal."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    seconds = int(told) if told.isdecimal() else time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
