"""How sure an AP is, and whether one detector beats another on the same pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...stats import Interval, weighted_bootstrap
from .matching import COCO_IOUS, match_tables
from .tables import Judged, judged


def ap_interval(
    found: Any, truth: Any, *, asked: Any = None, images: Iterable[str] | None = None,
    ious: Sequence[float] = COCO_IOUS, resamples: int = 2_000, seed: int = 0, level: float = 0.95,
) -> Interval:  # fmt: skip
    """AP with percentile limits from resampled pictures; for the tables, ``asked`` and ``images`` see `judged`.

    ``ious`` are averaged, of 0.3 and COCO's ten; ``(0.5,)`` is AP50. A picture is matched once, as what matches there
    depends on no other picture; the pooled curve of a resample is that of weighted pictures.
    """
    matches = match_tables(judged(found, truth, asked, images))
    return weighted_bootstrap(
        lambda weights: matches.average_precision(weights, ious), len(matches.images), resamples=resamples, seed=seed,
        level=level,
    )  # fmt: skip


def ap_difference(
    found: Any, other: Any, truth: Any, *, asked: Any = None, images: Iterable[str] | None = None,
    ious: Sequence[float] = COCO_IOUS, resamples: int = 2_000, seed: int = 0, level: float = 0.95,
) -> Interval:  # fmt: skip
    """AP of ``found`` minus AP of ``other`` on the same truth, both from the same resampled pictures.

    Above 0 where the first is better: ``ap_difference(...).above_zero``. The rest as in `ap_interval`.

    >>> ap_difference(ours.table, theirs.table, truth, ious=(0.5,))  # doctest: +SKIP
    Interval(0.041 [0.018, 0.066] at 95%, 500 pairs, 2000 resamples, seed 0)
    """
    one, two = together(found, other, truth, asked, images)
    a, b = match_tables(one), match_tables(two)
    return weighted_bootstrap(
        lambda weights: np.subtract(a.average_precision(weights, ious), b.average_precision(weights, ious)),
        len(a.images), resamples=resamples, seed=seed, level=level, paired=True,
    )  # fmt: skip


def together(
    found: Any, other: Any, truth: Any, asked: Any = None, images: Iterable[str] | None = None
) -> tuple[Judged, Judged]:
    """Two tables of boxes on the same truth, over the same pictures: without ``images``, those of any of the three."""
    if asked is None and images is None:
        parts = [judged(table, truth).images for table in (found, other)]
        images = tuple(dict.fromkeys([*parts[0], *parts[1]]))
    elif images is not None:
        images = tuple(images)
    return judged(found, truth, asked, images), judged(other, truth, asked, images)
