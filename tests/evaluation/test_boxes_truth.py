"""Truth from columns of boxes and from COCO folders: what is read, and that nothing goes missing in silence."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import clipviz
from clipviz.errors import DataError
from clipviz.evaluation.boxes import CocoSource, open_boxes, read_boxes


def jpeg(width: int, height: int, orientation: int = 1) -> bytes:
    picture, out = Image.new("RGB", (width, height), (90, 120, 30)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(out, "JPEG", exif=exif)
    return out.getvalue()


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_one_box_a_row_with_its_last_pixel_inclusive(tmp_path: Path) -> None:
    nan = float("nan")
    boxes = {"good": [0, 10, 63, 20], "one pixel": [5, 5, 5, 5], "turned": [0, 0, 29, 49], "beyond": [50, 0, 70, 9],
             "backwards": [20, 0, 10, 9], "outside": [64, 0, 80, 9], "nan": [nan, 0, 1, 1], "none": None}  # fmt: skip
    rows = [{"file": name, "image": jpeg(50, 30, 6) if name == "turned" else jpeg(64, 64), "box": box, "kind": 3}
            for name, box in boxes.items()]  # fmt: skip
    rows.append({"file": "broken", "image": b"\xff\xd8\xff and no more", "box": [0, 0, 1, 1], "kind": 3})
    source = clipviz.open_source(parquet(tmp_path / "x.parquet", rows))
    found = read_boxes(source, truth="kind", inclusive=True)
    got = {row.image: [row.x0, row.y0, row.x1, row.y1] for row in found.table.itertuples()}
    assert got == {"good": [0, 10, 64, 21], "one pixel": [5, 5, 6, 6], "turned": [0, 0, 30, 50],
                   "beyond": [50, 0, 64, 10]}  # fmt: skip
    assert found.clipped == 1 and found.sizes["turned"] == (30, 50)
    reasons = dict(found.bad)
    assert set(reasons) == {"backwards", "outside", "nan", "none", "broken"}
    assert "no size" in reasons["backwards"] and "outside of the picture of 64 x 64" in reasons["outside"]
    assert "not finite" in reasons["nan"] and reasons["none"] == "it has no box"
    assert ("backwards", "3") in found.unjudged and ("broken", None) in found.unjudged
    assert found.values == {"3": 3} and "broken" not in found.sizes
    excluded = read_boxes(source, truth="kind")
    assert "one pixel" in dict(excluded.bad)


def test_tiny_imagenet(shared: Path) -> None:
    source = clipviz.open_source(shared / "data/tiny-imagenet/val-00.parquet").select(range(200))
    found = read_boxes(source, truth="class_id", inclusive=True)
    cells = source.table()["box"]
    row = found.table.iloc[0]
    assert [row.x0, row.y0, row.x1 - 1, row.y1 - 1] == list(cells[row.image])
    assert len(found.table) + len(found.bad) == 200 and found.table["x1"].max() == 64
    # the last pixel of a picture of 64 is 63: without the option no box would ever reach the edge
    assert read_boxes(source, truth="class_id").table["x1"].max() == 63


def test_lists_of_boxes_and_labels_a_row(tmp_path: Path) -> None:
    rows = [
        {"file": "two", "image": jpeg(40, 40), "box": [[0, 0, 10, 10], [5, 5, 40, 40]], "label": ["a cat", "개"]},
        {"file": "nothing", "image": jpeg(40, 40), "box": [], "label": []},
        {"file": "odd", "image": jpeg(40, 40), "box": [[0, 0, 10, 10]], "label": ["a cat", "a dog"]},
        {"file": "partly", "image": jpeg(40, 40), "box": [[0, 0, 9, 9], [3, 3, 3, 3]], "label": ["a cat", "a cat"]},
    ]
    found = read_boxes(clipviz.open_source(parquet(tmp_path / "x.parquet", rows)))
    assert found.table[["image", "label"]].values.tolist() == [["two", "a cat"], ["two", "개"], ["partly", "a cat"]]
    assert dict(found.bad)["odd"] == "it has 1 boxes and 2 labels" and "no size" in dict(found.bad)["partly"]
    assert found.unjudged == {("odd", None), ("partly", "a cat")}
    assert "nothing" in found.sizes and found.labels_of["nothing"] == ()


def test_boxes_as_text_in_a_csv(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(30, 20))
    (tmp_path / "x.csv").write_text(
        'path,box,label\na.jpg,"1, 2, 3, 4",cat\nb.jpg,"[[0, 0, 9, 9], [1, 1, 5, 5]]",dog\nc.jpg,what,cat\n'
    )
    found = read_boxes(clipviz.open_source(tmp_path / "x.csv"))
    assert found.table[["x0", "y0", "x1", "y1"]].values.tolist() == [[1, 2, 3, 4], [0, 0, 9, 9], [1, 1, 5, 5]]
    assert "cannot be read" in dict(found.bad)["c.jpg"]


def coco(folder: Path, pictures: str = "images", name: str = "instances_val.json") -> dict[str, Any]:
    data = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}, {"id": 9, "file_name": "b.jpg"},
                   {"id": 11, "file_name": "gone.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [0, 0, 40, 30], "iscrowd": 1},
            {"id": 3, "image_id": 11, "category_id": 3, "bbox": [0, 0, 4, 3]},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 5, "name": "crowd of 개"}],
    }  # fmt: skip
    (folder / pictures).mkdir(parents=True, exist_ok=True)
    for one in ("a.jpg", "b.jpg"):
        (folder / pictures / one).write_bytes(jpeg(40, 30))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(data))
    return data


@pytest.mark.parametrize(
    ("pictures", "name"),
    [
        ("images", "x.json"),
        (".", "x.json"),
        ("val", "annotations/instances_val.json"),
        ("images", "annotations/y.json"),
    ],
)
def test_a_coco_folder_wherever_its_pictures_lie(tmp_path: Path, pictures: str, name: str) -> None:
    coco(tmp_path, pictures, name)
    source = open_boxes(tmp_path)
    assert isinstance(source, CocoSource) and source.ids == ("a.jpg", "b.jpg", "gone.jpg")
    assert source["a.jpg"].image.size == (40, 30) and source["a.jpg"].metadata["box"][0] == [1, 2, 11, 22]
    assert [name for name, _ in source.failed] == ["gone.jpg"]
    assert len(source.fingerprint) == 64 and source.names == ("cat", "crowd of 개")
    found = read_boxes(source)
    assert found.table.values.tolist() == [["a.jpg", "cat", 1, 2, 11, 22]]
    assert "crowd" in dict(found.bad)["a.jpg"] and ("a.jpg", "crowd of 개") in found.unjudged
    assert ("gone.jpg", None) in found.unjudged and found.labels_of["b.jpg"] == ()


def test_boxes_of_a_picture_that_lies_on_its_side(tmp_path: Path) -> None:
    coco(tmp_path)
    (tmp_path / "images" / "a.jpg").write_bytes(jpeg(40, 30, 6))  # upright it is 30 x 40, and the JSON says 40 x 30
    (tmp_path / "images" / "gone.jpg").write_bytes(jpeg(40, 30))
    found = read_boxes(open_boxes(tmp_path))
    assert dict(found.bad) == {"a.jpg": "its boxes are of 40 x 30 pixels, and upright it has 30 x 40"}
    assert found.table["image"].tolist() == ["gone.jpg"]


def test_a_coco_file_that_is_none(tmp_path: Path) -> None:
    data = coco(tmp_path, name="x.json")
    assert open_boxes(tmp_path / "x.json").ids[0] == "a.jpg"
    for change, says in (
        ({"annotations": [{"image_id": 99, "category_id": 3, "bbox": [0, 0, 1, 1]}]}, "KeyError: 99"),
        ({"categories": {}}, "lists images, annotations and categories"),
        ({"images": [{"id": 7, "file_name": "../a.jpg"}], "annotations": []}, "leads out of its folder"),
        ({"images": [{"id": 7, "file_name": "c.jpg"}], "annotations": []}, "None of the 1 pictures"),
    ):
        (tmp_path / "x.json").write_text(json.dumps({**data, **change}))
        with pytest.raises(DataError, match=says):
            CocoSource(tmp_path / "x.json")
    with pytest.raises(DataError, match="has no COCO JSON"):
        CocoSource(tmp_path / "images")
    coco(tmp_path, name="x.json")
    coco(tmp_path, name="y.json")
    with pytest.raises(DataError, match="has 2 COCO files"):
        open_boxes(tmp_path)
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        CocoSource(tmp_path / "x.json")
    with pytest.raises(DataError, match="There is no file or folder"):
        CocoSource(tmp_path / "z.json")


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    rows = [{"file": "a", "image": jpeg(8, 8), "boxes": [0, 0, 1, 1], "label": "x"}]
    source = clipviz.open_source(parquet(tmp_path / "x.parquet", rows))
    with pytest.raises(DataError, match="Did you mean 'boxes'"):
        read_boxes(source)
    with pytest.raises(DataError, match="name it with truth="):
        read_boxes(source, box="boxes", truth="lable")
    empty = parquet(tmp_path / "y.parquet", [{"file": "a", "image": jpeg(8, 8), "box": [9, 9, 10, 10], "label": "x"}])
    with pytest.raises(DataError, match=r"has a box in 'box' that can be used\. The first: 'a'"):
        read_boxes(clipviz.open_source(empty))
