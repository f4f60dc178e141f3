"""Boxes against truth: pure functions of tables, readers of truth, and what they are put together from."""

from .coco import coco_metrics
from .comparing import ap_difference, ap_interval
from .matching import Matches, match, overlaps
from .tables import Judged, judged

__all__ = [
    "Judged",
    "Matches",
    "ap_difference",
    "ap_interval",
    "coco_metrics",
    "judged",
    "match",
    "overlaps",
]
