"""From boxes and truth to the long table: every metric of a detector and its rivals, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...stats import weighted_bootstrap
from .coco import SHARES, metrics_of
from .localisation import RIGHT, localisation_values, localise_tables, shares
from .matching import COCO_IOUS, IOUS, MOST, Matches, match_tables
from .tables import Judged, judged

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("metric", "method", "boxes", "value", "ci_low", "ci_high", "n", "difference", "difference_low",
           "difference_high", "better")  # fmt: skip
ALL, SMALL = "all", next(iter(SHARES))
ALARMS, PRECISION, RECALL = "false alarms", "precision at the threshold", "recall at the threshold"
ECE = "calibration error"
TOP1, ORACLE = "top-1 localisation", "oracle"
_AT = {"AP30": (0.3,), "AP50": (0.5,), "AP75": (COCO_IOUS[5],), "AP": COCO_IOUS}
_RECALLS = {"AR1": 1, "AR10": 10, f"AR{MOST}": MOST}
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Share:
    """A weighted mean over rows that belong to pictures, as sums over each picture's rows."""

    hits: Floats  # [pictures]
    total: Floats  # [pictures]
    n: int

    def of(self, weights: Floats) -> Floats:
        total = weights @ self.total
        return np.where(total > 0, weights @ self.hits / np.where(total > 0, total, 1), np.nan)


@dataclass(frozen=True, eq=False)
class _Entrant:
    """One detector on the truth that all share."""

    name: str
    tables: Judged
    matches: Matches
    given: Mapping[tuple[str, str], tuple[float, int]]  # (metric, boxes) -> value and n, by pycocotools
    means: Mapping[tuple[str, str], _Share]

    @property
    def keys(self) -> list[tuple[str, str]]:
        """What is resampled, in the order of `measured`."""
        return [*((name, ALL) for name in (*_AT, *_RECALLS)), *self.means]

    def measured(self, weights: Floats) -> Floats:
        """[R, keys] of weights [R, pictures]."""
        by_iou = self.matches.precision_by_iou(weights)
        place = {iou: i for i, iou in enumerate(IOUS)}
        columns = [by_iou[:, [place[iou] for iou in ious]].mean(axis=1) for ious in _AT.values()]
        columns += [self.matches.average_recall(weights, most=most) for most in _RECALLS.values()]
        return np.stack([*columns, *(share.of(weights) for share in self.means.values())], axis=1)


def summarise_boxes(
    entrants: Mapping[str, Any],
    truth: Any,
    *,
    asked: Any,
    sizes: Mapping[str, tuple[int, int]],
    candidates: Any = None,
    threshold: float | None = None,
    resamples: int = 2_000,
    seed: int = 0,
) -> pd.DataFrame:
    """A row a metric, method and range of boxes ("all", "under a quarter" of the picture).

    ``entrants`` are name -> found boxes, the detector first and then its rivals; ``asked`` and the tables are those of
    `judged`, ``sizes`` id -> (width, height). ``candidates`` are what the detector chose from, for its oracle;
    ``threshold`` is where its precision, recall and false alarms are told. AP and AR are pycocotools'. ``ci_low`` and
    ``ci_high`` are 95 % limits from ``resamples`` of the pictures, NaN for AP and AR by size; ``difference`` is the
    detector minus this rival, on the same resamples. ``n`` counts truths, pictures with a label, boxes, or pictures for
    false alarms.
    """
    import pandas as pd

    taking_part = [
        _entrant(
            name, judged(found, truth, asked), sizes, candidates if i == 0 else None, threshold if i == 0 else None
        )
        for i, (name, found) in enumerate(entrants.items())
    ]
    first = taking_part[0]
    shared = [[key for key in one.keys if key in first.keys] for one in taking_part]

    def statistic(weights: Floats) -> Floats:
        values = [one.measured(weights) for one in taking_part]
        apart = [
            values[0][:, [first.keys.index(key) for key in keys]] - mine[:, [one.keys.index(key) for key in keys]]
            for one, mine, keys in zip(taking_part[1:], values[1:], shared[1:], strict=True)
        ]
        return np.concatenate([*values, *apart], axis=1)

    limits: dict[tuple[str, str, str, str], tuple[float, float, float]] = {}
    names = [(one.name, *key, "") for one in taking_part for key in one.keys]
    names += [(one.name, *key, "apart") for one, keys in zip(taking_part[1:], shared[1:], strict=True) for key in keys]
    pictures = len(first.tables.images)
    if pictures > 1:
        found = weighted_bootstrap(statistic, pictures, resamples=resamples, seed=seed, paired=True)
        limits = dict(zip(names, zip(found.estimate, found.low, found.high, strict=True), strict=True))
    else:  # one picture has no interval
        value = statistic(np.ones((1, pictures)))[0]
        limits = {name: (one, np.nan, np.nan) for name, one in zip(names, value, strict=True)}
    rows = [row for one in taking_part for row in _rows(one, limits)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _entrant(
    name: str, tables: Judged, sizes: Mapping[str, tuple[int, int]], candidates: Any, threshold: float | None
) -> _Entrant:
    matches = match_tables(tables)
    given = {
        (metric, area): (value, n)
        for metric, area, value, n in metrics_of(tables, sizes, {SMALL: SHARES[SMALL]}).itertuples(index=False)
    }
    place = {picture: i for i, picture in enumerate(tables.images)}
    means = _localised(tables, sizes, candidates, place, with_oracle=candidates is not None)
    score, right = tables.found["score"].to_numpy(), matches.right(RIGHT)
    at = np.array([place[picture] for picture in tables.found["image"]], np.int64)
    there = np.bincount([place[picture] for picture in tables.truth["image"]], minlength=len(place)).astype(float)
    if (there == 0).any():
        high = at if threshold is None else at[score >= threshold]
        alarm = np.bincount(high, minlength=len(place)) > 0
        empty = there == 0
        means[ALARMS, ALL] = _Share((alarm & empty).astype(float), empty.astype(float), int(empty.sum()))
    if threshold is not None:
        kept = score >= threshold
        hits = np.bincount(at[kept & right], minlength=len(place)).astype(float)
        total = np.bincount(at[kept], minlength=len(place)).astype(float)
        means[PRECISION, ALL] = _Share(hits, total, int(kept.sum()))
        means[RECALL, ALL] = _Share(hits, there, len(tables.truth))
    return _Entrant(name, tables, matches, given, means)


def _localised(
    tables: Judged, sizes: Mapping[str, tuple[int, int]], candidates: Any, place: Mapping[str, int], with_oracle: bool
) -> dict[tuple[str, str], _Share]:
    items = localise_tables(tables, candidates)
    large = (
        tables.truth.assign(share=shares(tables.truth, sizes)).groupby(["image", "label"], sort=False)["share"].max()
    )
    pairs = list(zip(items["image"], items["label"], strict=True))
    of_pair = dict(zip(large.index.tolist(), large.tolist(), strict=True))
    small = np.array([of_pair[pair] < SHARES[SMALL][1] for pair in pairs], bool)
    at = np.array([place[picture] for picture in items["image"]], np.int64)
    several = (tables.asked.groupby("image").size() > 1).any()
    found: dict[tuple[str, str], _Share] = {}
    for boxes, rows in ((ALL, np.ones(len(items), bool)), (SMALL, small)):
        for metric, (values, weights) in localisation_values(items).items():
            # of one label, the highest box is always the label's own; and a rival has one box to choose from
            if (metric == TOP1 and not several) or (metric == ORACLE and not with_oracle) or not rows.any():
                continue
            hits = np.bincount(at[rows], weights=(values * weights)[rows], minlength=len(place)).astype(float)
            total = np.bincount(at[rows], weights=weights[rows], minlength=len(place)).astype(float)
            found[metric, boxes] = _Share(hits, total, int(weights[rows].sum()))
    return found


def _rows(one: _Entrant, limits: Mapping[tuple[str, str, str, str], tuple[float, float, float]]) -> list[tuple]:
    nothing = (np.nan, np.nan, np.nan)
    order = [*one.given, *one.means]
    rows = []
    for metric, boxes in order:
        value, low, high = limits.get((one.name, metric, boxes, ""), nothing)
        if (metric, boxes) in one.given:
            value, n = one.given[metric, boxes]
        else:
            n = one.means[metric, boxes].n
        apart = limits.get((one.name, metric, boxes, "apart"), nothing)
        better = "lower" if metric == ALARMS else "higher"
        rows.append((metric, one.name, boxes, float(value), low, high, int(n), *apart, better))
    return rows
