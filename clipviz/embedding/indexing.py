"""FAISS for many questions of one store: an index that is made once and kept in memory, with exact answers.

It pays for single questions that are repeated: on one core, one question of 1,000,000 x 512 in float16 took 0.09 s and
by blocks 0.30 s, after some 5 s for making the index. Fifty questions at once took it 3.5 s, and the blocks 1.2 s. So
it is asked for by name, and never taken by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .queries import Floats, Places, exactly, first_k, highest, slack_of
from .stored import Stored

if TYPE_CHECKING:
    from .embeddings import Embeddings

_SPARE = 64  # more than k are asked for, so that equal ones at the edge are seen


class Index:
    """All vectors of a view in memory, as precise as they are stored."""

    def __init__(self, embeddings: Embeddings) -> None:
        faiss = _faiss()
        self.stored: Stored = embeddings.stored
        self.rows = embeddings.rows
        width, inner = self.stored.width, faiss.METRIC_INNER_PRODUCT
        if self.stored.half_precision:
            self._index: Any = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, inner)
        else:
            self._index = faiss.IndexFlat(width, inner)
        for _, block in self.stored.blocks(self.rows):
            self._index.add(block)

    def highest(self, wanted: Floats, k: int) -> list[tuple[Places, Floats]]:
        """As `queries.highest`, and equal to it: FAISS only chooses; where it may have chosen too few, blocks do."""
        count = min(self._index.ntotal, k + _SPARE)
        found = []
        for vector, scores, places in zip(wanted, *self._index.search(wanted, count), strict=True):
            order = np.sort(places)
            rows = order if self.rows is None else self.rows[order]
            exact = np.concatenate([exactly(block, vector) for _, block in self.stored.blocks(rows)])
            best = first_k(order, exact, k)
            edge = float(scores.min()) + slack_of(len(vector))
            if count < self._index.ntotal and best[1][-1] <= edge:  # equals may lie beyond what was asked for
                best = highest(self.stored.blocks(self.rows), vector[None], k)[0]
            found.append(best)
        return found


def _faiss() -> Any:
    try:
        import faiss  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise InputError(
            "engine='faiss' needs the package faiss-cpu, which is not installed: pip install \"clipviz[search]\", or "
            "take engine='blocks'."
        ) from None
    return faiss
