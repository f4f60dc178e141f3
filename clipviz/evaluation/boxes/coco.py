"""AP and AR as COCO reports them, by pycocotools itself, without what it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from .matching import COCO_IOUS, IOUS, MOST, wide
from .tables import CORNERS, Judged, judged

if TYPE_CHECKING:
    import pandas as pd

AREAS: Mapping[str, tuple[float, float]] = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
SHARES: Mapping[str, tuple[float, float]] = {"under a quarter": (0, 0.25), "a quarter and more": (0.25, 1.0)}
_ALL = (-1.0, 1e12)


def coco_metrics(
    found: Any,
    truth: Any,
    *,
    asked: Any = None,
    images: Iterable[str] | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    areas: Mapping[str, tuple[float, float]] | None = None,
) -> pd.DataFrame:
    """AP (IoU 0.5 to 0.95), AP at 0.3, 0.5 and 0.75, AR of at most 1, 10 and 100 boxes, and AP and AR by size.

    For the tables, ``asked`` and ``images`` see `judged`. ``areas`` are name -> (from, to): of the box in pixels,
    COCO's own (32 and 96 squared) by default, or where ``sizes`` (picture -> width and height) are given, shares of
    the picture: under a quarter, and the rest. A row a metric and area: metric, area, value, n (truths of that area);
    NaN where there are none. Lin et al. 2014 (arXiv 1405.0312), by pycocotools. Raises InputError.

    >>> coco_metrics(detections.table, truth)  # doctest: +SKIP
    """
    return metrics_of(judged(found, truth, asked, images), sizes, areas)


def metrics_of(
    tables: Judged,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    areas: Mapping[str, tuple[float, float]] | None = None,
) -> pd.DataFrame:
    """As `coco_metrics`, of tables that are checked."""
    import pandas as pd

    ranges = dict((AREAS if sizes is None else SHARES) if areas is None else areas)
    precision, recall, truths = _evaluated(tables, sizes, ranges)
    rows = []
    for at, area in enumerate(("all", *ranges)):
        for name, values in _said(precision[:, :, :, at], recall[:, :, at]):
            if at == 0 or name in ("AP", "AP50", f"AR{MOST}"):
                known = values[values > -1]
                rows.append((name, area, float(known.mean()) if known.size else np.nan, truths[at]))
    return pd.DataFrame(rows, columns=["metric", "area", "value", "n"])


def precision_curves(tables: Judged, iou: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Precision [labels, 101] over COCO's recalls [101] at one overlap; NaN for a label without truth."""
    precision, _, _ = _evaluated(tables, None, {})
    curves = precision[IOUS.index(iou), :, :, 0, -1].T
    return np.where(curves > -1, curves, np.nan), np.linspace(0, 1, 101)


def _said(precision: np.ndarray, recall: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """From precision [T, R, K, M] and recall [T, K, M] of one range of areas."""
    coco = slice(1, 1 + len(COCO_IOUS))
    return [
        ("AP", precision[coco, :, :, -1]),
        ("AP30", precision[0, :, :, -1]),
        ("AP50", precision[1, :, :, -1]),
        ("AP75", precision[6, :, :, -1]),
        ("AR1", recall[coco, :, 0]),
        ("AR10", recall[coco, :, 1]),
        (f"AR{MOST}", recall[coco, :, 2]),
    ]


def _evaluated(
    tables: Judged, sizes: Mapping[str, tuple[int, int]] | None, ranges: Mapping[str, tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Precision [T, R, K, A, M], recall [T, K, A, M], and the truths in each range of areas, "all" first."""
    there, boxes = _annotations(tables.truth, tables, sizes), _annotations(tables.found, tables, sizes)
    evaluation = _quiet()(_Index(tables, there), _Index(tables, boxes), "bbox")
    asked = evaluation.params
    asked.iouThrs, asked.maxDets = np.array(IOUS), [1, 10, MOST]
    asked.areaRng = [list(_ALL), *(list(map(float, pair)) for pair in ranges.values())]
    asked.areaRngLbl = ["all", *ranges]
    counts = [sum(low <= one["area"] <= high for one in there) for low, high in asked.areaRng]
    if not tables.labels:
        return np.zeros((len(IOUS), 101, 0, len(counts), 3)), np.zeros((len(IOUS), 0, len(counts), 3)), counts
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"], counts


def _annotations(
    table: pd.DataFrame, tables: Judged, sizes: Mapping[str, tuple[int, int]] | None
) -> list[dict[str, Any]]:
    """A table as COCO's annotations. Numbers begin with 1: pycocotools takes 0 for "not matched"."""
    picture, label = ({name: i + 1 for i, name in enumerate(names)} for names in (tables.images, tables.labels))
    boxes = wide(table[list(CORNERS)].to_numpy())
    area = boxes[:, 2] * boxes[:, 3]
    if sizes is not None:
        missing = next((name for name in table["image"] if name not in sizes), None)
        if missing is not None:
            raise InputError(f"sizes= has no width and height of the picture {missing!r}; give those of all.")
        area = area / np.array([sizes[name][0] * sizes[name][1] for name in table["image"]], float)
    scores = table["score"] if "score" in table else np.zeros(len(table))
    return [
        {"id": i + 1, "image_id": picture[image], "category_id": label[name], "bbox": box, "area": share,
         "iscrowd": 0, "score": score}
        for i, (image, name, box, share, score) in enumerate(
            zip(table["image"], table["label"], boxes.tolist(), area.tolist(), scores, strict=True))
    ]  # fmt: skip


class _Index:
    """What pycocotools asks of a data set: numbers of pictures and labels, and annotations."""

    def __init__(self, tables: Judged, annotations: Sequence[dict[str, Any]]) -> None:
        self.pictures, self.labels = range(1, len(tables.images) + 1), range(1, len(tables.labels) + 1)
        self.annotations = annotations

    def getImgIds(self) -> list[int]:
        return list(self.pictures)

    def getCatIds(self) -> list[int]:
        return list(self.labels)

    def getAnnIds(self, imgIds: Sequence[int] = (), catIds: Sequence[int] = ()) -> list[int]:
        return list(range(len(self.annotations)))  # always asked for all of them

    def loadAnns(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return [dict(self.annotations[i]) for i in ids]  # pycocotools writes into them


@cache
def _quiet() -> Any:
    """COCOeval whose two loud methods have a `print` of their own that says nothing; nobody else's is touched."""
    from pycocotools import cocoeval

    def silent(method: Callable[..., Any]) -> Callable[..., Any]:
        code = method.__code__
        return FunctionType(code, {**vars(cocoeval), "print": lambda *_, **__: None}, code.co_name, method.__defaults__)

    class Quiet(cocoeval.COCOeval):  # type: ignore[misc]
        evaluate = silent(cocoeval.COCOeval.evaluate)
        accumulate = silent(cocoeval.COCOeval.accumulate)

    return Quiet
