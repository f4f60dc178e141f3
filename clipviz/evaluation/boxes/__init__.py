"""Boxes against truth: pure functions of tables, readers of truth, and what they are put together from."""

from .calibration import Calibration, calibration_error, fit_calibration, reliability_table
from .coco import coco_metrics
from .coco_folder import CocoSource, open_boxes
from .comparing import ap_difference, ap_interval
from .localisation import alarms, localisation_metrics, localise
from .maps import best_levels, hits_at, map_hits
from .matching import Matches, match, overlaps
from .rivals import central_boxes, fit_centre
from .tables import Judged, judged
from .truth import BoxTruth, read_boxes

__all__ = [
    "BoxTruth",
    "Calibration",
    "CocoSource",
    "Judged",
    "Matches",
    "alarms",
    "ap_difference",
    "ap_interval",
    "best_levels",
    "calibration_error",
    "central_boxes",
    "coco_metrics",
    "fit_calibration",
    "fit_centre",
    "hits_at",
    "judged",
    "localisation_metrics",
    "localise",
    "map_hits",
    "match",
    "open_boxes",
    "overlaps",
    "read_boxes",
    "reliability_table",
]
