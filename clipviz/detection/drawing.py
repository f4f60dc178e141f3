"""The figure of a set of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, nearest
from .evidence import heatmap_of

if TYPE_CHECKING:
    from ..plots import Canvas
    from .detections import Detections

_ALONE, _AMONG = 1400, 700  # the longest side of a picture in a figure, in pixels


def figure_of(
    detections: Detections, image: str | int | None, evidence: str | None, alpha: float, shown: int
) -> Canvas:
    """See `Detections.plot`."""
    from .. import plots

    ids = detections.images
    if not ids:
        raise InputError("There is nothing to draw: no picture could be opened, see detections.failed.")
    many = image is None and len(ids) > 1
    if many and evidence is not None:
        raise InputError(
            f"evidence={evidence!r} is drawn on one picture: name it, as in plot({ids[0]!r}, evidence=...)."
        )
    places = list(range(min(max(1, shown), len(ids)))) if many else [detections.place(image)]
    panels = [_panel(detections, at, _AMONG if many else _ALONE, evidence) for at in places]
    if many:
        panels = [{**panel, "title": ids[at]} for panel, at in zip(panels, places, strict=True)]
    said = [f"The first {len(places)} of {len(ids)} pictures."] if many and len(places) < len(ids) else []
    said.append(f"{detections.method}, {detections.model}.")
    if evidence is not None:
        said.append(f"Under the boxes the map of {evidence!r}.")
    drawn = sum(len(panel["boxes"]) for panel in panels)
    number = str(drawn) if drawn else "No"
    return plots.boxed(
        panels, detections.labels, caption=" ".join((*said, *detections.notes)),
        title=f"{number} box{'' if drawn == 1 else 'es'} of score {detections.threshold:.3g} or more",
        unit=f"{detections.method}, its own unit", alpha=alpha,
        asked=None if evidence is None else [detections.labels.index(evidence)],
    )  # fmt: skip


def _panel(detections: Detections, at: int, longest: int, evidence: str | None) -> dict[str, Any]:
    """One picture, no larger than it is drawn, with its boxes in pixels of that."""
    own = detections.table[detections.table["image"] == detections.images[at]]
    more: dict[str, Any] = {}
    if evidence is None:
        picture = detections.origins[at].open()
        picture.thumbnail((longest, longest))
    else:
        if evidence not in detections.labels:
            raise InputError(f"There is no label {evidence!r} here. {nearest(str(evidence), detections.labels)}")
        own = own[own["label"] == evidence]
        heatmap = heatmap_of(detections, at, evidence, 0.0)
        picture = heatmap.small_picture(longest)
        more["values"] = heatmap.on_image(longest=longest) - np.float32(heatmap.offset)
    number = {label: place for place, label in enumerate(detections.labels)}
    return {
        "picture": picture,
        "boxes": own[["x0", "y0", "x1", "y1"]].to_numpy() * (np.array(picture.size * 2) / (detections.sizes[at] * 2)),
        "labels": np.array([number[label] for label in own["label"]], int),
        "scores": own["score"].to_numpy(),
        **more,
    }
