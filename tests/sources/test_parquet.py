import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipviz.errors import DataError
from clipviz.sources import half_of, open_source


def png(seed):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


PICTURES = [png(i) for i in range(10)]
NAMES = [f"{i}.png" for i in range(10)]


def write(path, rows=None, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


def same(item, data):
    return np.array_equal(np.asarray(item.image), np.asarray(Image.open(io.BytesIO(data))))


def test_rows_come_in_order_with_their_metadata(tmp_path):
    box = [[i, i, i + 1, i + 2] for i in range(9)] + [None]
    path = write(tmp_path / "a.parquet", 3, file=NAMES, image=PICTURES, kind=[i % 2 for i in range(10)], box=box)
    source = open_source(path)
    items = list(source)
    assert [item.id for item in items] == NAMES and all(map(same, items, PICTURES))
    assert items[1].metadata == {"kind": 1, "box": [1, 1, 2, 3]} and items[9].metadata == {"kind": 1, "box": None}
    assert open_source(path, columns=["kind"])[9].metadata == {"kind": 1}
    assert open_source(path, columns=[])[9].metadata == {} and len(open_source(path, columns=[]).table()) == 10
    assert open_source(path, columns=["file"])[2].metadata == {"file": "2.png"}


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_any_selection_from_any_row_groups(tmp_path, rows):
    files = [
        write(
            tmp_path / f"{i}.parquet", rows, file=NAMES[i : i + 5], image=PICTURES[i : i + 5], n=list(range(i, i + 5))
        )
        for i in (0, 5)
    ]
    source = open_source(files)
    for wanted in ([0], [9], [4, 5], [0, 3, 6, 9], list(range(10))):
        part = source.select(wanted)
        assert [item.metadata["n"] for item in part] == wanted == part.table()["n"].tolist()
        assert all(same(part[i], PICTURES[row]) for i, row in enumerate(wanted))
    assert "and 1 more" in repr(source)


def test_batches_within_a_row_group_keep_their_place(tmp_path):
    count = 150  # more than two batches
    path = write(tmp_path / "a.parquet", image=[PICTURES[i % 10] for i in range(count)], n=list(range(count)))
    source = open_source(path)
    for wanted in ([63, 64, 65], [128], [149], [0, 149]):
        part = source.select(wanted)
        assert [(item.id, item.metadata["n"]) for item in part] == [(str(i), i) for i in wanted]
        assert all(same(item, PICTURES[i % 10]) for item, i in zip(part, wanted, strict=True))


def test_row_groups_without_a_chosen_row_are_not_read(tmp_path):
    path = write(tmp_path / "a.parquet", 5, file=NAMES, image=[b"\0" * 999] * 5 + PICTURES[5:])
    source = open_source(path)
    group = pq.ParquetFile(path).metadata.row_group(0).column(1)
    raw = bytearray(path.read_bytes())
    start = group.dictionary_page_offset or group.data_page_offset
    raw[start : start + group.total_compressed_size] = b"\xff" * group.total_compressed_size
    path.write_bytes(raw)
    assert len(list(source.select(range(5, 10)))) == 5
    with pytest.raises(DataError, match="damaged or cut off"):
        list(source)


def test_the_picture_column_is_found(tmp_path):
    def opened(**columns):
        return open_source(write(tmp_path / "a.parquet", **columns))

    large = pa.array(PICTURES, pa.large_binary())
    struct = pa.array([{"bytes": data, "path": name} for data, name in zip(PICTURES, NAMES, strict=True)])
    for columns in (
        {"image": PICTURES, "thumbnail": PICTURES[::-1]},
        {"jpeg": PICTURES, "n": list(range(10))},
        {"picture": large},
        {"image": struct},
        {"img": struct, "label": list("abcdefghij")},
    ):
        assert same(opened(**columns)[3], PICTURES[3])
    both = write(tmp_path / "b.parquet", left=PICTURES, right=PICTURES[::-1])
    assert same(open_source(both, image="right")[0], PICTURES[9])
    with pytest.raises(DataError, match="'left', 'right' hold bytes; name the one"):
        open_source(both)
    with pytest.raises(DataError, match=r"no column holds bytes.*columns: n"):
        opened(n=[1, 2])
    with pytest.raises(DataError, match=r"'image' of .* is string.*such as 'data'"):
        opened(image=NAMES, data=PICTURES)


def test_ids_are_found_or_counted(tmp_path):
    def ids(**columns):
        options = {"id": columns.pop("named")} if "named" in columns else {}
        return open_source(write(tmp_path / "a.parquet", image=PICTURES[:2], **columns), **options).ids

    assert ids(file=["x", "y"], id=[1, 2]) == ("x", "y")
    assert ids(id=[7, 8]) == ("7", "8")
    assert ids(n=[7, 8]) == ("0", "1")
    assert ids(n=[7, 8], id=[1, 2], named="n") == ("7", "8")
    with pytest.raises(DataError, match="1 ids that occur more than once, such as 'x'"):
        ids(file=["x", "x"])
    with pytest.raises(DataError, match="more than once, such as '1'"):
        ids(id=[1, 1])
    with pytest.raises(DataError, match="empty cells, the first in row 1"):
        ids(file=["x", None])


def test_damaged_rows_are_listed(tmp_path):
    path = write(tmp_path / "a.parquet", file=NAMES[:4], image=[PICTURES[0], PICTURES[1][:50], None, b"text"])
    source = open_source(path)
    assert [item.id for item in source] == ["0.png"]
    assert [name for name, _ in source.failed] == NAMES[1:4]
    assert "0 bytes" in source.failed[1][1] and "no picture" in source.failed[2][1]
    assert len(source.fingerprint) == 64  # what is damaged is data too


def test_names_that_are_not_there(tmp_path):
    path = write(tmp_path / "a.parquet", file=NAMES, image=PICTURES, gender=NAMES)
    for options in ({"columns": ["gendre"]}, {"id": "gendr"}, {"image": "gender_"}):
        with pytest.raises(DataError, match=r"There is no column .* Did you mean 'gender'"):
            open_source(path, **options)
    other = write(tmp_path / "b.parquet", file=["z"], image=PICTURES[:1])
    with pytest.raises(DataError, match=r"no column 'gender' in .*b.parquet"):
        open_source([path, other])


def test_files_that_are_no_parquet(tmp_path):
    text = tmp_path / "a.parquet"
    text.write_text("file,image\n")
    with pytest.raises(DataError, match=r"no Parquet file \(it begins with b'file'\)"):
        open_source(text)
    text.write_bytes(b"")
    with pytest.raises(DataError, match="no Parquet file"):
        open_source(text)
    whole = write(tmp_path / "b.parquet", image=PICTURES).read_bytes()
    text.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged or cut off"):
        open_source(text)
    empty = write(tmp_path / "c.parquet", image=pa.array([], pa.binary()))
    with pytest.raises(DataError, match="holds no pictures"):
        open_source(empty)


def test_a_source_travels_to_another_process(tmp_path):
    source = open_source(write(tmp_path / "a.parquet", file=NAMES, image=PICTURES)).half("dev")
    again = pickle.loads(pickle.dumps(source))
    assert again.ids == source.ids and again.fingerprint == source.fingerprint and again.part == "dev"


def test_single_rows_in_any_order_equal_the_rows_in_theirs(tmp_path):
    box = [[i, i] for i in range(9)] + [None]
    files = []
    for i, rows in ((0, 2), (4, 100), (7, 1)):
        part = slice(i, {0: 4, 4: 7, 7: 10}[i])
        files.append(
            write(tmp_path / f"{i}.parquet", rows, file=NAMES[part], image=PICTURES[part], box=box[part], n=NAMES[part])
        )
    files.insert(
        1,
        write(
            tmp_path / "none.parquet",
            file=pa.array([], pa.string()),
            image=pa.array([], pa.binary()),
            box=pa.array([], pa.list_(pa.int64())),
            n=pa.array([], pa.string()),
        ),
    )
    source = open_source(files, columns=["box", "image"])
    for row in (9, 0, 4, 3, 6, 7, 2, 9, 8, 1, 5):
        item = source[row]
        assert source.bytes(row) == source.bytes(NAMES[row]) == PICTURES[row] and same(item, PICTURES[row])
        assert item.metadata == {"box": box[row], "image": PICTURES[row]} and item.id == NAMES[row]
    part = source.select([8, 2])
    assert [part.bytes(i) for i in (1, 0, -1)] == [PICTURES[8], PICTURES[2], PICTURES[8]]


def test_row_groups_are_read_once_while_they_are_kept(tmp_path):
    source = open_source(write(tmp_path / "a.parquet", 2, file=NAMES, image=PICTURES))
    assert [source.bytes(i) for i in (0, 9, 5)] == [PICTURES[i] for i in (0, 9, 5)]
    (tmp_path / "a.parquet").write_bytes(b"gone")
    assert [source.bytes(i) for i in (1, 8, 4)] == [PICTURES[i] for i in (1, 8, 4)]
    assert source.select([8]).bytes(0) == PICTURES[8]  # parts share what is kept
    with pytest.raises(DataError, match="no Parquet file"):
        source.bytes(2)
    with pytest.raises(DataError, match="no Parquet file"):
        pickle.loads(pickle.dumps(source)).bytes(0)  # a copy in another process begins with nothing


def test_little_is_kept_where_little_fits(tmp_path, monkeypatch):
    monkeypatch.setattr("clipviz.sources.parquet.KEPT", 2 * len(PICTURES[0]) + 100)
    source = open_source(write(tmp_path / "a.parquet", 1, file=NAMES, image=PICTURES))
    for row in (0, 1, 2, 9, 0, 5, 0):
        assert source.bytes(row) == PICTURES[row] and len(source._recent) <= 2


def test_rows_without_a_picture_fail_alone(tmp_path):
    struct = pa.array([{"bytes": PICTURES[0]}, {"bytes": None}, None], pa.struct([("bytes", pa.binary())]))
    source = open_source(write(tmp_path / "a.parquet", image=struct))
    assert source.bytes(0) == PICTURES[0] and source.bytes(1) == source.bytes(2) == b""
    with pytest.raises(DataError, match="0 bytes"):
        source[2]
    assert [name for name, _ in source.failed] == ["2"]


# ---- the shared data: counted once, so that nobody moves the line between dev and report unseen

COUNTS = {"tiny-imagenet/val-00": (5050, 2504, 2546), "fairface/val-00": (3000, 1475, 1525)}


@pytest.mark.parametrize("name", COUNTS)
def test_halves_of_the_shared_data_are_frozen(shared, name):
    source = open_source(shared / "data" / f"{name}.parquet")
    dev, report = source.half("dev"), source.half("report")
    assert (len(source), len(dev), len(report)) == COUNTS[name]
    assert not set(dev.ids) & set(report.ids) and set(dev.ids) | set(report.ids) == set(source.ids)
    assert all(half_of(key) == "report" for key in report.ids)


def test_real_rows(shared):
    photographs = open_source(shared / "data/tiny-imagenet/val-00.parquet")
    assert set(photographs.columns) == {"class_id", "box"} and len(photographs.table()) == 5050
    few = photographs.select(range(0, 5050, 500))
    assert [item.image.size for item in few] == [(64, 64)] * 11 and few.failed == []
    faces = open_source(shared / "data/fairface/val-00.parquet", columns=["age", "gender", "race"])
    assert faces[2999].image.size == (112, 112) and set(faces[2999].metadata) == {"age", "gender", "race"}
    train = open_source(sorted((shared / "data/fairface").glob("train-*.parquet")))
    assert len(train) == 12000 and train[11999].id == train.ids[-1]


def test_all_training_photographs_in_order_and_out_of_it(shared):
    source = open_source(sorted((shared / "data/tiny-imagenet").glob("train-*.parquet")))
    assert len(source) == 54540 == len(source.table())
    places = np.random.default_rng(0).permutation(54540)[:2000]
    chosen = source.select(places)
    in_order = {chosen.ids[i]: data for i, (_, data, _) in enumerate(chosen._read(chosen._chosen))}
    assert all(source.bytes(place) == in_order[source.ids[place]] for place in places)
    for place in places[:20]:
        assert source[place].metadata == chosen[source.ids[place]].metadata
    assert source.failed == []
