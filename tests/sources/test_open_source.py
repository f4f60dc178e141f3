"""What all sources have in common, and which one opens."""

import hashlib
import io
import multiprocessing
import pickle
import tarfile
from concurrent.futures import ProcessPoolExecutor
from operator import attrgetter, methodcaller

import numpy as np
import pytest
from PIL import Image

from clipviz.errors import DataError
from clipviz.sources import FolderSource, Item, ParquetSource, half_of, open_source


def png(seed):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    for i in range(20):
        path = tmp_path / "data" / "ab"[i % 2] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i))
    return tmp_path / "data"


def table(path, **columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
    return path


def test_halves_are_those_of_the_first_byte():
    for name in ("a.jpg", "val_7.JPEG", "한국.png"):
        first = int(hashlib.sha256(name.encode()).hexdigest()[:2], 16)
        assert half_of(name) == ("dev" if first % 2 == 0 else "report")
    assert [half_of(str(i)) for i in range(6)] == ["report", "report", "dev", "dev", "report", "report"]
    assert half_of(b"\xff.jpg".decode("utf-8", "surrogateescape")) in ("dev", "report")


def test_halves_are_disjoint_and_whole(folder):
    source = open_source(folder)
    dev, report = source.half("dev"), source.half("report")
    assert sorted(dev.ids + report.ids) == sorted(source.ids) and not set(dev.ids) & set(report.ids)
    assert (source.part, dev.part, report.part) == ("all", "dev", "report")
    assert [item.id for item in dev] == list(dev.ids) and all(half_of(name) == "dev" for name in dev.ids)
    assert "half 'dev'" in repr(dev) and f"{len(dev)} pictures" in repr(dev)
    assert len({source.fingerprint, dev.fingerprint, report.fingerprint}) == 3


def test_a_half_of_a_half_and_other_halves_are_refused(folder):
    source = open_source(folder)
    with pytest.raises(DataError, match="halves of the whole source"):
        source.half("dev").half("report")
    with pytest.raises(DataError, match="'dev' or 'report'"):
        source.half("test")
    assert source.select([0]).half(half_of(source.ids[0])).ids == source.ids[:1]


def test_items_by_position_and_by_id(folder):
    source = open_source(folder)
    last = source[-1]
    assert isinstance(last, Item) and last.id == "b/19.png" and last.metadata == {"label": "b"}
    assert last.image.mode == "RGB" and last.image.size == (8, 6)
    assert source["b/19.png"].image.tobytes() == last.image.tobytes()
    with pytest.raises(IndexError):
        source[20]
    with pytest.raises(DataError, match=r"no picture 'b/1\.png'.*Did you mean"):
        source["b/1.png"]


def test_select_where_and_table(folder):
    source = open_source(folder)
    part = source.select([3, 0, 3, -1])
    assert part.ids == (source.ids[0], source.ids[3], source.ids[19])
    with pytest.raises(IndexError):
        source.select([20])
    cats = source.where(lambda row: row["label"] == "b")
    assert len(cats) == 10 and {item.metadata["label"] for item in cats} == {"b"}
    frame = source.table()
    assert (
        list(frame.index) == list(source.ids)
        and frame.index.name == "id"
        and list(frame["label"].unique()) == ["a", "b"]
    )
    assert open_source(source) is source


def test_the_fingerprint_sees_contents_names_and_nothing_else(folder):
    first = open_source(folder).fingerprint
    assert len(first) == 64 and first == open_source(str(folder)).fingerprint
    victim = folder / "a" / "00.png"
    data = victim.read_bytes()
    (folder / "note.txt").write_text("not a picture")
    victim.touch()
    assert open_source(folder).fingerprint == first
    victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # the same size
    assert open_source(folder).fingerprint != first
    victim.write_bytes(data)
    assert open_source(folder).fingerprint == first
    victim.rename(folder / "a" / "0.png")
    assert open_source(folder).fingerprint != first


def test_folder_and_parquet_of_the_same_pictures_have_one_fingerprint(folder, tmp_path):
    source = open_source(folder)
    data = [(folder / name).read_bytes() for name in source.ids]
    path = table(tmp_path / "same.parquet", file=list(source.ids), image=data, label=["x"] * 20)
    other = open_source(path)
    assert other.fingerprint == source.fingerprint and other.half("dev").fingerprint == source.half("dev").fingerprint
    assert [a.image.tobytes() == b.image.tobytes() for a, b in zip(source, other, strict=True)] == [True] * 20


def test_every_place_opens_what_lies_there(folder, tmp_path):
    one = table(tmp_path / "one.parquet", file=["a", "b"], image=[png(0), png(1)])
    two = table(tmp_path / "two.parquet", file=["c"], image=[png(2)])
    assert isinstance(open_source(folder), FolderSource) and isinstance(open_source(str(one)), ParquetSource)
    assert open_source([one, str(two)]).ids == open_source(tmp_path).ids == ("a", "b", "c")
    assert open_source([two, one]).ids == ("c", "a", "b")


@pytest.mark.parametrize("data", [None, 3, b"x", {"a": 1}, [None], object()])
def test_other_things_are_no_source(data):
    with pytest.raises(DataError, match="pass a folder of pictures"):
        open_source(data)


def formats(tmp_path):
    """The same twelve pictures in every format."""
    folder = tmp_path / "set"
    folder.mkdir()
    names = [f"{i:02d}" for i in range(12)]
    for i, name in enumerate(names):
        (folder / name).with_suffix(".png").write_bytes(png(i))
    yield open_source(folder)
    yield open_source(sorted(folder.glob("*.png")))
    lines = "".join(f"set/{name}.png,{name}\n" for name in names)
    (tmp_path / "list.csv").write_text("path,name\n" + lines)
    yield open_source(tmp_path / "list.csv", columns=["name"])
    yield open_source(table(tmp_path / "t.parquet", file=names, image=[png(i) for i in range(12)], name=names))
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for path in sorted(folder.glob("*.png")):
            tar.add(path, path.name)
    yield open_source(tmp_path / "s.tar")


def test_every_format_goes_to_a_fresh_process_and_serves_there(tmp_path):
    sources = list(formats(tmp_path))
    assert len({type(source) for source in sources}) == 5
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for source in sources:
            part = source.select(range(11, 0, -2))
            part.bytes(0)  # whatever this opens or keeps stays here
            assert pool.submit(methodcaller("bytes", 5), part).result() == png(11)
            assert pool.submit(methodcaller("__getitem__", 5), part).result().metadata == part[5].metadata
            assert pool.submit(attrgetter("fingerprint"), part).result() == part.fingerprint


def test_every_format_has_the_same_manners(tmp_path):
    for source in formats(tmp_path):
        assert len(source) == 12 == len(source.ids) == len(list(source)) and source.failed == []
        assert [source.bytes(name) for name in source.ids] == [png(i) for i in range(12)]
        assert source.table().index.tolist() == list(source.ids)
        assert source[np.int64(3)].id == source.ids[3] == source[-9].id
        for read in (source.bytes, source.__getitem__):
            with pytest.raises(IndexError):
                read(12)
            with pytest.raises(DataError, match="There is no picture 'nothing'"):
                read("nothing")
            with pytest.raises(DataError, match=r"take source\.select"):
                read(slice(0, 2))


def test_names_that_are_no_utf8_have_a_table(tmp_path):
    raw = "고양이".encode("cp949").decode("utf-8", "surrogateescape")  # as an old archive unpacks
    with tarfile.open(tmp_path / "a.tar", "w", encoding="utf-8", errors="surrogateescape") as tar:
        for name, data in ((f"{raw}.png", png(1)), (f"{raw}.json", b'{"n": 7, "text": "\\udcea"}'), ("b.png", png(2))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    source = open_source(tmp_path / "a.tar")
    frame = source.table()
    assert list(frame.index) == [raw, "b"] and frame["n"][raw] == 7 and frame["text"][raw] == "\udcea"
    assert pickle.loads(pickle.dumps(source)).bytes(raw) == png(1) and len(source.fingerprint) == 64


def test_two_formats_in_one_list_and_addresses(folder, tmp_path):
    one = table(tmp_path / "one.parquet", file=["a", "b"], image=[png(0), png(1)])
    (tmp_path / "a.csv").write_text("path\nx.png\n")
    with pytest.raises(DataError, match=r"one format are wanted, got .*one\.parquet' and .*a\.csv"):
        open_source([one, tmp_path / "a.csv"])
    with pytest.raises(DataError, match="One manifest is wanted, got 2"):
        open_source([tmp_path / "a.csv"] * 2)
    assert open_source(str(tmp_path / "on[e].parquet")).ids == ("a", "b")
    assert open_source(str(folder / "a" / "0[0-3].png")).ids == ("00.png", "02.png")
    assert open_source(str(folder / "a" / "0[0-1].png")).ids == ("00.png",)
    (tmp_path / "b.tar").touch()
    with pytest.raises(DataError, match=r"shards such as 'b\.tar' and also Parquet"):
        open_source(tmp_path)


def test_bad_places(folder, tmp_path):
    for data, word in (
        (tmp_path / "missing", "There is no file or folder"),
        ("", "There is no file"),
        ([], "empty list"),
        ([folder], "pass the folder alone"),
        (folder / "a" / "00.png", "is one picture; pass it in a list"),
    ):
        with pytest.raises(DataError, match=word):
            open_source(data)


def test_options_that_do_not_fit(folder):
    source = open_source(folder)
    with pytest.raises(DataError, match="columns= was given with a Source"):
        open_source(source, columns=[])
    with pytest.raises(DataError, match="one string"):
        open_source(folder, columns="label")
    for option in ("image", "id"):
        with pytest.raises(DataError, match=f"{option}='x' names a column"):
            open_source(folder, **{option: "x"})
