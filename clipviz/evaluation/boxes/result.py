"""`BoxEvaluation`: how well a model finds things, metric by metric and box by box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError, nearest
from ..result import Evaluation
from .calibration import BINS, calibration_error, reliability_table
from .coco import precision_curves
from .localisation import RIGHT, localise_tables
from .matching import match_tables, overlaps, rows_of
from .summary import ALARMS, ALL, COLUMNS
from .tables import CORNERS, FOUND, Judged, judged

if TYPE_CHECKING:
    import pandas as pd

    from ...plots import Canvas

TRUE = "truth"  # the kind of a row that is no box of the detector's
BOX = "box"
ITEMS = ("id", "half", "kind", "label", "score", *CORNERS, "evidence", "iou", "right", "probability")
FIGURES = ("precision", "reliability")
_DRAWN = (0.3, 0.5, 0.75)
_SAID = ("AP50", "GT-known", ALARMS)


@dataclass(frozen=True, eq=False)
class BoxEvaluation(Evaluation):
    """What `evaluate(task="detection")` measured: boxes against truth, beside rivals that look for nothing.

    ``table`` is long, a row a metric, method and range of boxes: value with its 95 % limits, and the paired difference
    of the detector to each rival; see `clipviz.evaluation.boxes.summary`. ``items`` has a row a box of the detector's
    (kind "box") and a row a truth (kind "truth"), in the pixels of the picture: ``iou`` is the best overlap with the
    other kind of the same label, ``right`` whether a box has a truth of its own at 0.5, or of a truth whether a box
    overlaps by that, ``probability`` what a score is worth by the calibration on dev, NaN without one.
    """

    def __getitem__(self, key: str | tuple[str, ...]) -> float:
        """The value of a metric of the detector, or of (metric, method) or (metric, method, boxes)."""
        wanted = (key,) if isinstance(key, str) else key
        if not isinstance(wanted, tuple) or not 1 <= len(wanted) <= 3:
            raise InputError(f"A figure is named by metric, method and boxes; got {key!r}: write evaluation['AP50'].")
        wanted = (*wanted, *(self.detector, ALL)[len(wanted) - 1 :])
        rows = self.table
        for column, name in zip(("metric", "method", "boxes"), wanted, strict=True):
            if name not in set(rows[column]):
                raise InputError(f"There is no {column} {name!r} here. {nearest(str(name), list(set(rows[column])))}")
            rows = rows[rows[column] == name]
        return float(rows["value"].iloc[0])

    @property
    def detector(self) -> str:
        """The method that was judged, as it stands in the table."""
        return str(self.table["method"].iloc[0])

    @property
    def found(self) -> pd.DataFrame:
        """The boxes as the metrics take them: image, label, score, x0, y0, x1, y1, and what was made of them."""
        rows = self.items[self.items["kind"] == BOX].rename(columns={"id": "image"})
        return rows[[*FOUND, "evidence", "iou", "right", "probability"]].reset_index(drop=True)

    @property
    def truth(self) -> pd.DataFrame:
        """What is there: image, label, x0, y0, x1, y1."""
        rows = self.items[self.items["kind"] == TRUE].rename(columns={"id": "image"})
        return rows[["image", "label", *CORNERS]].reset_index(drop=True)

    def per_label(self) -> pd.DataFrame:
        """A row a label that is there: n truths, boxes, AP50 and GT-known, the worst first."""
        import pandas as pd

        tables = self._judged()
        curves, _ = precision_curves(tables)
        known = localise_tables(tables).groupby("label")["top_iou"].agg(lambda iou: float((iou >= RIGHT).mean()))
        n, boxes = (part["label"].value_counts() for part in (tables.truth, tables.found))
        rows = [
            (label, int(n[label]), int(boxes.get(label, 0)), float(curve.mean()), float(known[label]))
            for label, curve in zip(tables.labels, curves, strict=True)
            if label in n
        ]
        found = pd.DataFrame(rows, columns=["name", "n", "boxes", "AP50", "GT-known"])
        return found.sort_values(["AP50", "name"], ignore_index=True)

    def reliability(self, bins: int = BINS) -> pd.DataFrame:
        """Bins of probability against the share that was right; InputError where no calibration was fitted."""
        return reliability_table(*self._calibrated(), bins=bins)

    def plot(self, figure: str = "precision") -> Canvas:
        """ "precision": precision over recall, the mean over labels; "reliability": can the probability be trusted?"""
        from ... import plots

        if figure not in FIGURES:
            raise InputError(f"There is no figure {figure!r} of an evaluation of boxes. {nearest(figure, FIGURES)}")
        if figure == "reliability":
            bins, known = self.reliability(), self.provenance["calibration"]
            return plots.reliability_diagram(
                bins["predicted"], bins["right"], bins["n"], bins[["low", "high"]],
                title=f"{self.model}: can its scores be trusted?",
                caption=f"{known['method'].capitalize()} calibration on {known['n']} boxes of dev, shown on "
                f"{int(bins['n'].sum())} others; ECE {calibration_error(*self._calibrated()):.3f}. Right: a truth of "
                "its own at IoU 0.5. Bars: 95 % limits of Clopper and Pearson, boxes taken for independent.",
            )  # fmt: skip
        tables, drawn = self._judged(), {}
        labels = tables.truth["label"].nunique()
        for iou in _DRAWN:
            curves, recall = precision_curves(tables, iou)
            mean = np.nanmean(curves, axis=0)
            drawn[f"IoU {iou:g}: AP {mean.mean():.1%}"] = (recall, mean)
        return plots.precision_recall(
            drawn, title=f"{self.model}: boxes by {self.detector}",
            caption=f"Precision at each recall, as COCO interpolates it, the mean over {labels} labels. "
            f"{self.headline}.",
        )  # fmt: skip

    @property
    def headline(self) -> str:
        """The figures of the detector that say most, and GT-known of its rivals."""
        rows = self.table[self.table["boxes"] == ALL].set_index(["metric", "method"])
        said = [
            f"{metric} {shown(rows.loc[(metric, self.detector)])}"
            for metric in _SAID
            if (metric, self.detector) in rows.index
        ]
        rivals = [
            f"{method} {shown(rows.loc[('GT-known', method)])}"
            for method in dict.fromkeys(self.table["method"])
            if method != self.detector
        ]
        half = self.provenance.get("half", "all")
        part = "" if half == "all" else f" of the half {half!r}"
        beside = f" (rivals' GT-known: {', '.join(rivals)})" if rivals else ""
        return f"{self.detector}: {', '.join(said)}{beside}; {self.provenance.get('pictures', '?')} pictures{part}"

    @classmethod
    def columns(cls) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return COLUMNS, ITEMS

    def check(self) -> None:
        names = {name for _, of_label in self.labels for name in of_label}
        if not set(self.items["kind"]) <= {BOX, TRUE} or not {*self.items["label"]} <= names:
            raise ValueError("its items are of other kinds or labels")
        self.items["right"] = self.items["right"].astype(bool)

    def _judged(self) -> Judged:
        return judged(self.found, self.truth)

    def _calibrated(self) -> tuple[Any, Any]:
        rows = self.items[(self.items["kind"] == BOX) & self.items["probability"].notna()]
        if not len(rows):
            raise InputError(
                "These scores were not calibrated: evaluate with half='report' of data that have a half 'dev', on "
                "which boxes were found."
            )
        return rows["probability"].to_numpy(), rows["right"].to_numpy(bool)

    def _page(self) -> str:
        from .pages import boxes_page

        return boxes_page(self)

    def _repr_html_(self) -> str:
        from .pages import boxes_view

        return boxes_view(self)

    def __repr__(self) -> str:
        lost = f", {len(self.failed)} not scored" if self.failed else ""
        return f"BoxEvaluation({self.model}, {self.headline}{lost})"


def items_of(tables: Judged, halves: Any, evidence: Any, probability: Any) -> pd.DataFrame:
    """The rows of ``items``: boxes first, then truths. ``evidence`` and ``probability`` are one a found box."""
    import pandas as pd

    found, truth = tables.found, tables.truth
    iou_found, iou_truth = best_overlaps(tables)
    boxes = found[list(FOUND)].assign(
        kind=BOX, evidence=evidence, iou=iou_found, right=match_tables(tables).right(RIGHT), probability=probability
    )
    there = truth.assign(
        kind=TRUE, score=np.nan, evidence="", iou=iou_truth, right=iou_truth >= RIGHT, probability=np.nan
    )
    rows = pd.concat([boxes, there[list(boxes.columns)]], ignore_index=True).rename(columns={"image": "id"})
    rows = rows.assign(half=[halves(name) for name in rows["id"]])[list(ITEMS)]
    return rows.astype(dict.fromkeys(("id", "half", "kind", "label", "evidence"), str))  # as they are read back


def best_overlaps(tables: Judged) -> tuple[np.ndarray, np.ndarray]:
    """Of each box the best overlap with a truth of its label, and of each truth with a box; 0 where there is none."""
    best = np.zeros(len(tables.found)), np.zeros(len(tables.truth))
    there = rows_of(tables.truth)
    for key, mine in rows_of(tables.found).items():
        other = there.get(key)
        if other is not None:
            iou = overlaps(tables.found[list(CORNERS)].to_numpy()[mine], tables.truth[list(CORNERS)].to_numpy()[other])
            best[0][mine], best[1][other] = iou.max(axis=1), iou.max(axis=0)
    return best


def shown(row: Any) -> str:
    """A share in percent, with its limits where it has any."""
    if np.isnan(row["value"]):
        return "-"
    limits = "" if np.isnan(row["ci_low"]) else f" [{100 * row['ci_low']:.1f}, {100 * row['ci_high']:.1f}]"
    return f"{100 * row['value']:.1f}{limits} %"
