"""A folder of pictures: flat, or a subfolder a class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clipviz.errors import DataError, nearest
from clipviz.sources.paths import SUFFIXES, PathsSource


class FolderSource(PathsSource):
    """The pictures under ``root``, by their file's suffix, sorted by id.

    The id is the path below ``root`` with ``/``. Where there are subfolders, the metadata ``label`` is the topmost one
    (None for a picture beside them). Hidden files and folders are passed over; ``skipped`` lists the other files.
    """

    def __init__(self, root: Path, *, columns: Sequence[str] | None = None) -> None:
        self.root = root
        self.where_from = repr(str(root))
        found: list[str] = []
        skipped: list[str] = []
        for path in _files(root):
            (found if Path(path).suffix.lower() in SUFFIXES else skipped).append(path)
        self.skipped = tuple(sorted(skipped))
        if not found:
            beside = f", only {len(skipped)} other files such as {self.skipped[0]!r}" if skipped else ""
            raise DataError(
                f"The folder {self.where_from} holds no pictures{beside}; "
                "pass a folder with JPEG, PNG, WebP, GIF, BMP or TIFF files, or with Parquet files."
            )
        super().__init__(sorted(found))
        known = ["label"] if any("/" in name for name in found) else []
        for column in columns or ():
            if column not in known:
                hint = nearest(column, known) if known else "There are no subfolders here that could name classes."
                raise DataError(f"There is no metadata {column!r} in the folder {self.where_from}. {hint}")
        self.columns = tuple(known if columns is None else columns)

    def _path(self, row: int) -> Path:
        return self.root / self._all_ids[row]

    def _about(self, row: int) -> dict[str, Any]:
        first, slash, _ = self._all_ids[row].partition("/")
        return dict.fromkeys(self.columns, first if slash else None)


def has_pictures(root: Path) -> bool:
    """Whether a picture file lies anywhere below ``root``; the search ends with the first."""
    return any(Path(path).suffix.lower() in SUFFIXES for path in _files(root))


def _files(root: Path) -> Iterator[str]:
    """Paths of files below ``root``, with ``/``; linked folders are followed, each real folder once."""
    visited: set[str] = set()

    def refuse(error: OSError) -> None:
        raise DataError(
            f"The folder {error.filename!r} cannot be read ({error.strerror}); make it readable."
        ) from error

    for folder, inner, names in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        if real in visited:
            inner.clear()
            continue
        visited.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        below = Path(folder).relative_to(root)
        for name in names:
            if not name.startswith("."):
                yield (below / name).as_posix()
