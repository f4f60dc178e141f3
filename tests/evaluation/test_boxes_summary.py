"""The table of a detector and its rivals, what is asked of pictures, and the result on disk, drawn and as a page."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import clipviz
from clipviz.errors import DataError, InputError
from clipviz.evaluation import BoxEvaluation
from clipviz.evaluation.boxes import (
    alarms,
    central_boxes,
    coco_metrics,
    fit_calibration,
    judged,
    localisation_metrics,
    localise,
    match,
)
from clipviz.evaluation.boxes.posing import keys_of, labels_for, pose
from clipviz.evaluation.boxes.result import items_of
from clipviz.evaluation.boxes.summary import COLUMNS, summarise_boxes
from clipviz.evaluation.boxes.thresholds import best_threshold
from clipviz.sources import half_of

NASTY = "<script>개</script>"
SIZES = {f"p{i}": (100, 80) for i in range(40)}


def draw(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Boxes, truth and questions of forty pictures and three labels; eight pictures hold nothing."""
    rng = np.random.default_rng(seed)
    truth, found, labels = [], [], ["cat", "dog", NASTY]
    for i in range(40):
        for label in rng.choice(labels, 2, replace=False) if i < 32 else []:
            x0, y0 = rng.uniform(0, 50), rng.uniform(0, 30)
            box = np.array([x0, y0, x0 + rng.uniform(20, 50), y0 + rng.uniform(20, 50)])
            truth.append((f"p{i}", label, *box))
            near = box + rng.normal(0, 4, 4)
            found.append((f"p{i}", label, rng.uniform(0.3, 0.9), *near))
        if rng.random() < 0.5:
            found.append((f"p{i}", str(rng.choice(labels)), rng.uniform(0.1, 0.6), 5.0, 5.0, 30.0, 40.0))
    asked = pd.DataFrame([(name, label) for name in SIZES for label in labels], columns=["image", "label"])
    return (
        pd.DataFrame(found, columns=["image", "label", "score", "x0", "y0", "x1", "y1"]),
        pd.DataFrame(truth, columns=["image", "label", "x0", "y0", "x1", "y1"]),
        asked,
    )


def whole(asked: pd.DataFrame) -> pd.DataFrame:
    scores = np.random.default_rng(1).random(len(asked))
    return central_boxes(asked["image"].tolist(), asked["label"].tolist(), scores, SIZES)


def test_the_table_is_put_together_from_the_metrics() -> None:
    found, truth, asked = draw()
    table = summarise_boxes({"ours": found, "whole picture": whole(asked)}, truth, asked=asked, sizes=SIZES,
                            candidates=found, threshold=0.35, resamples=200)  # fmt: skip
    assert tuple(table.columns) == COLUMNS
    rows = table.set_index(["metric", "method", "boxes"])
    for method, boxes in (("ours", found), ("whole picture", whole(asked))):
        coco = coco_metrics(boxes, truth, asked=asked, sizes=SIZES)
        for row in coco[coco["area"] != "a quarter and more"].itertuples():
            got = rows.loc[(row.metric, method, row.area)]
            assert (got["value"], got["n"]) == pytest.approx((row.value, row.n), nan_ok=True)
        items = localise(boxes, truth, asked=asked)
        for metric, value in localisation_metrics(items).items():
            if metric != "oracle" or method == "ours":
                assert rows.loc[(metric, method, "all"), "value"] == pytest.approx(value), metric
        empty = alarms(boxes, truth, asked=asked, threshold=0.35 if method == "ours" else -np.inf)
        assert empty["alarm"].mean() > 0, "else every rule would do"
        got = rows.loc[("false alarms", method, "all")]
        assert (got["value"], got["n"], got["better"]) == (empty["alarm"].mean(), 8, "lower")
    high, right = found["score"] >= 0.35, match(found, truth, asked=asked).right()
    assert rows.loc[("precision at the threshold", "ours", "all"), "value"] == right[high].mean()
    assert rows.loc[("recall at the threshold", "ours", "all"), "value"] == (right & high).sum() / len(truth)
    small = (truth["x1"] - truth["x0"]) * (truth["y1"] - truth["y0"]) < 2000
    assert rows.loc[("GT-known", "ours", "under a quarter"), "n"] == small.sum()
    limits = rows.dropna(subset=["ci_low"])
    assert (limits["ci_low"] <= limits["ci_high"]).all() and len(limits) > 30
    rival = rows.loc[("AP50", "whole picture", "all")]
    apart = rows.loc[("AP50", "ours", "all"), "value"] - rival["value"]
    assert rival["difference"] == pytest.approx(apart) and rival["difference_low"] > 0
    assert "oracle" not in table["metric"][table["method"] == "whole picture"].tolist()


def test_one_label_a_picture_has_no_top1_and_one_picture_no_interval() -> None:
    found, truth, asked = draw()
    one = truth.drop_duplicates("image")[["image", "label"]]
    assert "top-1 localisation" not in set(
        summarise_boxes({"a": found}, truth, asked=one, sizes=SIZES, resamples=20)["metric"]
    )
    alone = summarise_boxes({"a": found}, truth, asked=asked[asked["image"] == "p0"], sizes=SIZES)
    assert alone["ci_low"].isna().all() and alone["value"].notna().any()


def test_the_best_threshold_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 30, 200) / 30
    right = rng.random(200) < scores
    f1 = {t: 2 * right[scores >= t].sum() / ((scores >= t).sum() + 120) for t in set(scores)}
    assert f1[best_threshold(scores, right, 120)] == pytest.approx(max(f1.values()))
    with pytest.raises(InputError, match="from boxes and truths"):
        best_threshold([], [], 3)


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> clipviz.sources.Source:
    rows = [
        {"file": "a", "box": [[0, 0, 9, 9], [5, 5, 30, 20]], "label": [1, 2], "wanted": ["dog", "cat"]},
        {"file": "b", "box": [[0, 0, 9, 9], [3, 3, 3, 3]], "label": [2, 3], "wanted": ["3"]},
        {"file": "c", "box": [], "label": [], "wanted": ["cat"]},
        {"file": "d", "box": None, "label": None, "wanted": ["cat"]},
    ]
    pq.write_table(pa.Table.from_pylist([{**row, "image": jpeg()} for row in rows]), tmp_path / "x.parquet")
    return clipviz.open_source(tmp_path / "x.parquet")


def test_what_is_asked(source: Any) -> None:
    labels = labels_for({1: "cat", 2: "dog", 3: "bird"}, source, "label")
    assert labels.values == (1, 2, 3)
    there = pose(source, labels)
    assert there.asks == {"a": ("cat", "dog"), "b": ("dog", "bird"), "c": ()} | {"d": ()}
    assert there.pairs.values.tolist() == [["a", "cat"], ["a", "dog"], ["b", "dog"]]  # the bird's box has no size
    assert there.groups() == {("cat", "dog"): [0], ("dog", "bird"): [1]}
    assert [name for name, _ in there.bad] == ["b", "d"]
    everything = pose(source, labels, ask="all")
    assert set(everything.asks.values()) == {("cat", "dog", "bird")}
    assert set(everything.pairs["image"]) == {"a", "b", "c"} and len(everything.pairs) == 8
    listed = pose(source, labels, ask="wanted")
    assert listed.asks["a"] == ("cat", "dog") and listed.asks["b"] == ("bird",)
    assert everything.without(["a"]).pairs["image"].tolist() == ["b", "b", "c", "c", "c"]
    few = pose(source, labels_for({2: "dog"}, source, "label"))
    assert few.truth["label"].tolist() == ["dog", "dog"] and "1 of 3 boxes are of labels" in few.notes[0]


def test_labels_of_one_name_are_told_apart_and_bad_questions_refused(source: Any) -> None:
    labels = labels_for({1: ["crane", "bird"], 2: ["crane", "machine"]}, source, "label")
    assert keys_of(labels) == {"1": "crane (1)", "2": "crane (2)"}
    with pytest.raises(InputError, match=r"ask='want' is not 'truth', 'all' or a column.*Did you mean 'wanted'"):
        pose(source, labels, ask="want")
    with pytest.raises(DataError, match="asks 'dog' of 'a', which is no label"):
        pose(source, labels, ask="wanted")
    with pytest.raises(DataError, match="none of them is asked"):
        pose(source, labels_for({7: "cat", 8: "dog"}, source, "label"))
    with pytest.raises(DataError, match="name it with truth="):
        labels_for(None, source, "lable")


@pytest.fixture(scope="module")
def result() -> BoxEvaluation:
    found, truth, asked = draw()
    tables = judged(found, truth, asked)
    line = fit_calibration(found["score"], match(found, truth, asked=asked).right())
    return BoxEvaluation(
        task="detection",
        table=summarise_boxes({"ours": found, "whole picture": whole(asked)}, truth, asked=asked, sizes=SIZES,
                              candidates=found, threshold=0.5, resamples=50),
        items=items_of(tables, half_of, ["a map"] * len(found), line(found["score"])),
        labels=(("cat", ("cat",)), ("dog", ("dog", "hound")), (3, (NASTY,))),
        seen="zero-shot", notes=(NASTY,), failed=(("p99", f"its box {NASTY} has no size"),),
        provenance={"model": {"model": NASTY}, "half": "report", "calibration": line.to_dict(), "pictures": 40},
    )  # fmt: skip


def test_there_and_back(result: BoxEvaluation, tmp_path: Path) -> None:
    again = clipviz.Evaluation.load(result.save(tmp_path / "x.json"))
    assert type(again) is BoxEvaluation
    pd.testing.assert_frame_equal(again.table, result.table, check_exact=True)
    pd.testing.assert_frame_equal(again.items, result.items, check_exact=True)
    assert repr(again) == repr(result) and "\n" not in repr(result)
    pd.testing.assert_frame_equal(again.truth, draw()[1], check_dtype=False)
    assert coco_metrics(again.found, again.truth)["value"].iloc[0] == pytest.approx(result["AP"])
    good = json.loads((tmp_path / "x.json").read_text())
    good["items"]["kind"][0] = "other"
    (tmp_path / "y.json").write_text(json.dumps(good))
    with pytest.raises(DataError, match="other kinds or labels"):
        clipviz.Evaluation.load(tmp_path / "y.json")
    assert len(pd.read_csv(result.save(tmp_path / "x.csv"))) == len(result.table)


def test_items_say_what_was_matched(result: BoxEvaluation) -> None:
    found, truth, asked = draw()
    assert result.found["right"].tolist() == match(found, truth, asked=asked).right().tolist()
    assert (result.found["right"] <= (result.found["iou"] >= 0.5)).all()
    there = result.items[result.items["kind"] == "truth"]
    assert len(there) == len(truth) and there["score"].isna().all()
    assert (there["right"] == (there["iou"] >= 0.5)).all()
    assert (result.items["half"] == [half_of(name) for name in result.items["id"]]).all()


def test_figures_by_name(result: BoxEvaluation) -> None:
    assert result["AP50"] == result["AP50", "ours"] == result["AP50", "ours", "all"]
    assert result["GT-known", "whole picture", "under a quarter"] == 0
    with pytest.raises(InputError, match="Did you mean 'AP50'"):
        result["ap50"]
    with pytest.raises(InputError, match="no method 'theirs'"):
        result["AP50", "theirs"]
    labels = result.per_label()
    assert labels["AP50"].mean() == pytest.approx(result["AP50"]) and labels["n"].sum() == 64


def test_figures_drawn(result: BoxEvaluation, tmp_path: Path) -> None:
    curves = result.plot().axes[0].lines
    middle = np.asarray(curves[1].get_ydata())
    assert len(curves) == 3 and middle.mean() == pytest.approx(result["AP50"])
    counts = [bar.get_height() for bar in result.plot("reliability").axes[1].patches]
    assert sum(counts) == len(result.found)
    with pytest.raises(InputError, match="Did you mean 'reliability'"):
        result.plot("reliabilty")
    bare = BoxEvaluation(result.task, result.table, result.items.assign(probability=np.nan), result.labels, "zero-shot")
    with pytest.raises(InputError, match="not calibrated"):
        bare.plot("reliability")
    assert result.save(tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_and_view(result: BoxEvaluation, tmp_path: Path) -> None:
    for html in (result._repr_html_(), result.save(tmp_path / "x.html").read_text(encoding="utf-8")):
        page = _Page()
        page.feed(html)
        assert "script" not in page.tags and NASTY in page.text.replace("\n", "")
        assert "GT-known, under a quarter" in page.text and "ahead of whole picture" in page.text
        assert f"{100 * result['AP50']:.1f} [" in page.text
    assert page.tags.count("img") == 2 and "Left out" in page.text
