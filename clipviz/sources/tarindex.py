"""The index of one WebDataset shard: which samples a tar file holds, and where their pictures lie in it."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from clipviz.errors import DataError

PICTURES = ("jpg", "jpeg", "png", "webp")  # in this order where a sample has several
ABOUT = ("txt", "json", "cls")
LONGEST = 16 * 2**20  # bytes of a caption or a JSON member; more is no caption
_PACKED = (
    (b"\x1f\x8b", "gzip -dc"),
    (b"BZh", "bzip2 -dc"),
    (b"\xfd7zXZ", "xz -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd -dc"),
)


@dataclass
class Sample:
    """One key of a shard: suffix -> (offset, size) of its members, its metadata, and why it cannot serve, if so."""

    members: dict[str, tuple[int, int]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None


def read_index(path: Path) -> tuple[dict[str, Sample], str | None]:
    """A tar file -> its samples by key, in order, and where it breaks off, if it does.

    Headers are read, and the captions, labels and JSON; pictures are passed over. Samples before a cut are whole, the
    one that it goes through has a fault. Members that are no regular files (links, folders, devices) are passed over.

    Raises DataError for a compressed tar and for a file that is none.
    """
    samples: dict[str, Sample] = {}
    cut: list[str] = []
    try:
        with path.open("rb") as file:
            _refuse_packed(file, path)
            for name, offset, size, whole in _members(file, path, cut):
                key, suffix = split(name)
                if not key or not suffix:
                    continue
                sample = samples.setdefault(key, Sample())
                if suffix in sample.members:
                    sample.fault = f"{path.name!r} holds {key + '.' + suffix!r} twice; write one member of each name."
                sample.members[suffix] = (offset, size if whole else 0)
                if not whole:
                    sample.fault = f"{path.name!r} is cut off within {key + '.' + suffix!r}; copy the shard again."
                elif suffix in ABOUT:
                    _add(sample, suffix, file, offset, size)
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read ({error.strerror or error}); make it readable.") from error
    if cut and samples:
        _doubt_the_last(list(samples.values()), path)
    return samples, cut[0] if cut else None


def split(name: str) -> tuple[str, str]:
    """A member's name -> key and suffix, at the first dot of the last part, as WebDataset does; "" for no sample.

    >>> split("train/0001.seg.PNG")
    ('train/0001', 'seg.png')
    """
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem, _, suffix = last.partition(".")
    return (folder + slash + stem, suffix.lower()) if stem else ("", "")


def _members(file: IO[bytes], path: Path, cut: list[str]) -> Iterator[tuple[str, int, int, bool]]:
    """(name, offset, size, whether all of it is there) of the regular files; a break goes into ``cut``."""
    length = os.fstat(file.fileno()).st_size
    if length == 0:
        cut.append("the file is empty; copy it again")
        return
    try:
        tar = tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
    except tarfile.TarError as error:
        if length < tarfile.BLOCKSIZE:
            cut.append(f"it is cut off after {length} bytes; copy it again")
            return
        file.seek(0)
        head = file.read(8)
        raise DataError(f"{str(path)!r} is no tar file (it begins with {head!r}); pass WebDataset shards.") from error
    with tar:
        before = -1
        while True:
            try:
                info = tar.next()
            except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
                cut.append(f"it is cut off or damaged after {tar.offset} bytes ({error}); copy it again")
                return
            if info is None:
                break
            # a header that leads backwards would be read for ever
            if info.size < 0 or info.offset_data <= before:
                cut.append(f"the header at {info.offset} is damaged; copy it again")
                return
            before = info.offset_data
            whole = info.offset_data + info.size <= length
            if info.isreg() and info.sparse is None:
                yield info.name, info.offset_data, info.size, whole
            if not whole:
                cut.append(f"it is cut off after {length} bytes, within {info.name!r}; copy it again")
                return
        file.seek(tar.offset)  # tarfile ends in silence at a damaged header and at a missing end alike
        end = file.read(tarfile.BLOCKSIZE)
        if len(end) < tarfile.BLOCKSIZE:
            cut.append(f"it ends after {length} bytes without the mark of its end; copy it again")
        elif end.strip(b"\0"):
            cut.append(f"the header at {tar.offset} is damaged; copy it again")


def _refuse_packed(file: IO[bytes], path: Path) -> None:
    head = file.read(8)
    file.seek(0)
    for magic, command in _PACKED:
        if head.startswith(magic):
            plain = path.name.split(".tar")[0].removesuffix(".tgz") + ("-plain" if path.suffix == ".tar" else "")
            raise DataError(
                f"{str(path)!r} is compressed, and pictures are read at their place in a plain tar; unpack it once: "
                f"{command} {str(path)!r} > {str(path.with_name(plain + '.tar'))!r}"
            )


def _add(sample: Sample, suffix: str, file: IO[bytes], offset: int, size: int) -> None:
    """A caption, a label or JSON into the metadata; tarfile finds its place in the file again by itself."""
    if size > LONGEST:
        sample.fault = f"Its {suffix} has {size} bytes, at most {LONGEST} are read; write captions and labels there."
        return
    file.seek(offset)
    data = file.read(size)
    try:
        text = data.decode("utf-8-sig").strip()
        if suffix == "json":
            value = json.loads(text)
            named = value if isinstance(value, dict) else {"json": value}
            sample.about = named | sample.about  # a member of its own goes before a key of the same name
        elif suffix == "txt":
            sample.about |= {"caption": text, "txt": text}
        else:
            sample.about["label"] = _number(text)
    except (ValueError, RecursionError) as error:
        sample.fault = f"Its {suffix} cannot be read ({error}); write it as UTF-8" + (
            " and valid JSON." if suffix == "json" else "."
        )


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.lstrip("-").isdigit() and len(text) < 19 else text


def _doubt_the_last(samples: Sequence[Sample], path: Path) -> None:
    """Members of the last sample may lie behind the cut: it is whole if it has all that the one before it has."""
    last = samples[-1]
    if last.fault is None and (len(samples) == 1 or not set(samples[-2].members) <= set(last.members)):
        last.fault = f"{path.name!r} is cut off behind its {', '.join(last.members)}; copy the shard again."
