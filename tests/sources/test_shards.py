"""WebDataset shards: real tar files, whole and in every way broken."""

import io
import json
import tarfile
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from clipviz.errors import DataError
from clipviz.sources import ShardSource, open_source


def png(seed, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(stream, kind)
    return stream.getvalue()


def write(path, members, **options):
    """(name, bytes or text) -> a tar file, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, data in members:
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def samples(first, last):
    for i in range(first, last):
        yield f"{i:04d}.png", png(i)
        yield f"{i:04d}.txt", f"picture {i}\n"
        yield f"{i:04d}.json", json.dumps({"n": i, "box": [i, 0, 1, 1]})
        yield f"{i:04d}.cls", str(i % 3)


@pytest.fixture
def shards(tmp_path):
    return [write(tmp_path / "data" / f"{n:04d}.tar", samples(5 * n, 5 * n + 5)) for n in range(3)]


def test_samples_come_in_order_with_all_that_they_hold(shards):
    source = open_source(shards[1])
    assert isinstance(source, ShardSource) and source.ids == tuple(f"{i:04d}" for i in range(5, 10))
    assert set(source.columns) == {"caption", "txt", "n", "box", "label"} and source.failed == []
    items = list(source)
    assert items[2].metadata == {"caption": "picture 7", "txt": "picture 7", "n": 7, "box": [7, 0, 1, 1], "label": 1}
    for place, item in enumerate(items):
        assert source.bytes(place) == source.bytes(item.id) == png(place + 5)
        assert source[place].image.tobytes() == item.image.tobytes() and source[item.id].metadata == item.metadata
    frame = source.table()
    assert frame["caption"].tolist() == [f"picture {i}" for i in range(5, 10)] and frame["n"].sum() == 35
    assert open_source(shards[1], columns=["label"])[0].metadata == {"label": 2}


def test_every_way_to_name_them(shards):
    folder = shards[0].parent
    names = tuple(f"{i:04d}" for i in range(15))
    for data in (
        folder,
        str(folder / "*.tar"),
        str(folder / "{0000..0002}.tar"),
        str(folder / "{0000,0001,0002}.tar"),
        str(folder / "000{0..2}.t?r"),
        shards,
        [str(shards[0]), str(folder / "000{1..2}.tar")],
    ):
        assert open_source(data).ids == names
    assert open_source(str(folder / "{0002..0001}.tar")).ids == names[10:] + names[5:10]


def test_parts_and_halves(shards):
    source = open_source(shards)
    part = source.select([14, 3, 7])
    assert [item.metadata["n"] for item in part] == [3, 7, 14] and part.bytes(2) == png(14)
    assert source.where(lambda row: row["label"] == 0).ids == ("0000", "0003", "0006", "0009", "0012")
    dev, report = source.half("dev"), source.half("report")
    assert set(dev.ids) | set(report.ids) == set(source.ids) and dev.fingerprint != report.fingerprint


def test_the_fingerprint_is_of_the_pictures_not_of_the_tar(shards, tmp_path):
    source = open_source(shards)
    again = write(tmp_path / "one.tar", list(samples(0, 15)), format=tarfile.PAX_FORMAT)
    assert open_source(again).fingerprint == source.fingerprint
    changed = [(name, png(99) if name == "0007.png" else data) for name, data in samples(0, 15)]
    assert open_source(write(again, changed)).fingerprint != source.fingerprint
    (tmp_path / "flat").mkdir()
    for i in range(3):
        (tmp_path / "flat" / f"{i}.png").write_bytes(png(i))
    members = [(f"{i}.jpg", png(i)) for i in range(3)] + [
        (f"{i}.json", json.dumps({"file": f"{i}.png"})) for i in "012"
    ]
    other = open_source(write(tmp_path / "named.tar", members), id="file")
    assert other.fingerprint == open_source(tmp_path / "flat").fingerprint and other.columns == ()


def test_members_are_grouped_by_key_wherever_they_stand(tmp_path):
    members = [
        ("숲/고양이 1.jpg", png(1, "JPEG")),
        ("b.seg.png", png(9)),
        ("b.PNG", png(2)),
        ("숲/고양이 1.txt", "숲 속"),
    ]
    members += [("./c.d.webp", png(3)), ("./c.webp", png(4, "WEBP")), (".hidden.png", png(5)), ("._b.png", b"junk")]
    source = open_source(write(tmp_path / "한국.tar", members))
    assert source.ids == ("숲/고양이 1", "b", "c") and source.skipped == ("d.webp", "seg.png")
    assert source["숲/고양이 1"].metadata == {"caption": "숲 속", "txt": "숲 속"}
    assert source["b"].metadata == {"caption": None, "txt": None} and source.bytes("b") == png(2)
    assert [item.image.size for item in source] == [(8, 6)] * 3
    segments = open_source(tmp_path / "한국.tar", image="seg.png")
    assert segments.bytes("b") == png(9) and [name for name, _ in segments.failed] == ["숲/고양이 1", "c"]


def test_nothing_is_unpacked_and_no_path_or_link_is_followed(tmp_path):
    victim = tmp_path / "secret.png"
    victim.write_bytes(png(1))
    path = tmp_path / "in" / "a.tar"
    write(path, [("../../evil.png", png(2)), (f"{tmp_path}/abs.png", png(3))])
    with tarfile.open(path, "a") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}.png")
            info.type, info.linkname = kind, str(victim)
            tar.addfile(info)
    source = open_source(path)
    assert source.ids == ("../../evil", f"{tmp_path}/abs") and len(list(source)) == 2 and source.failed == []
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.tar", "in", "secret.png"]


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_every_dialect(tmp_path, style):
    name = "x" * 90 + "/" + "y" * 90
    source = open_source(write(tmp_path / "a.tar", [(name + ".png", png(1)), (name + ".txt", "long")], format=style))
    assert source.ids == (name,) and source[0].metadata["caption"] == "long"


@pytest.mark.parametrize("cut", range(0, 512 * 20, 200))
def test_a_cut_anywhere_keeps_what_lies_before_it(tmp_path, cut):
    path = write(tmp_path / "b.tar", list(samples(0, 2)))  # 8 members of two blocks, and the end at block 16
    whole = write(tmp_path / "a.tar", list(samples(5, 6)))
    data = path.read_bytes()
    assert len(data) == 512 * 20 and data[16 * 512 :].strip(b"\0") == b""
    path.write_bytes(data[:cut])
    source = open_source([whole, path])
    served = [item.id for item in source]
    # the first sample alone cannot be told from a longer one; the second serves from the byte of its cls on
    expected = ["0005"]
    if cut >= 9 * 512:
        expected.append("0000")
    if cut > 15 * 512:
        expected.append("0001")
    assert served == expected
    names = [name for name, _ in source.failed]
    if cut < 17 * 512:
        assert "b.tar" in names and "not whole" in dict(source.failed)["b.tar"]
    else:
        assert names == []
    assert set(names) - {"b.tar"} == set(source.ids) - set(served)
    assert len(source.fingerprint) == 64


def test_a_cut_sample_says_so_and_the_parts_know(tmp_path):
    path = write(tmp_path / "a.tar", [(f"{i}.png", png(i)) for i in range(4)])
    path.write_bytes(path.read_bytes()[: 3 * 1024 + 600])
    source = open_source(path)
    assert source.ids == ("0", "1", "2", "3") and [item.id for item in source] == ["0", "1", "2"]
    assert [name for name, _ in source.failed] == ["a.tar", "3"]
    assert source.select([0]).failed == source.failed[:1] and source.select([3]).failed == source.failed
    for read in (source.__getitem__, source.bytes):
        with pytest.raises(DataError, match=r"'3' of .* cannot be read: 'a.tar' is cut off within '3.png'"):
            read("3")


def test_a_damaged_header_in_the_middle_is_not_the_end(tmp_path):
    path = write(tmp_path / "a.tar", [(f"{i}.png", png(i)) for i in range(4)])
    data = bytearray(path.read_bytes())
    data[2048:2560] = b"\xff" * 512
    path.write_bytes(data)
    source = open_source(path)
    assert [item.id for item in source] == ["0", "1"]
    assert "the header at 2048 is damaged" in dict(source.failed)["a.tar"]


def test_damaged_members_are_listed_and_the_others_come(tmp_path):
    jpeg = png(1, "JPEG")
    members = [("a.jpg", jpeg), ("b.jpg", jpeg[:150]), ("c.jpg", b""), ("d.jpg", "text, not a picture")]
    members += [
        ("e.txt", "no picture"),
        ("f.jpg", jpeg),
        ("f.json", "{broken"),
        ("g.jpg", jpeg),
        ("g.txt", b"\xff\xfe"),
    ]
    members += [("h.jpg", jpeg), ("h.jpg", jpeg), ("i.jpg", jpeg), ("i.json", "[1, 2]"), ("i.cls", "cat")]
    source = open_source(write(tmp_path / "a.tar", members))
    assert [name for name, _ in source.failed] == list("efgh")  # known before anything is decoded
    assert [item.id for item in source] == ["a", "i"] and len(source) == 9
    reasons = dict(source.failed)
    assert set(reasons) == set("bcdefgh")
    for name, word in zip(
        "bcdefgh", ("damaged", "0 bytes", "no picture", "has no jpg", "json", "UTF-8", "twice"), strict=True
    ):
        assert word in reasons[name]
    assert source["i"].metadata["json"] == [1, 2] and source["i"].metadata["label"] == "cat"
    assert source.bytes("d") == b"text, not a picture"


def test_a_member_goes_before_a_key_of_the_same_name(tmp_path):
    for order in ((0, 1), (1, 0)):
        about = [("a.txt", "from txt"), ("a.json", '{"caption": "from json", "url": null}')]
        path = write(tmp_path / "a.tar", [("a.png", png(1)), *(about[i] for i in order)])
        assert open_source(path)[0].metadata == {"caption": "from txt", "txt": "from txt", "url": None}


def test_shards_that_number_their_samples_alike(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.tar", [("0.png", png(1)), ("1.png", png(2))])
    with pytest.raises(DataError, match=r"2 keys occur .* '0' in 'a.tar' and 'b.tar'.*id='shard'"):
        open_source(tmp_path)
    assert open_source(tmp_path, id="shard").ids == ("a/0", "a/1", "b/0", "b/1")


def test_names_that_are_not_there(shards, tmp_path):
    with pytest.raises(DataError, match=r"no metadata 'captoin'.*Did you mean 'caption'"):
        open_source(shards, columns=["captoin"])
    with pytest.raises(DataError, match=r"no metadata 'box_'.*Did you mean 'box'"):
        open_source(shards, id="box_")
    with pytest.raises(DataError, match="has the suffix 'jpg'"):
        open_source(shards, image="jpg")
    only = write(tmp_path / "gif.tar", [("a.gif", b"GIF8"), ("a.txt", "x")])
    with pytest.raises(DataError, match=r"suffixes: gif, txt.*image="):
        open_source(only)
    bare = write(tmp_path / "bare.tar", [("a.png", png(1))])
    with pytest.raises(DataError, match="no txt, json or cls"):
        open_source(bare, columns=["caption"])
    some = write(tmp_path / "some.tar", [("a.png", png(1)), ("a.json", '{"file": "x"}'), ("b.png", png(2))])
    with pytest.raises(DataError, match=r"sample 'b' .* has no 'file'"):
        open_source(some, id="file")


def test_places_without_shards(shards, tmp_path):
    folder = shards[0].parent
    for pattern in ("{0007..0009}.tar", "x*.tar", "{a,b}.tar", "**/*.tgz"):
        with pytest.raises(DataError, match="No files match") as caught:
            open_source(str(folder / pattern))
        assert pattern in str(caught.value)
    with pytest.raises(DataError, match=r"1 of the 4 names of .* the first is '.*0003\.tar'"):
        open_source(str(folder / "{0000..0003}.tar"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        open_source(tmp_path / "empty")
    with pytest.raises(DataError, match="holds no pictures"):
        open_source(write(tmp_path / "none.tar", []))
    (tmp_path / "zero.tar").touch()
    with pytest.raises(DataError, match=r"holds no pictures.*the file is empty"):
        open_source(tmp_path / "zero.tar")
    text = tmp_path / "text.tar"
    text.write_text("this is text and no tar file at all\n" * 30)
    with pytest.raises(DataError, match=r"no tar file.*b'this is '"):
        open_source([*shards, text])
    for address in ("https://example.com/{0..9}.tar", "pipe:cat a.tar", "s3://bucket/a.tar"):
        with pytest.raises(DataError, match="nothing is fetched"):
            open_source(address)


@pytest.mark.parametrize("mode,command", [("gz", "gzip -dc"), ("bz2", "bzip2 -dc"), ("xz", "xz -dc")])
def test_compressed_shards_are_refused_with_what_to_type(tmp_path, mode, command):
    for name in (f"a.tar.{mode}", "a.tar"):
        path = tmp_path / mode / name
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, f"w:{mode}"):
            pass
        with pytest.raises(DataError, match=f"is compressed.*{command} ") as caught:
            open_source(path)
        assert str(path) != str(caught.value).rsplit("> ", 1)[1].strip("'")
        path.unlink()


def test_a_folder_with_shards_and_pictures_is_not_guessed(shards):
    folder = shards[0].parent
    (folder / "cats").mkdir()
    (folder / "cats" / "1.png").write_bytes(png(1))
    with pytest.raises(DataError, match=r"shards such as '0000.tar' and also pictures"):
        open_source(folder)
    assert len(open_source(str(folder / "*.tar"))) == 15


def test_a_shard_that_goes_away_fails_by_the_picture(shards):
    source = open_source(shards)
    shards[1].unlink()
    shards[2].write_bytes(shards[2].read_bytes()[:600])
    assert [item.id for item in source] == list(source.ids[:5])
    assert len(source.failed) == 10 and "No such file" in source.failed[0][1]
    with pytest.raises(DataError, match=r"become shorter|0 bytes"):
        source.bytes("0014")
    with pytest.raises(DataError, match="fingerprint"):
        source.fingerprint  # noqa: B018


def test_webdataset_writes_what_is_read(tmp_path, require):
    require(find_spec("webdataset"), "webdataset")
    import webdataset

    with webdataset.TarWriter(str(tmp_path / "a.tar")) as sink:
        for i in range(3):
            sink.write({"__key__": f"{i:05d}", "png": png(i), "txt": f"picture {i}", "json": {"n": i}, "cls": i})
    source = open_source(tmp_path / "a.tar")
    assert [item.metadata["n"] for item in source] == [0, 1, 2] == source.table()["label"].tolist()


def test_real_photographs_through_a_shard(shared, tmp_path):
    table = open_source(shared / "data/tiny-imagenet/val-00.parquet").select(range(0, 5000, 100))
    members = [(f"{name.partition('.')[0]}.jpg", table.bytes(name)) for name in table.ids]
    source = open_source(write(tmp_path / "val.tar", members))
    assert len(source) == 50 and [source.bytes(i) for i in range(50)] == [table.bytes(i) for i in range(50)]
    assert all(a.image.tobytes() == b.image.tobytes() for a, b in zip(source, table, strict=True))
