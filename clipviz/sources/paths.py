"""Pictures that are files of their own: what a folder, a manifest and a list of paths have in common."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clipviz.errors import DataError, InputError
from clipviz.sources.base import Source

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".jp2", ".avif", ".ico", ".tga"}
)


class PathsSource(Source):
    """Pictures at paths; a format says where a row lies and what is known about it."""

    @abstractmethod
    def _path(self, row: int) -> Path:
        """The picture file of a row."""

    @abstractmethod
    def _about(self, row: int) -> dict[str, Any]:
        """The metadata of a row."""

    def _read(self, rows: Sequence[int]) -> Iterator[tuple[int, Any, dict[str, Any]]]:
        for row in rows:
            yield row, self._path(row), self._about(row)

    def _file(self, row: int) -> Path | None:
        return self._path(row)

    def _encoded(self, row: int) -> Any:
        path = self._path(row)
        try:
            return path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            return InputError(f"{str(path)!r} cannot be opened ({reason}); pass a picture that can be read.")

    def _contents(self, rows: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
        for row in rows:
            try:
                with self._path(row).open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
                    yield row, file.tell(), digest
            except OSError as error:
                reason = error.strerror or error
                raise DataError(
                    f"{self._all_ids[row]!r} in {self.where_from} cannot be read for the fingerprint ({reason}); "
                    "open the source again, or make the file readable."
                ) from error

    def _metadata(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        return [self._about(row) for row in rows]


class ListSource(PathsSource):
    """Picture files named one by one, in the order given; the id is the file's name without its folder."""

    columns: tuple[str, ...] = ()

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self.where_from = f"the list of {len(files)} pictures from {str(files[0])!r}"
        super().__init__([path.name for path in files])

    def _twice(self, names: Sequence[str]) -> str:
        name = Counter(path.name for path in self.files).most_common(1)[0][0]
        one, two = [str(path) for path in self.files if path.name == name][:2]
        return (
            f"The pictures {one!r} and {two!r} have one name, and a list's ids are the names of its files; "
            "pass the folder above them, or a CSV of paths."
        )

    def _path(self, row: int) -> Path:
        return self.files[row]

    def _about(self, row: int) -> dict[str, Any]:
        return {}
