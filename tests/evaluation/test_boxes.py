"""AP, AR and their bootstrap: against pycocotools, against a slow loop, and against answers that are known."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clipviz.errors import DataError, InputError
from clipviz.evaluation.boxes import ap_difference, ap_interval, coco_metrics, judged, match, overlaps
from clipviz.evaluation.boxes.coco import metrics_of, precision_curves
from clipviz.evaluation.boxes.matching import COCO_IOUS, IOUS

FOUND = ["image", "label", "score", "x0", "y0", "x1", "y1"]
TRUTH = ["image", "label", "x0", "y0", "x1", "y1"]


def draw(seed: int, pictures: int = 30, labels: int = 4, noise: float = 12.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth, and boxes near it with some left out, some made up, and scores that tie now and then."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for i in range(pictures):
        for label in rng.choice(labels, rng.integers(0, 4), replace=True):
            x0, y0 = rng.integers(0, 60, 2)
            w, h = rng.integers(8, 60, 2)
            truth.append((f"p{i}", f"l{label}", x0, y0, x0 + w, y0 + h))
            for _ in range(rng.integers(0, 3)):
                dx, dy, dw, dh = rng.normal(0, noise / 2, 4)
                box = (x0 + dx, y0 + dy, x0 + dx + max(2, w + dw), y0 + dy + max(2, h + dh))
                found.append((f"p{i}", f"l{label}", rng.random(), *box))
        for _ in range(rng.integers(0, 3)):
            x0, y0, w, h = rng.integers(1, 50, 4)
            found.append((f"p{i}", f"l{rng.integers(labels)}", rng.random() * 0.8, x0, y0, x0 + w, y0 + h))
    return pd.DataFrame(found, columns=FOUND), pd.DataFrame(truth, columns=TRUTH)


def by_pycocotools(found: pd.DataFrame, truth: pd.DataFrame) -> Any:
    """The usual way: COCO(), loadRes, COCOeval, summarize; stats as COCO orders them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    pictures = list(dict.fromkeys([*truth["image"], *found["image"]]))
    labels = list(dict.fromkeys([*truth["label"], *found["label"]]))

    def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
        return [
            {"id": i + 1, "image_id": pictures.index(r.image) + 1, "category_id": labels.index(r.label) + 1,
             "bbox": [r.x0, r.y0, r.x1 - r.x0, r.y1 - r.y0], "area": (r.x1 - r.x0) * (r.y1 - r.y0), "iscrowd": 0,
             "score": getattr(r, "score", 0.0)}
            for i, r in enumerate(table.itertuples())
        ]  # fmt: skip

    there = COCO()
    there.dataset = {
        "images": [{"id": i + 1} for i in range(len(pictures))], "annotations": rows(truth),
        "categories": [{"id": i + 1} for i in range(len(labels))], "info": {},
    }  # fmt: skip
    there.createIndex()
    run = COCOeval(there, there.loadRes(rows(found)), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run.stats


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_pycocotools_with_and_without_reweighting(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    found, truth = draw(seed)
    stats = by_pycocotools(found, truth)
    capsys.readouterr()
    table = coco_metrics(found, truth).set_index(["metric", "area"])["value"]
    assert capsys.readouterr() == ("", "")
    wanted = {("AP", "all"): 0, ("AP50", "all"): 1, ("AP75", "all"): 2, ("AP", "small"): 3, ("AP", "medium"): 4,
              ("AR1", "all"): 6, ("AR10", "all"): 7, ("AR100", "all"): 8, ("AR100", "small"): 9}  # fmt: skip
    for key, place in wanted.items():
        assert table[key] == pytest.approx(stats[place], abs=1e-12), key
    assert np.isnan(table["AP", "large"]) and stats[5] == -1
    matches = match(found, truth)
    ours = {"AP": matches.average_precision(), "AP30": matches.average_precision(ious=(0.3,)),
            "AP50": matches.average_precision(ious=(0.5,)), "AP75": matches.average_precision(ious=(IOUS[6],)),
            "AR1": matches.average_recall(most=1), "AR10": matches.average_recall(most=10),
            "AR100": matches.average_recall()}  # fmt: skip
    for name, (value,) in ours.items():
        assert value == pytest.approx(table[name, "all"], abs=1e-9), name


def test_a_weight_of_two_is_the_picture_twice_and_of_nought_is_none() -> None:
    found, truth = draw(5, 20)
    pictures = judged(found, truth).images
    weights = np.random.default_rng(0).multinomial(20, np.full(20, 1 / 20))[: len(pictures)].astype(float)
    assert weights.max() >= 2 and (weights == 0).any()

    def copied(table: pd.DataFrame) -> pd.DataFrame:
        parts = [table[table["image"] == name].assign(image=f"{name} {copy}")
                 for name, times in zip(pictures, weights, strict=True) for copy in range(int(times))]  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    stats = by_pycocotools(copied(found), copied(truth))
    matches = match(found, truth, images=pictures)
    both = np.stack([np.ones(len(pictures)), weights])
    assert matches.average_precision(both)[1] == pytest.approx(stats[0], abs=1e-9)
    assert matches.average_precision(both, (0.5,))[1] == pytest.approx(stats[1], abs=1e-9)
    assert matches.average_recall(both, most=1)[1] == pytest.approx(stats[6], abs=1e-9)


def test_known_answers() -> None:
    truth = pd.DataFrame([("a", "x", 0, 0, 10, 10), ("b", "x", 0, 0, 10, 10)], columns=TRUTH)
    rows = [("a", "x", 0.9, 0, 0, 10, 10), ("a", "x", 0.8, 0, 0, 10, 10), ("b", "x", 0.7, 0, 0, 10, 5)]
    found = pd.DataFrame(rows, columns=FOUND)
    matches = match(found, truth)
    assert matches.right(0.5).tolist() == [True, False, True]  # the second of a truth is a false one
    # recall 1/2 at precision 1, recall 1 at precision 2/3: 51 and 50 of COCO's 101 recalls
    assert matches.average_precision(ious=(0.5,))[0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert matches.average_precision(ious=(IOUS[6],))[0] == pytest.approx(51 / 101)
    curves, recalls = precision_curves(judged(found, truth))
    assert curves[0].mean() == pytest.approx((51 + 50 * 2 / 3) / 101) and len(recalls) == 101
    assert coco_metrics(found.iloc[:0], truth)["value"].iloc[0] == 0
    assert np.isnan(coco_metrics(found, truth.iloc[:0])["value"]).all()
    assert np.isnan(match(found, truth.iloc[:0]).average_precision()).all()
    assert overlaps([[0, 0, 10, 10]], [[0, 0, 10, 5], [20, 0, 30, 5]]).tolist() == [[0.5, 0.0]]


def test_a_label_that_was_not_asked_of_a_picture_counts_neither_way() -> None:
    truth = pd.DataFrame([("a", "x", 0, 0, 9, 9), ("b", "x", 0, 0, 9, 9), ("b", "y", 0, 0, 9, 9)], columns=TRUTH)
    found = pd.DataFrame([("a", "x", 0.9, 0, 0, 9, 9), ("b", "y", 0.8, 0, 0, 9, 9), ("a", "y", 0.99, 0, 0, 9, 9)],
                         columns=FOUND)  # fmt: skip
    asked = pd.DataFrame([("a", "x"), ("b", "y")], columns=["image", "label"])
    assert coco_metrics(found, truth, asked=asked)["value"].iloc[0] == pytest.approx(1)
    assert coco_metrics(found, truth)["value"].iloc[0] == pytest.approx((51 / 101 + 1 / 2) / 2)


def test_sizes_as_shares_of_the_picture() -> None:
    truth = pd.DataFrame([("a", "x", 0, 0, 40, 40), ("b", "x", 0, 0, 90, 90)], columns=TRUTH)
    found = pd.DataFrame([("a", "x", 0.9, 0, 0, 40, 40)], columns=FOUND)
    table = coco_metrics(found, truth, sizes={"a": (100, 100), "b": (100, 100)}).set_index(["area", "metric"])
    assert table.loc[("under a quarter", "AP"), "value"] == pytest.approx(1)
    assert table.loc[("a quarter and more", "AP"), "value"] == 0
    assert table.loc[("under a quarter", "AP"), "n"] == 1 and table.loc[("all", "AP"), "n"] == 2


def test_a_difference_on_the_same_pictures_is_that_of_a_loop() -> None:
    truth = draw(7, 40)[1]
    good, poor = draw(7, 40, noise=4.0)[0], draw(7, 40, noise=14.0)[0]
    there = set(truth["image"])
    good, poor = good[good["image"].isin(there)], poor[poor["image"].isin(there)]
    found = ap_difference(good, poor, truth, ious=(0.5,), resamples=400, seed=3)
    one = coco_metrics(good, truth).set_index("metric")["value"]["AP50"].iloc[0]
    other = coco_metrics(poor, truth).set_index("metric")["value"]["AP50"].iloc[0]
    assert found.paired and found.estimate == pytest.approx(one - other, abs=1e-9)
    a, b = (match(part, truth, images=judged(good, truth).images) for part in (good, poor))
    rng = np.random.default_rng(9)
    n, slow = len(a.images), []
    for _ in range(400):
        weights = np.bincount(rng.integers(0, n, n), minlength=n)
        slow.append(a.average_precision(weights, (0.5,))[0] - b.average_precision(weights, (0.5,))[0])
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.03)
    same = ap_difference(good, good, truth, resamples=50)
    assert same.estimate == same.low == same.high == 0
    alone = ap_interval(good, truth, ious=(0.5,), resamples=400)
    assert alone.low < alone.estimate < alone.high and alone.high - alone.low > found.high - found.low


def test_pycocotools_stays_silent_for_us_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """What another thread prints meanwhile arrives, and pycocotools still speaks to whoever calls it himself."""
    found, truth = draw(1, 10)
    said = [threading.Thread(target=lambda: [print("here") for _ in range(50)]), threading.Thread(
        target=lambda: metrics_of(judged(found, truth)))]  # fmt: skip
    for thread in said:
        thread.start()
    for thread in said:
        thread.join()
    assert capsys.readouterr().out == "here\n" * 50
    by_pycocotools(found, truth)
    assert "Accumulating" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f, t: (f.drop(columns="score"), t), "has no column 'score'"),
        (lambda f, t: (f.assign(x1=f["x0"]), t), "x1 > x0"),
        (lambda f, t: (f.assign(score=np.nan), t), "boxes of found are none"),
        (lambda f, t: (f, t.assign(x0="a")), "no number"),
        (lambda f, t: ([1], t), "a DataFrame"),
    ],
)
def test_tables_that_are_none(change: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        coco_metrics(*change(*draw(0, 5)))


def test_other_bad_input() -> None:
    found, truth = draw(0, 5)
    with pytest.raises(DataError, match="not among images="):
        coco_metrics(found, truth, images=["p0"])
    with pytest.raises(InputError, match="matched at"):
        match(found, truth, ious=COCO_IOUS).right(0.3)
    with pytest.raises(InputError, match="weights are"):
        match(found, truth).average_precision([1.0])
    with pytest.raises(InputError, match="has no width and height"):
        coco_metrics(found, truth, sizes={})
    with pytest.raises(DataError, match="no picture"):
        coco_metrics(found.iloc[:0], truth.iloc[:0])
