"""Pictures with ids and metadata, from a folder or from Parquet, read lazily.

>>> source = open_source("photographs/")                       # doctest: +SKIP
>>> for item in source.half("report"):                         # doctest: +SKIP
...     item.id, item.image, item.metadata
>>> source.failed                                              # doctest: +SKIP
[('cats/7.jpg', "'photographs/cats/7.jpg' is damaged or cut off (...); pass a whole picture file.")]
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipviz.errors import DataError
from clipviz.sources.base import Item, Source, half_of
from clipviz.sources.folder import FolderSource
from clipviz.sources.parquet import ParquetSource

__all__ = ["FolderSource", "Item", "ParquetSource", "Source", "half_of", "open_source"]


def open_source(
    data: Any, *, image: str | None = None, id: str | None = None, columns: Sequence[str] | None = None
) -> Source:
    """A folder of pictures, or Parquet with picture bytes -> Source.

    Parameters
    ----------
    data : a folder of pictures (flat, or a subfolder a class, which becomes the metadata ``label``), a Parquet file, a
        folder or a list of Parquet files, or a Source, which comes back as it is.
    image : Parquet only, the column of picture bytes; by default ``image``, else the only binary column.
    id : Parquet only, the column of ids; by default ``file``, else ``id``, else the row's number.
    columns : the metadata to keep; by default all but pictures and ids.

    Raises
    ------
    DataError : nothing is there, a column is missing, ids occur twice, or a file is not what its name says. A damaged
        picture raises nothing: it is listed in ``source.failed`` and left out.
    """
    options = {"image": image, "id": id, "columns": columns}
    if isinstance(columns, str):
        raise DataError(f"columns={columns!r} is one string, a list of names is wanted; write columns=[{columns!r}].")
    if isinstance(data, Source):
        named = [name for name, value in options.items() if value is not None]
        if named:
            raise DataError(
                f"{named[0]}= was given with a Source, which is open already; pass it to open_source before."
            )
        return data
    if isinstance(data, list | tuple):
        if not data:
            raise DataError("An empty list was given, Parquet files are wanted; pass at least one.")
        files = [_existing(part) for part in data]
        for file in files:
            if file.is_dir():
                raise DataError(f"A list may hold Parquet files, got the folder {str(file)!r}; pass the folder alone.")
        return ParquetSource(files, **options)  # type: ignore[arg-type]
    path = _existing(data)
    if path.is_file():
        return ParquetSource([path], **options)  # type: ignore[arg-type]
    tables = sorted(p for p in path.glob("*.parquet") if p.is_file() and not p.name.startswith("."))
    if tables:
        return ParquetSource(tables, **options)  # type: ignore[arg-type]
    if image is not None or id is not None:
        option, value = ("image", image) if image is not None else ("id", id)
        raise DataError(f"{option}={value!r} names a column, and {str(path)!r} is a folder of pictures; leave it out.")
    return FolderSource(path, columns=columns)


def _existing(data: Any) -> Path:
    if not isinstance(data, str | os.PathLike):
        raise DataError(
            f"A data set is wanted, got {type(data).__name__}; pass a folder of pictures or a Parquet file."
        )
    path = Path(os.fsdecode(data)).expanduser()
    if not os.fsdecode(data).strip() or not path.exists():
        raise DataError(f"There is no file or folder {os.fsdecode(data)!r} (from {os.getcwd()!r}); check the path.")
    return path
