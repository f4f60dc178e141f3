"""Are the labels different to the model that is asked? Two that its tokenizer reads alike cannot be told apart."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ..errors import SpecError

if TYPE_CHECKING:
    from ..model import Model
    from .spec import AuditSpec


def check_tokens(spec: AuditSpec, model: Model) -> None:
    """SpecError where two labels of one set are the same token ids to ``model`` under a template of the spec.

    "Nurse" and "nurse" are, to a tokenizer that reads no capitals; so are long texts that differ behind the last token
    that the model reads. The labels of all sets are tokenized once, without a pass through the network.
    """
    labels = spec.labels
    filled = [[template.replace("{}", label.text) for label in labels] for template in spec.templates]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is cut is said below, where it matters
        rows = model.tokenize([text for texts in filled for text in texts]).numpy()
    for turn, template in enumerate(spec.templates):
        owner: dict[tuple[str, bytes], str] = {}
        for at, label in enumerate(labels):
            key = (label.set, rows[turn * len(labels) + at].tobytes())
            other = owner.setdefault(key, label.text)
            if other is not label.text:
                raise SpecError(
                    f"The labels {_shown(other)} and {_shown(label.text)} are the same to the tokenizer of "
                    f"{model.name} in the template {template!r}, and which of them wins would be chance; leave one "
                    "out, or say it in other, shorter words."
                )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
