"""What a heatmap is worth, measured on arrays: none of these knows which method made the map."""

from .agreement import rank_correlation, top_region, top_region_iou
from .pointing import Mass, mass_inside, peak_of, points_into
from .region import as_region, is_flat
from .sanity import (
    Likeness,
    TextSensitivity,
    completeness_error,
    likeness,
    randomised,
    text_sensitivity,
)
from .trivial import centre_map, random_map

__all__ = [
    "Likeness",
    "Mass",
    "TextSensitivity",
    "as_region",
    "centre_map",
    "completeness_error",
    "is_flat",
    "likeness",
    "mass_inside",
    "peak_of",
    "points_into",
    "random_map",
    "randomised",
    "rank_correlation",
    "text_sensitivity",
    "top_region",
    "top_region_iou",
]
