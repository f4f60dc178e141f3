"""What a heatmap is worth, measured on arrays: none of these knows which method made the map."""

from .agreement import rank_correlation, top_region, top_region_iou
from .faithfulness import Curves, insertion_deletion
from .grid_pointing import Kept, Mosaic, draw_mosaics, keeps_to_tile, peak_tile, tile_scores, tile_shares
from .pointing import Mass, mass_inside, peak_of, points_into
from .region import as_region, is_flat
from .sanity import Likeness, TextSensitivity, completeness_error, likeness, randomised, text_sensitivity
from .segmentation import Threshold, best_threshold, iou_at, ious, oracle_iou, pixel_precision
from .sensitivity import Infidelity, SensitivityN, infidelity, max_sensitivity, sensitivity_n
from .trivial import centre_map, random_map

__all__ = [
    "Curves",
    "Infidelity",
    "Kept",
    "Likeness",
    "Mass",
    "Mosaic",
    "SensitivityN",
    "TextSensitivity",
    "Threshold",
    "as_region",
    "best_threshold",
    "centre_map",
    "completeness_error",
    "draw_mosaics",
    "infidelity",
    "insertion_deletion",
    "iou_at",
    "ious",
    "is_flat",
    "keeps_to_tile",
    "likeness",
    "mass_inside",
    "max_sensitivity",
    "oracle_iou",
    "peak_of",
    "peak_tile",
    "pixel_precision",
    "points_into",
    "random_map",
    "randomised",
    "rank_correlation",
    "sensitivity_n",
    "text_sensitivity",
    "tile_scores",
    "tile_shares",
    "top_region",
    "top_region_iou",
]
