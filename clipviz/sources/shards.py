"""WebDataset: pictures with captions, labels and JSON in tar files, read at their place."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from clipviz.errors import DataError, InputError, nearest
from clipviz.sources.base import Source, told
from clipviz.sources.tarindex import ABOUT, PICTURES, Sample, read_index


class ShardSource(Source):
    """The samples of one or several tar files, in their order; nothing is unpacked, and no member's path is followed.

    A sample is what shares a name up to its first dot: the picture from jpg, jpeg, png or webp (``image`` names another
    suffix), txt as ``caption`` and ``txt``, cls as ``label``, and the keys of json. The id is the key; ``id="shard"``
    puts the shard's name before it, where shards number their samples alike, and another ``id`` names a key of json.
    Headers and metadata are read at the start. ``failed`` then holds the shards that break off, and the samples
    without a picture. ``skipped`` lists the suffixes that nothing was taken from.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        image: str | None = None,
        id: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.files = tuple(files)
        self.where_from = told(files)
        self.suffixes = PICTURES if image is None else (image.lower().removeprefix("."),)
        self._shard, self._start, self._size = array("q"), array("q"), array("q")
        keys: list[str] = []
        samples: list[Sample] = []
        lost: list[tuple[str, str]] = []
        for number, path in enumerate(self.files):
            found, cut = read_index(path)
            if cut is not None:
                lost.append((path.name, f"The shard {str(path)!r} is not whole: {cut}."))
            for key, sample in found.items():
                self._place(number, sample)
                keys.append(key)
                samples.append(sample)
        there = sorted({suffix for sample in samples for suffix in sample.members})
        self._refuse_without_pictures(there, image)
        self.skipped = tuple(suffix for suffix in there if suffix not in (*self.suffixes, *ABOUT))
        known = list(dict.fromkeys(name for sample in samples for name in sample.about))
        for name in (*(columns or ()), *([id] if id not in (None, "shard") else ())):
            if name not in known:
                hint = nearest(name, known) if known else "The samples have no txt, json or cls."
                raise DataError(f"There is no metadata {name!r} in {self.where_from}. {hint}")
        self.columns = tuple(name for name in known if name != id) if columns is None else tuple(columns)
        self._values = {name: [sample.about.get(name) for sample in samples] for name in self.columns}
        self._id = id
        ids = self._ids(keys, samples)
        super().__init__(ids, broken={r: s.fault for r, s in enumerate(samples) if s.fault is not None}, lost=lost)

    def _place(self, shard: int, sample: Sample) -> None:
        suffix = next((suffix for suffix in self.suffixes if suffix in sample.members), None)
        if suffix is None and sample.fault is None:
            wanted = self.suffixes[0] if len(self.suffixes) == 1 else "jpg, jpeg, png or webp"
            sample.fault = f"It has no {wanted}, only {', '.join(sample.members)}; name the picture's with image=."
        offset, size = sample.members[suffix] if suffix is not None else (0, 0)
        self._shard.append(shard)
        self._start.append(offset)
        self._size.append(size)

    def _refuse_without_pictures(self, there: Sequence[str], image: str | None) -> None:
        if not there or any(suffix in self.suffixes for suffix in there):
            return
        if image is not None:
            raise DataError(f"No sample of {self.where_from} has the suffix {image!r}. {nearest(image, there)}")
        raise DataError(
            f"No sample of {self.where_from} has a jpg, jpeg, png or webp (suffixes: {', '.join(there[:12])}); "
            "name the one of the pictures with image=."
        )

    def _ids(self, keys: Sequence[str], samples: Sequence[Sample]) -> list[str]:
        if self._id is None:
            return list(keys)
        if self._id == "shard":
            return [f"{self.files[n].stem}/{key}" for n, key in zip(self._shard, keys, strict=True)]
        values = [sample.about.get(self._id) for sample in samples]
        if None in values:
            key = keys[values.index(None)]
            raise DataError(
                f"The sample {key!r} of {self.where_from} has no {self._id!r} for its id; "
                "name metadata that every sample has with id=, or leave it out for the keys."
            )
        return [str(value) for value in values]

    def _twice(self, names: Sequence[str]) -> str:
        if self._id is not None:
            return super()._twice(names)
        rows = [row for row, key in enumerate(self._all_ids) if key == names[0]][:2]
        one, two = (self.files[self._shard[row]].name for row in rows)
        return (
            f"{len(names)} keys occur in more than one shard, such as {names[0]!r} in {one!r} and {two!r}, and ids "
            "must be unique; pass id='shard' to put the shard's name before the key."
        )

    def _file(self, row: int) -> Path | None:
        return self.files[self._shard[row]]

    def _about(self, row: int) -> dict[str, Any]:
        return {name: values[row] for name, values in self._values.items()}

    def _cut(self, file: IO[bytes], row: int) -> bytes | InputError:
        """The picture's bytes out of the open shard."""
        try:
            file.seek(self._start[row])
            data = file.read(self._size[row])
        except OSError as error:
            return self._gone(row, error)
        if len(data) < self._size[row]:
            return self._gone(row, EOFError("it has become shorter"))
        return data

    def _gone(self, row: int, error: Exception) -> InputError:
        path, reason = self.files[self._shard[row]], getattr(error, "strerror", None) or error
        return InputError(f"The shard {str(path)!r} cannot be read ({reason}); open the source again.")

    def _read(self, rows: Sequence[int]) -> Iterator[tuple[int, Any, dict[str, Any]]]:
        for number, inside in groupby(rows, key=self._shard.__getitem__):
            try:
                file = self.files[number].open("rb")
            except OSError as error:
                for row in inside:
                    yield row, self._gone(row, error), self._about(row)
                continue
            with file:
                for row in inside:
                    yield row, self._cut(file, row), self._about(row)

    def _contents(self, rows: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
        for row, data, _ in self._read(rows):
            if isinstance(data, InputError):
                raise DataError(f"{self._all_ids[row]!r} cannot be read for the fingerprint: {data}") from data
            yield row, len(data), hashlib.sha256(data).digest()

    def _metadata(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        return [self._about(row) for row in rows]
