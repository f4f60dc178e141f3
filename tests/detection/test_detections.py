"""Boxes as a result: what they hold, how they are drawn, given away, written and read back."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import pickle
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import clipviz
from clipviz.detection.checking import table_of as table
from clipviz.detection.detections import Detection, Detections, NoSuchBox
from clipviz.detection.pages import without_folders
from clipviz.detection.score_maps import ScoreMaps, mask_in
from clipviz.errors import DataError, InputError
from clipviz.explanation.origin import Origin
from clipviz.frame import layout

LABELS = ("a dog", "a cat", "고양이")
ROWS = [
    ("0", "a cat", 0.4, 10.0, 5.0, 60.5, 40.0, "windows level 1"),
    ("1", "a dog", 0.6, 0.0, 0.0, 30.0, 30.0, "regions"),
    ("0", "a dog", 0.9, 70.0, 20.0, 120.0, 80.0, "windows level 0"),
    ("0", "a dog", 0.4, 1.0, 2.0, 3.0, 4.0, "regions"),
]
SIZES = ((140, 90), (40, 60), (64, 64))
ABOUT = {
    "model": {"model": "clipviz-tiny", "weights_sha256": "ab" * 32},
    "method": "windows",
    "templates": ["a photo of {}"],
    "options": {"data": "/nowhere/of/mine/photos.parquet", "step": np.float32(0.5)},
}


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for w, h in SIZES]


def planted(size: tuple[int, int]) -> ScoreMaps:
    """The dog's map is high in the middle half of the picture, the others are a ramp and a constant."""
    values = np.zeros((3, 8, 8), np.float32)
    values[0, 2:6, 2:6], values[1], values[2] = 1.0, np.linspace(-1, 1, 8), 0.25
    return ScoreMaps(values, layout(size, 56, "squash"))


def made(**change: Any) -> Detections:
    given = pictures()
    parts: dict[str, Any] = {
        "table": table(ROWS), "labels": LABELS, "images": ("0", "1", "2"), "sizes": SIZES, "threshold": 0.3,
        "origins": tuple(Origin.of(array, clipviz.open_image(array)) for array in given),
        "maps": tuple(map(planted, SIZES)), "notes": ("The word 'dog' was never seen.",), "provenance": ABOUT,
        "failed": (("3", "'/nowhere/of/mine/d.jpg' is damaged or cut off"),),
    }  # fmt: skip
    return Detections(**{**parts, **change})


@pytest.fixture(scope="module")
def found() -> Detections:
    return made()


def test_rows_are_in_order_and_reached_one_by_one(found: Detections) -> None:
    assert [(b.image, b.label, b.score) for b in found] == [
        ("0", "a dog", 0.9), ("0", "a cat", 0.4), ("0", "a dog", 0.4), ("1", "a dog", 0.6)
    ]  # fmt: skip
    assert found[0] == Detection("0", "a dog", 0.9, 70.0, 20.0, 120.0, 80.0, "windows level 0")
    assert found[-1].box == (0, 0, 30, 30) and found[np.int64(1)].evidence == "windows level 1"
    assert found.boxes.shape == (4, 4) and found.scores.tolist() == [0.9, 0.4, 0.4, 0.6] and len(found) == 4
    assert repr(found) == (
        "Detections(4 boxes of 2 of 3 labels in 3 images, 1 failed, windows, clipviz-tiny)"
    )  # fmt: skip
    for wrong in (4, -5, "a dog"):
        with pytest.raises(NoSuchBox, match="there are 4"):
            found[wrong]  # type: ignore[index]
    assert found.to_pandas()["width"].tolist() == [140, 140, 140, 40]


def test_the_callers_table_stays_its_own() -> None:
    given = table(ROWS)
    before = given.copy()
    result = made(table=given)
    given.loc[:, "score"] = 7.0
    assert result.scores.max() == 0.9 and before["image"].tolist() == [row[0] for row in ROWS]


def test_a_part_of_the_boxes(found: Detections) -> None:
    assert found.at(0.5).scores.tolist() == [0.9, 0.6] and found.at(0.5).threshold == 0.5
    assert found.at(0.4).at(0.9).scores.tolist() == [0.9]
    for lower in (0.2, float("nan"), "0.5"):
        with pytest.raises(InputError, match=r"found at the threshold 0\.3"):
            found.at(lower)  # type: ignore[arg-type]
    one = found.of("1")
    assert (one.images, one.sizes, len(one), one.failed) == (("1",), ((40, 60),), 1, ())
    assert one.picture().size == (40, 60) and len(found.of(2)) == 0
    with pytest.raises(InputError, match="no picture '12' here"):
        found.of("12")
    with pytest.raises(InputError, match="there are 3"):
        found.of(3)
    with pytest.raises(InputError, match="3 pictures here: name one"):
        found.picture()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"table": table([("0", "a bird", 0.5, 0, 0, 1, 1, "")])}, "label 'a bird', which is not among"),
        ({"table": table([("9", "a dog", 0.5, 0, 0, 1, 1, "")])}, "image '9', which is not among"),
        ({"table": table([("0", "a dog", 0.5, 0, 0, 141, 1, "")])}, r"\(140, 90\)"),
        ({"table": table([("0", "a dog", 0.5, 5, 0, 5, 1, "")])}, "x0 < x1"),
        ({"table": table([("0", "a dog", np.nan, 0, 0, 5, 1, "")])}, "all finite"),
        ({"table": table([("0", "a dog", 0.5, 0, np.inf, 5, 1, "")])}, "all finite"),
        ({"table": table([("0", "a dog", 0.2, 0, 0, 5, 1, "")])}, "under the threshold 0.3"),
        ({"table": table(ROWS).drop(columns="evidence")}, "has the columns image, label"),
        ({"labels": ("a dog", "a dog", "a cat")}, "a name twice"),
        ({"labels": ()}, "at least one label"),
        ({"images": (0, 1, 2)}, "tuple of str"),
        ({"sizes": SIZES[:2]}, "as many as each other"),
        ({"threshold": float("nan")}, "finite score"),
        ({"maps": (planted((9, 9)), None, None)}, "on a picture of"),
        ({"labels": (*LABELS, "a boat")}, "of 3 labels"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        made(**change)


def test_scores_that_are_no_numbers_make_no_map() -> None:
    frame = layout((64, 64), 56, "squash")
    for values in (np.full((1, 2, 2), np.nan, np.float32), np.zeros((2, 2), np.float32), np.zeros((1, 2, 2))):
        with pytest.raises(InputError, match=r"finite float32 \[labels, h, w\]"):
            ScoreMaps(values, frame)


# ---- evidence


def test_the_map_behind_a_box(found: Detections, tmp_path: Path) -> None:
    heatmap = found.explain(0)
    assert isinstance(heatmap, clipviz.Heatmap)
    np.testing.assert_array_equal(heatmap.values, planted(SIZES[0]).values[0])
    assert (heatmap.prompt, heatmap.score, heatmap.method, heatmap.model) == ("a dog", 0.9, "windows", "clipviz-tiny")
    assert heatmap.frame.picture == (140, 90) and heatmap.picture.size == (140, 90)
    assert heatmap.details == {"box": [70, 20, 120, 80], "box_score": 0.9, "evidence": "windows level 0"}
    assert "found by windows level 0" in heatmap.notes[0] and heatmap.notes[1:] == found.notes
    assert heatmap.save(tmp_path / "x.png").stat().st_size > 1000
    flat = made(table=table([("0", "고양이", 0.9, 0, 0, 9, 9, "")])).explain(0)
    assert flat.constant and flat.plot() is not None
    with pytest.raises(InputError, match="keep_maps=True"):
        made(maps=()).explain(0)
    with pytest.raises(InputError, match="keep_maps=True"):
        made(maps=()).mask(0)


def test_a_planted_rectangle_comes_back_as_the_mask() -> None:
    width, height = 160, 80
    values = np.zeros((1, 8, 16), np.float32)
    values[0, 2:6, 4:12] = 1.0
    maps = ScoreMaps(values, layout((width, height), 56, "squash"))
    rows = [("0", "a dog", 0.9, 20.0, 10.0, 140.0, 70.0, ""), ("0", "a dog", 0.8, 0.0, 0.0, 60.0, 80.0, "")]
    origin = Origin.of(picture := np.zeros((height, width, 3), np.uint8), clipviz.open_image(picture))
    result = Detections(table(rows), ("a dog",), ("0",), ((width, height),), (origin,), 0.3, (maps,))
    whole, part = result.masks()
    truth = np.zeros((height, width), bool)
    truth[20:60, 40:120] = True
    assert (whole & truth).sum() / (whole | truth).sum() > 0.95
    truth[:, 60:] = False
    assert (part & truth).sum() / (part | truth).sum() > 0.95
    np.testing.assert_array_equal(result.mask(1), part)
    assert result.mask(0, threshold=-1).sum() == 120 * 60 and not result.mask(0, threshold=2).any()
    assert result.mask(0, threshold=0.9).sum() < whole.sum()


def test_masks_of_odd_boxes_and_maps() -> None:
    dense = np.zeros((10, 20), np.float32)
    dense[:, :5] = np.nan
    assert mask_in(dense, (0, 0, 20, 10)).sum() == 150  # flat: all that was seen
    assert not mask_in(dense, (0, 0, 4, 4)).any()  # nothing was seen of it
    assert mask_in(dense, (6.6, 3.6, 6.9, 3.9))[3, 6]  # within a pixel, holding no pixel's middle
    assert mask_in(dense, (19.7, 9.7, 20, 10)).sum() == 1
    dense[4, 10] = -3  # a hole in a plain that lies no higher than its ground
    assert mask_in(dense, (8, 2, 13, 7)).sum() == 25


# ---- drawing


def said(figure: Any) -> str:
    return " ".join(" ".join(t.get_text() for t in figure.texts).split())


def test_figures_of_one_and_of_several(found: Detections) -> None:
    one, several = found.plot("0"), found.plot()
    assert {t.get_text() for t in one.axes[0].texts} == {"a dog 0.90", "a cat 0.40", "a dog 0.40"}
    assert "3 boxes of score 0.3 or more" in said(one) and "windows, clipviz-tiny." in said(one)
    assert "a dog (2)" in said(one) and "no box here: 고양이" in said(one) and found.notes[0] in said(one)
    assert [len(axes.texts) for axes in several.axes[:3]] == [3, 1, 0] and "a dog (3)" in said(several)
    assert "The first 2 of 3 pictures." in said(found.plot(shown=2))
    assert "No boxes of score 0.3 or more" in said(found.plot("2"))
    assert "1 box of score 0.3" in said(found.plot(1))
    with pytest.raises(InputError, match="nothing to draw"):
        made(table=table([]), images=(), sizes=(), origins=(), maps=()).plot()


def test_a_labels_map_lies_under_its_boxes(found: Detections) -> None:
    figure = found.plot("0", evidence="a dog")
    assert {t.get_text() for t in figure.axes[0].texts} == {"a dog 0.90", "a dog 0.40"}
    plain = found.plot("0").axes[0].images[0].get_array()
    assert (figure.axes[0].images[0].get_array() != plain).any() and "the map of 'a dog'" in said(figure)
    assert "a dog (2)" in said(figure) and "no box" not in said(figure)  # the cat has one, that is not drawn
    with pytest.raises(InputError, match=r"drawn on one picture.*plot\('0'"):
        found.plot(evidence="a dog")
    with pytest.raises(InputError, match=r"no label 'a dig' here\. Did you mean 'a dog'"):
        found.plot("0", evidence="a dig")
    with pytest.raises(InputError, match="keep_maps=True"):
        made(maps=()).plot("0", evidence="a dog")


def test_boxes_of_large_pictures_are_drawn_in_place() -> None:
    big = np.zeros((900, 3000, 3), np.uint8)
    rows = [("0", "a dog", 0.9, 1500.0, 450.0, 3000.0, 900.0, "")]
    origin = Origin.of(big, clipviz.open_image(big))
    axes = Detections(table(rows), ("a dog",), ("0",), ((3000, 900),), (origin,), 0.3).plot().axes[0]
    drawn = np.array(axes.patches[0].get_bbox().extents)
    assert drawn / ([axes.get_xlim()[1], axes.get_ylim()[0]] * 2) == pytest.approx([0.5, 0.5, 1, 1], abs=0.01)


# ---- pages


class Tags(HTMLParser):
    """The names of all elements and attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = (
    '" onload="x', "<script>alert(1)</script>", "two\nlines\x07", "x" * 10_000, "\u202eevil", "=1+1", "\ud800", "고 <b>"
)  # fmt: skip


def hostile() -> Detections:
    rows = [(HOSTILE[1], label, 0.9 - 0.01 * i, 0.0, 0.0, 9.0, 9.0, "=2+2") for i, label in enumerate(HOSTILE)]
    images = (HOSTILE[1], HOSTILE[0], HOSTILE[5])
    maps = [ScoreMaps(np.zeros((len(HOSTILE), 2, 2), np.float32), layout(size, 56, "squash")) for size in SIZES]
    return made(table=table(rows), labels=HOSTILE, images=images, failed=((HOSTILE[0], HOSTILE[3]),), maps=tuple(maps))


@pytest.mark.parametrize("names", ["tame", "hostile"])
def test_page_and_view_show_text_as_text_and_nobodys_folders(found: Detections, tmp_path: Path, names: str) -> None:
    shown = found if names == "tame" else hostile()
    page, view = shown.save(tmp_path / "x.html").read_text(), shown._repr_html_()
    for html in (page, view):
        tags = Tags(html)
        assert "script" not in tags.seen and not {a for a in tags.attributes if a.startswith("on")}
        assert "img" in tags.seen and "/nowhere" not in html and "of/mine" not in html and str(tmp_path) not in html
        assert shown.labels[0] in tags.text
    assert ("photos.parquet" in page) and ("d.jpg" in page or names == "hostile")
    assert "two" in Tags(page).text or names == "tame"
    assert "1 pictures could not be opened" in view
    assert "could not be opened" in page and "ab" * 32 in page


def test_a_page_without_its_picture_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(pictures()[0]).save(path)
    result = made().of("0")
    result = dataclasses.replace(result, origins=(Origin.of(path, clipviz.open_image(path)),))
    assert "<img" in result._repr_html_()
    path.unlink()
    view = result._repr_html_()
    assert "<img" not in view and "with_pictures" in view and str(tmp_path) not in view
    assert "with_pictures" in result.save(tmp_path / "x.html").read_text()
    with pytest.raises(InputError, match=r"cannot be opened again: .*a\.png"):
        result.plot()
    assert Detections.load(result.save(tmp_path / "x.json")).boxes.tolist() == result.boxes.tolist()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("'/r/some (old) one/a b.jpg' is damaged", "'a b.jpg' is damaged"),
        (r"'D:\\photos\\ann\\a.jpg' is damaged", "'a.jpg' is damaged"),
        ("read /data/x/y.parquet, and more", "read y.parquet, and more"),
        ("a cat and/or a dog, 3/4, https://a.b/c/d", "a cat and/or a dog, 3/4, https://a.b/c/d"),
    ],
)
def test_folders_are_taken_from_paths_only(text: str, left: str) -> None:
    assert without_folders(text) == left


# ---- files


def test_json_comes_back_whole(found: Detections, tmp_path: Path) -> None:
    path = found.save(tmp_path / "out" / "x.json")
    back = Detections.load(path)
    pd.testing.assert_frame_equal(back.table, found.table, check_exact=True)
    for name in ("labels", "images", "sizes", "threshold", "failed", "notes"):
        assert getattr(back, name) == getattr(found, name)
    assert back.provenance["options"] == {**ABOUT["options"], "step": 0.5} and back.model == "clipviz-tiny"  # type: ignore[dict-item]
    for mine, theirs, array in zip(back.maps, found.maps, pictures(), strict=True):
        assert mine is not None and theirs is not None and mine.frame == theirs.frame
        np.testing.assert_array_equal(mine.values, theirs.values)
        assert mine.values.dtype == np.float32 and mine.frame.picture == array.shape[1::-1]
    np.testing.assert_array_equal(np.asarray(back.picture("1")), pictures()[1])
    assert back.explain(0).values.tolist() == found.explain(0).values.tolist()
    assert back.save(tmp_path / "y.json").read_bytes() == path.read_bytes()
    assert pickle.loads(pickle.dumps(back)).boxes.tolist() == found.boxes.tolist()
    none = made(table=table([]), images=(), sizes=(), origins=(), maps=())
    assert len(Detections.load(none.save(path))) == 0


def test_hostile_names_come_back_from_json(tmp_path: Path) -> None:
    mean = hostile()
    back = Detections.load(mean.save(tmp_path / "x.json"))
    assert (back.labels, back.images, back.failed) == (mean.labels, mean.images, mean.failed)
    assert back.table["label"].tolist() == mean.table["label"].tolist()
    assert mean.save(tmp_path / "x.png").stat().st_size > 1000


def test_large_maps_and_pictures_are_left_out(
    found: Detections, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipviz.detection.store.LARGEST", 1000)
    path = found.save(tmp_path / "x.json")
    back = Detections.load(path)
    assert back.maps == (None, None, None) and back.boxes.tolist() == found.boxes.tolist()
    with pytest.raises(InputError, match=r"does not hold the picture '0'.*with_pictures"):
        back.plot()
    assert "with_pictures" in back._repr_html_()
    found_anew = back.with_pictures(pictures())
    np.testing.assert_array_equal(np.asarray(found_anew.picture("2")), pictures()[2])
    with pytest.raises(InputError, match="not the one that was searched"):
        back.with_pictures(pictures()[::-1])
    with pytest.raises(InputError, match="none for '1'"):
        back.with_pictures(pictures()[0])
    assert Detections.load(back.save(tmp_path / "z.json")).origins[0].mark == found.origins[0].mark


def test_pictures_of_a_source_are_found_anew(tmp_path: Path) -> None:
    for name, array in zip("abc", pictures(), strict=True):
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    source = clipviz.open_source(tmp_path)
    images = tuple(source.ids)
    origins = tuple(Origin.of(item.id, item.image, source) for item in source)
    kept = made(table=table([(images[0], *row[1:]) for row in ROWS[:1]]), images=images, origins=origins)
    (tmp_path / "elsewhere").mkdir()
    for name in images:
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    with pytest.raises(InputError, match="cannot be opened again"):
        kept.picture("a.png")
    moved = kept.with_pictures(clipviz.open_source(tmp_path / "elsewhere"))
    assert moved.picture("b.png").size == SIZES[1]
    with pytest.raises(InputError, match=r"have no 'b\.png'"):
        kept.with_pictures(clipviz.open_source(tmp_path / "elsewhere").select([0]))


def test_what_is_no_saved_set_is_refused(found: Detections, tmp_path: Path) -> None:
    whole = json.loads(found.save(tmp_path / "x.json").read_text())
    bomb = {**whole["maps"][0], "shape": [3, 100_000, 100_000]}
    short = {**whole["maps"][0], "shape": [3, 8, 9]}
    far = {**whole["table"], "x1": [1e9] * 4}
    for change in (
        {"format": "other"}, {"table": 1}, {"labels": None}, {"maps": [bomb, None, None]}, {"pictures": []},
        {"maps": [short, None, None]}, {"surplus": 1}, {"provenance": 3}, {"table": far}, {"threshold": "x"},
    ):  # fmt: skip
        (tmp_path / "y.json").write_text(json.dumps({**whole, **change}))
        with pytest.raises(DataError, match="holds no detections"):
            Detections.load(tmp_path / "y.json")
    for text in ("", "[]", "[" * 100_000):
        (tmp_path / "y.json").write_text(text)
        with pytest.raises(DataError, match="holds no detections"):
            Detections.load(tmp_path / "y.json")
    with pytest.raises(DataError, match="There is no file"):
        Detections.load(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"\.json, \.csv, \.html, \.png"):
        found.save(tmp_path / "x.jpg")


def test_formulas_in_a_csv_are_text(found: Detections, tmp_path: Path) -> None:
    back = pd.read_csv(found.save(tmp_path / "x.csv"), dtype={"image": str})
    assert back["x0"].tolist() == found.boxes[:, 0].tolist() and back["model"].unique().tolist() == ["clipviz-tiny"]
    mean = dataclasses.replace(hostile(), maps=(), labels=(*HOSTILE[:-1], "-2+3"), table=table([
        ("=cmd", "-2+3", 0.9, 0, 0, 1, 1, "@x"), ("=cmd", "two\nlines\x07", -0.5, 0, 0, 1, 1, "\t=1")
    ]), images=("=cmd", "b", "c"), threshold=-1.0)  # fmt: skip
    cells = [cell for row in csv.reader(io.StringIO(mean.save(tmp_path / "y.csv").read_text())) for cell in row]
    numbers = [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert numbers and all(float(cell) for cell in numbers)
    assert {"'=cmd", "'-2+3", "'@x", "two\nlines\x07", "'\t=1", "-0.5"} <= set(cells)


# ---- COCO


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_coco_loads_and_judges_it(found: Detections, tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    (tmp_path / "truth.json").write_text(json.dumps(found.to_coco_dataset(masks=True)))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "truth.json"))
        guessed = truth.loadRes(json.loads(json.dumps(found.to_coco(masks=True))))
        judged = {}
        for kind in ("bbox", "segm"):
            judge = COCOeval(truth, guessed, kind)
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
            judged[kind] = judge.stats[0]
    assert judged["bbox"] == pytest.approx(1.0)
    assert [image["file_name"] for image in truth.loadImgs(truth.getImgIds())] == ["0", "1", "2"]
    assert [category["name"] for category in truth.loadCats(truth.getCatIds())] == list(LABELS)
    first = truth.loadAnns([1])[0]
    assert first["bbox"] == [70, 20, 50, 60] and first["area"] == 3000 and first["image_id"] == 1
    np.testing.assert_array_equal(truth.annToMask(first).astype(bool), found.mask(0))
    assert judged["segm"] > 0.99


def test_coco_numbers_are_those_of_the_truth(found: Detections) -> None:
    numbers, classes = {"0": 17, "1": 5}, {"a dog": 3, "a cat": 3}
    rows = found.to_coco(image_ids=numbers, category_ids=classes)
    assert [(r["image_id"], r["category_id"]) for r in rows] == [(17, 3), (17, 3), (17, 3), (5, 3)]
    assert list(rows[0]) == ["image_id", "category_id", "bbox", "score"] and type(rows[0]["score"]) is float
    whole = found.to_coco_dataset(category_ids={**classes, "고양이": 4})
    assert whole["categories"] == [{"id": 3, "name": "a dog"}, {"id": 4, "name": "고양이"}]
    with pytest.raises(InputError, match="image_ids has no number for '1'"):
        found.to_coco(image_ids={"0": 1})
    with pytest.raises(InputError, match="image_ids has no number for '2'"):
        found.to_coco_dataset(image_ids=numbers)
    with pytest.raises(InputError, match="category_ids has no number for 'a cat'"):
        found.to_coco(category_ids={"a dog": 1})
    with pytest.raises(InputError, match="two pictures one number"):
        found.to_coco(image_ids={"0": 1, "1": 1})
    with pytest.raises(InputError, match="keep_maps=True"):
        made(maps=()).to_coco(masks=True)
    assert made(table=table([])).to_coco() == []
