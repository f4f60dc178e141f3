"""Source: what every verb over many pictures takes. One subclass a format, in its own file."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from clipviz.errors import DataError, InputError, nearest
from clipviz.images import open_image

if TYPE_CHECKING:
    import pandas as pd

Half = Literal["dev", "report"]
Encoded = bytes  # the class has a method of that name
NOTHING: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True)
class Item:
    """One picture of a source: its id, the upright RGB picture, and what is known about it."""

    id: str
    image: Image.Image
    metadata: dict[str, Any] = field(default_factory=dict)


def half_of(id: str) -> Half:
    """The half of an id, for good, by the first byte of SHA-256 of its UTF-8 bytes: even dev, odd report."""
    # a file name that is no UTF-8 reaches Python with surrogates and goes back to the bytes it came from
    first = hashlib.sha256(id.encode("utf-8", "surrogateescape")).digest()[0]
    return "dev" if first % 2 == 0 else "report"


def fingerprint_of(contents: Iterable[tuple[str, int, bytes]]) -> str:
    """SHA-256 (hex) over (id, size in bytes, SHA-256 of the bytes) of pictures in order; see `Source.fingerprint`."""
    total = hashlib.sha256(b"clipviz source 1\n")
    for id, size, content in contents:
        name = id.encode("utf-8", "surrogateescape")
        total.update(b"%d %d " % (len(name), size) + name + content)
    return total.hexdigest()


def stamp_of(path: Path) -> tuple[int, int] | None:
    """(size, mtime in ns) of a file, by which a change of it is seen without reading it; None where it is gone."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns


def told(files: Sequence[Path]) -> str:
    """Several files in words, for messages and provenance."""
    return repr(str(files[0])) + (f" and {len(files) - 1} more" if len(files) > 1 else "")


class Source(ABC):
    """Pictures with ids and metadata, in a fixed order, decoded one at a time.

    ``len(source)``, ``source.ids`` and ``source.failed`` count what is there; iteration gives the Items that could be
    decoded, and lists the others with their reason in ``failed``. ``source[3]`` and ``source["cats/7.jpg"]`` give one
    Item, ``source.bytes(3)`` the picture as it is stored, for decoding elsewhere: a Source can be pickled, and no file
    stays open between two calls. ``half``, ``select`` and ``where`` give a Source of a part of the pictures.
    """

    where_from: str  # the folder or the files, for messages and provenance
    id_column: str | None = None  # the column that the ids are, where a format has one
    opening: Mapping[str, Any] | None = None  # what `open_source` was given, paths made absolute; None for objects

    def __init__(
        self, ids: Sequence[str], *, broken: Mapping[int, str] = NOTHING, lost: Sequence[tuple[str, str]] = ()
    ) -> None:
        """``broken`` are rows known to give no picture, ``lost`` (name, reason) of what has no row; both are failed."""
        self._all_ids = tuple(ids)
        if not self._all_ids:
            why = f" ({lost[0][0]!r}: {lost[0][1]})" if lost else ""
            raise DataError(f"{self.where_from} holds no pictures{why}; pass a folder or a file with at least one.")
        if len(set(self._all_ids)) < len(self._all_ids):
            raise DataError(self._twice([name for name, count in Counter(self._all_ids).items() if count > 1]))
        self._chosen: tuple[int, ...] = tuple(range(len(self._all_ids)))
        self._places: dict[str, int] | None = None
        self._fingerprint: str | None = None
        self._broken, self._lost = dict(broken), tuple(lost)
        self._failed: dict[str, str] = {}
        self.part: Literal["all", "dev", "report"] = "all"

    def _twice(self, names: Sequence[str]) -> str:
        return (
            f"{self.where_from} has {len(names)} ids that occur more than once, such as {names[0]!r}, and each "
            "must be unique; name another column with id=."
        )

    # ---- what a format gives

    @abstractmethod
    def _read(self, rows: Sequence[int]) -> Iterator[tuple[int, Any, dict[str, Any]]]:
        """(row, what ``open_image`` takes or the InputError in its place, metadata) for ascending rows."""

    @abstractmethod
    def _contents(self, rows: Sequence[int]) -> Iterator[tuple[int, int, Encoded]]:
        """(row, size in bytes, SHA-256 of the picture's bytes) for ascending rows."""

    @abstractmethod
    def _metadata(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The metadata of ascending rows, without reading a picture."""

    def _one(self, row: int) -> tuple[Any, dict[str, Any]]:
        """As ``_read`` of one row; a format that can go there faster has its own."""
        _, data, metadata = next(self._read((row,)))
        return data, metadata

    def _encoded(self, row: int) -> Any:
        """The picture's bytes or an InputError; a format whose ``_read`` gives something else has its own."""
        return self._one(row)[0]

    def _file(self, row: int) -> Path | None:
        """The file that a row's picture lies in, its own or one that holds many; None where there is none."""
        return None

    # ---- what everybody uses

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in order, damaged pictures among them."""
        return tuple(self._index)

    @property
    def _index(self) -> dict[str, int]:
        """Id -> position; made once, so that a lookup by id is not a search."""
        if self._places is None:
            self._places = {self._all_ids[row]: place for place, row in enumerate(self._chosen)}
        return self._places

    @property
    def failed(self) -> list[tuple[str, str]]:
        """(id, reason) of the pictures known to be missing or damaged: at the opening, and those read since."""
        known = {self._all_ids[row]: self._broken[row] for row in self._chosen if row in self._broken}
        return [*self._lost, *(known | self._failed).items()]

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[Item]:
        for row, data, metadata in self._read([row for row in self._chosen if row not in self._broken]):
            try:
                image = _decoded(data)
            except InputError as error:
                self._failed[self._all_ids[row]] = str(error)
                continue
            yield Item(self._all_ids[row], image, metadata)

    def __getitem__(self, key: int | str) -> Item:
        row = self._row(key)
        try:
            self._refuse_broken(row)
            data, metadata = self._one(row)
            return Item(self._all_ids[row], _decoded(data), metadata)
        except InputError as error:
            raise self._unreadable(row, error) from error

    def bytes(self, key: int | str) -> Encoded:
        """The picture at a position or of an id as it is stored (JPEG, PNG, ...), not decoded and not looked at.

        Raises DataError where it cannot be read, and lists it in ``failed``.

        >>> image = clipviz.open_image(source.bytes(3))  # doctest: +SKIP
        """
        row = self._row(key)
        try:
            self._refuse_broken(row)
            data = self._encoded(row)
            if isinstance(data, InputError):
                raise data
            return bytes(data)
        except InputError as error:
            raise self._unreadable(row, error) from error

    def stamp(self, key: int | str) -> tuple[int, int] | None:
        """(size, mtime in ns) of the file in which a picture lies, a shard or a table too; None where none is there.

        While it stays the same so does the picture, and nothing need be read again.
        """
        path = self._file(self._row(key))
        return None if path is None else stamp_of(path)

    def in_order(self) -> Source:
        """The same source for who reads on and never goes back: it keeps no more in memory than one place needs."""
        return self

    def _row(self, key: int | str) -> int:
        if isinstance(key, slice):
            raise DataError("One position or id is wanted, got a slice; take source.select(range(0, 10)) for several.")
        if not isinstance(key, str):
            return self._chosen[key]  # IndexError ends old-style loops, as in a list
        if key not in self._index:
            raise DataError(f"There is no picture {key!r} in {self.where_from}. {nearest(key, self.ids)}")
        return self._chosen[self._index[key]]

    def _refuse_broken(self, row: int) -> None:
        if row in self._broken:
            raise InputError(self._broken[row])

    def _unreadable(self, row: int, error: InputError) -> DataError:
        name = self._all_ids[row]
        self._failed[name] = str(error)
        return DataError(f"The picture {name!r} of {self.where_from} cannot be read: {error}")

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids, sizes and contents of the pictures in order; metadata has no part in it."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint_of((self._all_ids[row], size, sha) for row, size, sha in self._sizes())
        return self._fingerprint

    def _sizes(self) -> Iterator[tuple[int, int, Encoded]]:
        """``_contents``, with what is known to be broken in its place as nothing: it belongs to the data too."""
        contents = self._contents([row for row in self._chosen if row not in self._broken])
        for row in self._chosen:
            yield (row, 0, Encoded(32)) if row in self._broken else next(contents)

    def table(self) -> pd.DataFrame:
        """The metadata, one row a picture, indexed by ``id``; no picture is decoded."""
        import pandas as pd

        # an index rather than a column: the metadata may have an ``id`` of its own
        rows, ids = self._metadata(self._chosen), self.ids
        try:
            return pd.DataFrame(rows, index=pd.Index(ids, name="id"))
        except UnicodeEncodeError:  # a file name that is no UTF-8 cannot be one of pandas' own strings
            index = pd.Index(ids, name="id", dtype=object)
            names = dict.fromkeys(name for row in rows for name in row)
            return pd.DataFrame({name: _series([row.get(name) for row in rows], index) for name in names}, index=index)

    def metadata(self, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
        """What is known about the pictures at the positions ``start`` to ``stop``, as it stands; none is decoded."""
        return self._metadata(self._chosen[start:stop])

    def half(self, name: Half) -> Source:
        """The half for choices ("dev") or the half for figures ("report"), fixed by each id."""
        if name not in ("dev", "report"):
            raise DataError(f"half({name!r}) is not 'dev' or 'report'; take 'dev' for choices, 'report' for figures.")
        if self.part != "all":
            raise DataError(f"This source is the half {self.part!r} already; take halves of the whole source.")
        part = self.select([i for i, key in enumerate(self.ids) if half_of(key) == name])
        part.part = name
        return part

    def select(self, positions: Iterable[int]) -> Source:
        """The pictures at these positions, in the order of the source."""
        wanted = sorted({range(len(self))[position] for position in positions})
        part = copy.copy(self)
        part._chosen = tuple(self._chosen[i] for i in wanted)
        part._places, part._fingerprint, part._failed = None, None, {}
        return part

    def where(self, test: Callable[[dict[str, Any]], bool]) -> Source:
        """The pictures whose metadata pass ``test``, a function of a dict.

        >>> source.where(lambda row: row["label"] == "cat")  # doctest: +SKIP
        """
        return self.select(i for i, row in enumerate(self._metadata(self._chosen)) if test(row))

    def __repr__(self) -> str:
        part = "" if self.part == "all" else f", half {self.part!r}"
        return f"{type(self).__name__}({self.where_from}, {len(self)} pictures{part})"


def _decoded(data: Any) -> Image.Image:
    if isinstance(data, InputError):
        raise data
    return open_image(data)


def _series(values: list[Any], index: pd.Index) -> pd.Series:
    import pandas as pd

    try:
        return pd.Series(values, index=index)
    except UnicodeEncodeError:
        return pd.Series(values, index=index, dtype=object)
