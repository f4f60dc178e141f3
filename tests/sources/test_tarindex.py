"""The index of a shard, where its headers say what they should not."""

import io
import struct
import tarfile

import pytest

from clipviz.sources.tarindex import LONGEST, read_index, split


@pytest.mark.parametrize(
    "name,key,suffix",
    [
        ("0001.jpg", "0001", "jpg"),
        ("./a/b.c/0001.seg.PNG", "a/b.c/0001", "seg.png"),
        ("숲 속.json", "숲 속", "json"),
        ("a/.hidden.jpg", "", ""),
        ("readme", "readme", ""),
        ("a.b/", "", ""),
        ("../x.jpg", "../x", "jpg"),
    ],
)
def test_keys_end_at_the_first_dot_of_the_last_part(name, key, suffix):
    assert split(name) == (key, suffix)


def shard(path, size_field):
    """Three members, the second with these twelve bytes for its size and a checksum that fits."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"xyz"))
    data = bytearray(path.read_bytes())
    data[1024 + 124 : 1024 + 136] = size_field
    data[1024 + 148 : 1024 + 156] = b" " * 8
    data[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(data[1024:1536])
    path.write_bytes(data)
    return path


HUGE = b"\x80" + bytes(2) + b"\x7f" + struct.pack(">q", -1)  # more than 64 bits hold
BACK = b"\xff" * 10 + b"\xfc\x00"  # -1024, which would lead to this header again


@pytest.mark.parametrize("field,word", [(HUGE, "cut off"), (BACK, "damaged"), (b"99999999999\0", "damaged")])
def test_a_size_that_cannot_be_ends_the_shard(tmp_path, field, word):
    samples, cut = read_index(shard(tmp_path / "a.tar", field))
    assert cut is not None and word in cut and samples["a"].members == {"jpg": (512, 3)} and "c" not in samples
    assert all(sample.fault for key, sample in samples.items() if key == "b")


def test_a_caption_of_megabytes_is_none(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, size in (("a.txt", LONGEST + 1), ("b.txt", 5)):
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, io.BytesIO(b" " * size))
    samples, cut = read_index(tmp_path / "a.tar")
    assert cut is None and "at most" in samples["a"].fault and samples["b"].about == {"caption": "", "txt": ""}
