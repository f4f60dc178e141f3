"""From a figure to the pictures behind it, and to what in them the model looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, InputError
from .judged import Judged, places_of
from .opening import counted
from .scoring import margins, prompts_of
from .tally import Scored

if TYPE_CHECKING:
    from ..model import Model
    from ..sources import Item
    from .explaining import DecisionMaps
    from .result import Audit

ORDERS = ("chance", "clearest")


def examples(audit: Audit, *, data: Any = None, **asked: Any) -> tuple[Item, ...]:
    """See `Audit.examples`."""
    judged = audit._judged()
    places, _ = chosen(judged, audit.spec.seed, **asked)
    source = judged.source(data)
    return tuple(source[judged.ids[place]] for place in places)


def explained(
    audit: Audit, *, data: Any = None, model: Model | None = None, progress: bool = False, **asked: Any
) -> DecisionMaps:
    """See `Audit.explain`."""
    from .explaining import explain_decisions

    judged = audit._judged()
    own = ("group", "label", "by", "k", "wording", "order")
    places, scored = chosen(judged, audit.spec.seed, **{name: asked.pop(name) for name in own if name in asked})
    looked = judged.model or judged.vectors().model if model is None else model
    decisions = [(judged.ids[place], int(scored.decision[place])) for place in places]
    return explain_decisions(
        judged.source(data), looked, decisions, prompts_of(scored.wording),
        names=[label.name for label in scored.wording.labels], box=audit.spec.groups.box or None,
        seed=audit.spec.seed, progress=progress, **asked,
    )  # fmt: skip


def chosen(
    judged: Judged, seed: int, *, group: str | None = None, label: str | None = None, by: str | None = None,
    k: int = 8, wording: str, order: str = "chance",
) -> tuple[NDArray[np.int64], Scored]:  # fmt: skip
    """The places of at most ``k`` pictures of a group that were given a label, and the scores they were given it by."""
    if order not in ORDERS:
        raise InputError(f"order={order!r} is not known; it is 'chance' or 'clearest'.")
    counted("k", k, 1)
    scored = judged.scored_with(wording, label)
    inside = judged.in_group(group, by)
    labels = np.arange(len(scored.wording.labels)) if label is None else places_of(scored, label)
    found = np.flatnonzero(inside & np.isin(scored.decision, labels))
    if not len(found):
        told = "" if group is None else f" of {group!r}"
        raise DataError(
            f"None of the {int(inside.sum())} pictures{told} was given {label!r} under the wording {wording!r}; name "
            "another label or group."
        )
    if order == "chance":
        return np.sort(np.random.default_rng(seed).permutation(found)[:k]), scored
    cosines = scored.cosines[found].astype(np.float64)
    if label is None:
        members = np.eye(len(labels), dtype=bool)
        clear = np.take_along_axis(margins(cosines, members), scored.decision[found, None].astype(np.intp), 1)[:, 0]
    else:
        clear = margins(cosines, np.isin(np.arange(cosines.shape[1]), labels)[None])[:, 0]
    return found[np.argsort(-clear, kind="stable")[:k]], scored
