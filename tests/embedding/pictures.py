"""Pictures on disk for the tests of this room."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pyarrow.parquet as pq


def real_pictures(shared: Path, folder: Path, n: int) -> Path:
    """A folder of real photographs, two classes."""
    table = pq.ParquetFile(shared / "data/tiny-imagenet/val-00.parquet").read_row_group(0, columns=["image"])
    for number, data in enumerate(table["image"][:n].to_pylist()):
        path = folder / ("even", "odd")[number % 2] / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in some bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def damage(folder: Path) -> dict[str, str]:
    """Spoil five pictures in five ways: id -> a word of the reason that must be told."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))[3:38:7]
    cut, empty, text, large, gone = names
    (folder / cut).write_bytes((folder / cut).read_bytes()[:900])
    (folder / empty).write_bytes(b"")
    (folder / text).write_text("no picture, whatever its name says")
    (folder / large).write_bytes(bomb())
    (folder / gone).unlink()
    (folder / gone).symlink_to("nowhere.jpg")
    return {cut: "cut off", empty: "0 bytes", text: "no picture", large: "too large", gone: "No such file"}
