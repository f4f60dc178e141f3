"""What lies behind a box: the map that it was found in, and the mask that this map draws within it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..explanation import Heatmap
from .score_maps import ScoreMaps, mask_in

if TYPE_CHECKING:
    from .detections import Detections


def behind(detections: Detections, i: int) -> Heatmap:
    """The map of box ``i``'s label on its picture, with what is to be said of the box."""
    found = detections[i]
    corners = ", ".join(f"{value:.4g}" for value in found.box)
    note = f"The score is that of the box ({corners}), found by {found.evidence or detections.method}."
    details = {"box": list(found.box), "box_score": found.score, "evidence": found.evidence}
    return heatmap_of(detections, detections.place(found.image), found.label, found.score, (note,), details)


def heatmap_of(
    detections: Detections, at: int, label: str, score: float, notes: tuple[str, ...] = (),
    details: Mapping[str, Any] | None = None,
) -> Heatmap:  # fmt: skip
    """The map of a label on the picture at a place. Raises InputError where the maps were not kept."""
    maps, templates = kept(detections, at), detections.provenance.get("templates", ())
    if isinstance(templates, Mapping):
        templates = templates.get(label, ())
    about = {"templates": list(templates), "view": maps.frame.view, "details": dict(details or {})}
    values = maps.values[detections.labels.index(label)]
    flat = np.ptp(values) == 0  # then zeros, as everywhere: a constant map says nothing
    return Heatmap(
        np.zeros_like(values) if flat else np.ascontiguousarray(values), maps.frame, label, score, detections.method,
        detections.origins[at], notes=(*notes, *detections.notes), provenance={**detections.provenance, **about},
    )  # fmt: skip


def mask_of(detections: Detections, i: int, threshold: float | None) -> NDArray[np.bool_]:
    """bool [H, W], see `Detections.mask`."""
    found = detections[i]
    dense = kept(detections, detections.place(found.image)).on_image(detections.labels.index(found.label))
    return mask_in(dense, found.box, threshold)


def masks_of(detections: Detections, at: int, threshold: float | None) -> NDArray[np.bool_]:
    """bool [n, H, W] of all boxes of the picture at a place, see `Detections.masks`."""
    maps, (width, height), own = kept(detections, at), detections.sizes[at], detections.of(at)
    out, boxes, labels = np.zeros((len(own), height, width), np.bool_), own.boxes, own.table["label"].to_numpy()
    for place, label in enumerate(detections.labels):
        rows = np.flatnonzero(labels == label)
        if len(rows):
            dense = maps.on_image(place)  # once for all boxes of a label
            for row in rows:
                out[row] = mask_in(dense, boxes[row], threshold)
    return out


def kept(detections: Detections, at: int) -> ScoreMaps:
    """The maps of the picture at a place. Raises InputError where there are none."""
    maps = detections.maps[at]
    if maps is None:
        raise InputError(
            f"The score maps of {detections.images[at]!r} were not kept: detect again with keep_maps=True (a saved "
            "file holds them up to 16 MB)."
        )
    return maps
