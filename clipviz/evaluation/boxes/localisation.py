"""Is the named thing where the best box says? A row a picture and label, and the figures that are made of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .matching import overlaps, rows_of
from .tables import CORNERS, Judged, judged

if TYPE_CHECKING:
    import pandas as pd

RIGHT = 0.5  # of overlap: "Where is it?" is answered
DELTAS = (0.3, 0.5, 0.7)  # the overlaps of MaxBoxAccV2
ITEMS = ("image", "label", "truths", "boxes", "score", "top_iou", "best_iou", "oracle_iou", "first")


def localise(
    found: Any, truth: Any, *, asked: Any = None, images: Iterable[str] | None = None, candidates: Any = None
) -> pd.DataFrame:
    """A row a picture and label that is there: how well the boxes of that label cover it.

    ``score`` and ``top_iou`` are of the label's highest box (NaN and 0 where it has none), the overlap with the truth
    that it covers best; ``best_iou`` is the mean over the truths of the best box of each; ``oracle_iou`` is the best of
    ``candidates``, another table of boxes, by default the found ones; ``first`` says whether that highest box is the
    highest of the whole picture, alone. For the tables, ``asked`` and ``images`` see `judged`.
    """
    return localise_tables(judged(found, truth, asked, images), candidates)


def localise_tables(tables: Judged, candidates: Any = None) -> pd.DataFrame:
    """As `localise`, of tables that are checked."""
    import pandas as pd

    others = tables if candidates is None else judged(candidates, tables.truth, tables.asked, tables.images)
    own, more = rows_of(tables.found), rows_of(others.found)
    boxes, score = tables.found[list(CORNERS)].to_numpy(), tables.found["score"].to_numpy()
    best_of = tables.found.groupby("image", sort=False)["score"].max().to_dict()
    corners = tables.truth[list(CORNERS)].to_numpy()
    rows = []
    for key, there in rows_of(tables.truth).items():
        mine = own.get(key, np.zeros(0, np.int64))
        iou = overlaps(boxes[mine], corners[there])  # [n, m]
        all_iou = iou if candidates is None else overlaps(_boxes(others, more.get(key)), corners[there])
        top = int(score[mine].argmax()) if len(mine) else -1
        rows.append((
            *key, len(there), len(mine), score[mine[top]] if len(mine) else np.nan,
            iou[top].max() if len(mine) else 0.0, iou.max(axis=0).mean() if len(mine) else 0.0,
            all_iou.max() if all_iou.size else 0.0, False,
        ))  # fmt: skip
    items = pd.DataFrame(rows, columns=list(ITEMS))
    best = np.array([best_of.get(name, np.inf) for name in items["image"]])
    # a tie with another box of the picture is no lead
    tied = tables.found[tables.found["score"] == tables.found["image"].map(best_of)].groupby("image").size().to_dict()
    alone = np.array([tied.get(name, 0) == 1 for name in items["image"]], bool)
    return items.assign(first=(items["score"].to_numpy() == best) & alone)


def localisation_values(items: pd.DataFrame) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Metric -> (values [rows], weights [rows]), whose weighted mean it is.

    "GT-known": the highest box of the label that is given overlaps by 0.5; "top-1 localisation": and it is the
    picture's highest, so that the label is right too; "MaxBoxAccV2": the mean over 0.3, 0.5 and 0.7 of GT-known (Choe
    et al. 2020, arXiv 2007.04178), where of a list of boxes a threshold can only take the highest away, so that none
    is the best one; "mean best IoU": of each truth with its best box; "oracle": the best candidate overlaps by 0.5.
    """
    top, one = items["top_iou"].to_numpy(np.float64), np.ones(len(items))
    right = top >= RIGHT
    return {
        "GT-known": (right.astype(float), one),
        "top-1 localisation": ((right & items["first"].to_numpy(bool)).astype(float), one),
        "MaxBoxAccV2": (np.mean([top >= delta for delta in DELTAS], axis=0).reshape(len(items)), one),
        "mean best IoU": (items["best_iou"].to_numpy(np.float64), items["truths"].to_numpy(np.float64)),
        "oracle": ((items["oracle_iou"].to_numpy(np.float64) >= RIGHT).astype(float), one),
    }


def localisation_metrics(items: pd.DataFrame) -> dict[str, float]:
    """The metrics of `localise`'s rows by name, see `localisation_values`; NaN without rows.

    >>> localisation_metrics(localise(detections.table, truth))["GT-known"]  # doctest: +SKIP
    0.62
    """
    return {
        name: float(np.average(values, weights=weights)) if len(values) else np.nan
        for name, (values, weights) in localisation_values(items).items()
    }


def alarms(
    found: Any, truth: Any, *, asked: Any = None, images: Iterable[str] | None = None, threshold: float = -np.inf
) -> pd.DataFrame:
    """A row a picture where nothing of what was asked is there: image, boxes at or above ``threshold``, alarm.

    The mean of ``alarm`` is the share of false alarms. For the tables, ``asked`` and ``images`` see `judged`: without
    ``images`` or ``asked`` the pictures without truth and boxes are not known, so one of them is needed.
    """
    import pandas as pd

    if asked is None and images is None:
        raise InputError("Which pictures were looked at cannot be seen from boxes: pass images= or asked=.")
    tables = judged(found, truth, asked, images)
    there = set(tables.truth["image"])
    high = tables.found[tables.found["score"] >= threshold].groupby("image").size().to_dict()
    rows = [(name, int(high.get(name, 0))) for name in tables.images if name not in there]
    empty = pd.DataFrame(rows, columns=["image", "boxes"])
    return empty.assign(alarm=empty["boxes"] > 0)


def shares(truth: pd.DataFrame, sizes: Mapping[str, tuple[int, int]]) -> NDArray[np.float64]:
    """Of each box the part of its picture that it takes, [rows]; ``sizes`` are picture -> (width, height)."""
    area = (truth["x1"] - truth["x0"]) * (truth["y1"] - truth["y0"])
    whole = np.array([sizes[name][0] * sizes[name][1] for name in truth["image"]], np.float64)
    return area.to_numpy() / whole


def _boxes(tables: Judged, rows: NDArray[np.int64] | None) -> NDArray[np.float64]:
    return np.zeros((0, 4)) if rows is None else tables.found[list(CORNERS)].to_numpy()[rows]
