"""Boxes as COCO writes them, for its own tools and for whatever reads their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest
from .evidence import kept
from .score_maps import mask_in

if TYPE_CHECKING:
    from .detections import Detections


def results(
    detections: Detections, image_ids: Mapping[str, int] | None, category_ids: Mapping[str, int] | None, masks: bool
) -> list[dict[str, Any]]:
    """See `Detections.to_coco`."""
    pictures = _numbers(detections.images, set(detections.table["image"]), image_ids, "image")
    categories = _numbers(detections.labels, set(detections.table["label"]), category_ids, "category")
    shapes = _segmentations(detections) if masks else None
    rows = []
    for found in detections:
        x0, y0, x1, y1 = found.box
        row: dict[str, Any] = {
            "image_id": pictures[found.image], "category_id": categories[found.label],
            "bbox": [x0, y0, x1 - x0, y1 - y0], "score": found.score,
        }  # fmt: skip
        rows.append(row if shapes is None else {**row, "segmentation": next(shapes)})
    return rows


def dataset(
    detections: Detections, image_ids: Mapping[str, int] | None, category_ids: Mapping[str, int] | None, masks: bool
) -> dict[str, Any]:
    """See `Detections.to_coco_dataset`."""
    pictures = _numbers(detections.images, set(detections.images), image_ids, "image")
    categories = _numbers(detections.labels, set(detections.labels), category_ids, "category")
    names: dict[int, str] = {}
    for label, number in categories.items():
        names.setdefault(number, label)  # several labels may stand for one category
    annotations = [
        {"id": i, **row, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
        for i, row in enumerate(results(detections, pictures, categories, masks), 1)
    ]
    return {
        "info": {"description": f"Detected by {detections.method}, {detections.model}"},
        "images": [
            {"id": pictures[image], "file_name": image, "width": width, "height": height}
            for image, (width, height) in zip(detections.images, detections.sizes, strict=True)
        ],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
        "annotations": annotations,
    }


def _numbers(names: tuple[str, ...], wanted: set[str], given: Mapping[str, int] | None, what: str) -> Mapping[str, int]:
    if given is None:
        return {name: number for number, name in enumerate(names, 1)}
    if missing := [name for name in names if name in wanted and name not in given]:
        raise InputError(f"{what}_ids has no number for {missing[0]!r}. {nearest(missing[0], given)}")
    used = [given[name] for name in names if name in given]
    if what == "image" and len(set(used)) < len(used):
        raise InputError("image_ids gives two pictures one number: give each its own.")
    return given


def _segmentations(detections: Detections) -> Iterator[dict[str, Any]]:
    """The run-length code of each box's mask, in order; one picture's map is held at a time."""
    last: tuple[str, str] | None = None
    dense: NDArray[np.float32] = np.empty((0, 0), np.float32)
    for found in detections:
        if last != (found.image, found.label):
            at, last = detections.place(found.image), (found.image, found.label)
            dense = kept(detections, at).on_image(detections.labels.index(found.label))
        yield run_lengths(mask_in(dense, found.box))


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask [H, W] as COCO's compressed run-length code, with ``counts`` as text, for JSON."""
    from pycocotools import mask as codes

    code = codes.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}
