"""The same audit on pictures made smaller: how far its accuracy hangs on resolution.

A run asks `smaller` once for the vectors, and for every part adds `at_sides` to what it has scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..embedding import Embeddings, embed
from ..errors import DataError
from .scoring import score
from .surveillance import LowResolution
from .tally import Scored
from .wordings import Wording

if TYPE_CHECKING:
    from ..model import Model
    from .spec import AuditSpec


def smaller(
    spec: AuditSpec, embeddings: Embeddings, model: Model, *, progress: bool = False
) -> tuple[dict[int, Embeddings], tuple[str, ...]]:
    """Side in pixels -> the vectors of the same pictures, made that small, for each of ``spec.sides``; and notes.

    The pictures are opened again as the store says, and embedded into the user's cache, a store a side. Where they
    cannot be had the sweep is left out, and a note says so.
    """
    if not spec.sides:
        return {}, ()
    try:
        source = embeddings.source()
    except DataError as error:
        return {}, (f"The sweep over resolution was left out, because the pictures cannot be opened again: {error}",)
    found: dict[int, Embeddings] = {}
    for side in sorted(spec.sides, reverse=True):
        seen = embed(LowResolution(source, side), model=model, progress=progress)
        place = {one: at for at, one in enumerate(seen.ids)}
        if any(one not in place for one in embeddings.ids):
            return {}, ("The sweep over resolution was left out: some pictures could not be read again.",)
        rows = np.array([place[one] for one in embeddings.ids])
        if not (np.diff(rows) > 0).all():
            raise DataError("The pictures of the store stand in another order than its source's; embed them again.")
        found[side] = seen.select(rows)
    return found, ()


def at_sides(part: AuditSpec, by_side: Mapping[int, Embeddings], model: Model) -> tuple[Scored, ...]:
    """The question as written, asked of the pictures at each side: "at 56 px".

    It is a control: no other wording, and no part of whether a verdict is fragile.
    """
    found: list[Scored] = []
    for side, embeddings in by_side.items():
        wording = Wording(f"at {side} px", "resolution", part.labels, part.templates, control=True)
        found += score(embeddings, [wording], model)
    return tuple(found)
