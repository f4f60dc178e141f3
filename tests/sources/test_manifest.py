"""CSV, TSV and JSON Lines with paths of pictures."""

import datetime
import json

import numpy as np
import pytest
from PIL import Image

from clipviz.errors import DataError
from clipviz.sources import ManifestSource, open_source


def save(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("a.png", "sub/b.jpg", "고양이/사진 1.png")):
        save(tmp_path / "set" / name, seed)
    return tmp_path / "set"


def text(path, content, **options):
    path.write_text(content, encoding=options.pop("encoding", "utf-8"), newline="")
    return path


CSV = (
    "image,caption,n,score,when\n"
    'a.png,"a cat, asleep",1,0.5,2024-01-02\n'
    "sub/b.jpg,,2,,\n"
    '고양이/사진 1.png,"두\n줄",,2,\n'
)


def test_csv_keeps_types_and_empty_cells_are_none(folder):
    source = open_source(text(folder / "list.csv", CSV))
    assert isinstance(source, ManifestSource) and source.ids == ("a.png", "sub/b.jpg", "고양이/사진 1.png")
    assert source.columns == ("caption", "n", "score", "when")
    assert [item.metadata for item in source] == [
        {"caption": "a cat, asleep", "n": 1, "score": 0.5, "when": datetime.date(2024, 1, 2)},
        {"caption": None, "n": 2, "score": None, "when": None},
        {"caption": "두\n줄", "n": None, "score": 2.0, "when": None},
    ]
    assert source.bytes("고양이/사진 1.png") == (folder / "고양이" / "사진 1.png").read_bytes()
    assert source[1].metadata["n"] == 2 and source.table()["n"].tolist()[:2] == [1, 2]
    assert open_source(folder / "list.csv", columns=["n"])[0].metadata == {"n": 1}
    assert open_source(folder / "list.csv", columns=[])[0].metadata == {}


@pytest.mark.parametrize("kind", ["tsv", "jsonl", "ndjson"])
def test_the_other_formats_say_the_same(folder, kind):
    rows = [{"image": "a.png", "caption": 'a "cat", asleep', "n": 1}, {"image": "sub/b.jpg", "caption": None, "n": 2}]
    if kind == "tsv":
        content = 'image\tcaption\tn\na.png\t"a ""cat"", asleep"\t1\nsub/b.jpg\t\t2\n'
    else:
        content = "\n".join(map(json.dumps, rows)) + "\n\n"
    source = open_source(text(folder / f"list.{kind}", content))
    assert [item.metadata for item in source] == [{k: row[k] for k in ("caption", "n")} for row in rows]


def test_json_lines_keep_what_json_holds(folder):
    lines = [{"file": "a.png", "box": [1, 2], "x": {"y": 1}}, {"file": "./sub/b.jpg", "x": "mixed\u2028line", "z": ""}]
    source = open_source(text(folder / "l.jsonl", "\r\n".join(json.dumps(l, ensure_ascii=False) for l in lines)))
    assert source.ids == ("a.png", "sub/b.jpg")
    assert source[0].metadata == {"box": [1, 2], "x": {"y": 1}, "z": None}
    assert source[1].metadata == {"box": None, "x": "mixed\u2028line", "z": ""}


def test_words_that_look_empty_and_numbers_that_come_late(folder):
    for i in range(3):
        save(folder / "many" / f"{i}.png")
    rows = "".join(f"many/{i}.png,{i},NA\n" for i in range(2)) + "many/2.png,late,null\n"
    source = open_source(text(folder / "list.csv", "path,kind,country\n" + rows))
    assert source.table()["kind"].tolist() == ["0", "1", "late"]
    assert source.table()["country"].tolist() == ["NA", "NA", "null"]
    # types come from all rows: with the word behind several megabytes of numbers it is text all the same
    long = "path,kind\n" + "".join(f"many/{i % 3}.png,{i:07d}\n" for i in range(100_000)) + "a.png,late\n"
    with pytest.raises(DataError, match="3 ids in all"):
        open_source(text(folder / "long.csv", long))


def test_ids_and_paths_are_read_as_written(folder):
    (folder / "007").write_bytes((folder / "a.png").read_bytes())
    source = open_source(text(folder / "list.csv", "path,code\n007,0010\na.png,0011\n"), id="code")
    assert source.ids == ("0010", "0011") and source.columns == () and len(list(source)) == 2
    assert open_source(folder / "list.csv").ids == ("007", "a.png")


def test_the_column_of_paths(folder):
    for name in ("image", "path", "filepath", "file", "file_name"):
        assert open_source(text(folder / "list.csv", f"n,{name}\n1,a.png\n")).ids == ("a.png",)
    both = text(folder / "list.csv", "path,image\na.png,sub/b.jpg\n")
    assert open_source(both).ids == ("sub/b.jpg",) and open_source(both)[0].metadata == {"path": "a.png"}
    assert open_source(both, image="path").ids == ("a.png",)
    with pytest.raises(DataError, match=r"no column 'image', .*image= \(columns: picture, n\)"):
        open_source(text(folder / "list.csv", "picture,n\na.png,1\n"))
    for options in ({"image": "pictur"}, {"columns": ["pictures"]}, {"id": "picture_"}):
        with pytest.raises(DataError, match=r"no column .*Did you mean 'picture'"):
            open_source(folder / "list.csv", **({"image": "picture"} | options))
    with pytest.raises(DataError, match=r"no column 'captoin' .*Did you mean 'caption'"):
        open_source(text(folder / "list.csv", CSV), columns=["captoin"])


def test_same_ids_and_fingerprint_as_the_folder(folder):
    source = open_source(folder)
    manifest = open_source(text(folder / "list.csv", "path\n" + "".join(f"./{name}\n" for name in source.ids)))
    assert manifest.ids == source.ids and manifest.fingerprint == source.fingerprint
    assert manifest.half("dev").ids == source.half("dev").ids
    (folder / "a.png").write_bytes((folder / "sub/b.jpg").read_bytes())
    assert open_source(folder / "list.csv").fingerprint != source.fingerprint


@pytest.mark.parametrize("path", ["../out.png", "sub/../../out.png", "{above}/out.png", ".."])
def test_a_path_out_of_the_folder_needs_leave(folder, path):
    save(folder.parent / "out.png", 9)
    path = path.format(above=folder.parent)
    for name, content in (("l.csv", f"path\na.png\n{path}\n"), ("l.jsonl", json.dumps({"path": path}))):
        with pytest.raises(DataError, match="leads out of the manifest's folder; pass anywhere=True") as caught:
            open_source(text(folder / name, content))
        assert repr(path) in str(caught.value)
    if path == "..":
        return
    source = open_source(folder / "l.csv", anywhere=True)
    assert source.bytes(1) == (folder.parent / "out.png").read_bytes() and len(list(source)) == 2
    assert open_source(text(folder / "l.csv", "path\nsub/../a.png\n")).ids == ("a.png",)


def test_anywhere_is_for_manifests(folder):
    with pytest.raises(DataError, match="anywhere=True is for the paths of a manifest"):
        open_source(folder, anywhere=True)


def test_missing_and_damaged_pictures_are_listed(folder):
    (folder / "zero.png").touch()
    (folder / "text.jpg").write_text("this is text")
    (folder / "cut.jpg").write_bytes((folder / "sub/b.jpg").read_bytes()[:150])
    names = [
        "a.png",
        "gone.png",
        "zero.png",
        "text.jpg",
        "cut.jpg",
        "",
        "sub\\b.jpg",
        "https://example.com/a.png",
        "sub",
    ]
    source = open_source(text(folder / "l.csv", "path,n\n" + "".join(f"{name},1\n" for name in names)))
    assert [name for name, _ in source.failed] == ["gone.png", "row 5", "sub\\b.jpg", "https:/example.com/a.png", "sub"]
    assert [item.id for item in source] == ["a.png"] and len(source) == 9 and len(source.failed) == 8
    reasons = dict(source.failed)
    for name, word in (("gone.png", "There is no file 'gone.png'"), ("row 5", "is empty in row 5")):
        assert word in reasons[name]
    assert "write / instead" in reasons["sub\\b.jpg"] and "nothing is fetched" in reasons["https:/example.com/a.png"]
    assert "is empty" in reasons["zero.png"] and "no picture" in reasons["text.jpg"] and "damaged" in reasons["cut.jpg"]
    for read in (source.bytes, source.__getitem__):
        with pytest.raises(DataError, match=r"'gone\.png' of .* cannot be read: There is no file"):
            read("gone.png")
    before = source.fingerprint
    save(folder / "gone.png")
    assert open_source(folder / "l.csv").fingerprint != before
    (folder / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png' cannot be opened"):
        source.bytes(0)
    with pytest.raises(DataError, match=r"None of the 2 pictures .* There is no file 'x'"):
        open_source(text(folder / "l.csv", "path\nx\ny\n"))


def test_ids_must_be_unique_and_two_are_named(folder):
    twice = text(folder / "l.csv", "path,id\na.png,1\na.png,2\nsub/b.jpg,3\n./sub/b.jpg,4\n")
    with pytest.raises(DataError, match=r"'a\.png' and 'sub/b\.jpg' occur more than once"):
        open_source(twice)
    assert open_source(twice, id="id").ids == ("1", "2", "3", "4")
    with pytest.raises(DataError, match="empty cells, the first in row 1"):
        open_source(text(folder / "l.csv", "path,id\na.png,1\nsub/b.jpg,\n"), id="id")


def test_tables_that_cannot_be_read(folder):
    def refused(name, content, word, **options):
        with pytest.raises(DataError, match=word):
            open_source(text(folder / name, content, **options))

    refused("l.csv", "", "is empty; write a header")
    refused("l.csv", "image,n\n", "holds no pictures")
    refused("l.csv", "image,n\na.png,1\nsub/b.jpg,1,2\n", "Expected 2 columns, got 3")
    refused("l.csv", "image,n,n\na.png,1,2\n", "names the column 'n' twice")
    refused("l.csv", "image;n\na.png;1\n", "separated by ';', ',' is wanted")
    refused("l.tsv", "image,n\na.png,1\n", "separated by ','")
    refused("l.csv", "image,caption\na.png,고양이\n", r"is not UTF-8 \(byte 0xb0", encoding="cp949")
    refused("l.jsonl", "", "is empty; write a JSON object")
    refused("l.jsonl", '{"image": "a.png"}\n{"image": \n', "Line 2 of .* is no JSON")
    refused("l.jsonl", '["a.png"]\n', "Line 1 of .* holds list")
    refused("l.jsonl", '{"image": 3}\n', "holds 3, no path")
    refused("l.jsonl", '{"image": "a.png", "id": "\\ud800"}\n{"image": "\\ud800.png"}\n', "no valid text")


def test_a_byte_order_mark_is_no_part_of_the_header(folder):
    source = open_source(text(folder / "l.csv", "image,caption\r\na.png,고양이\r\n", encoding="utf-8-sig"))
    assert source[0].metadata == {"caption": "고양이"}


def test_parts(folder):
    source = open_source(text(folder / "list.csv", CSV + "gone.png,x,9,,\n"))
    part = source.where(lambda row: row["n"] is not None)
    assert part.ids == ("a.png", "sub/b.jpg", "gone.png") and [name for name, _ in part.failed] == ["gone.png"]
    assert source.select([2]).failed == [] and part.bytes(1) == (folder / "sub/b.jpg").read_bytes()
