"""Pictures with ids and metadata, from folders, tables, manifests and shards, read lazily.

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
from clipviz.sources.folder import FolderSource, has_pictures
from clipviz.sources.hugging_face import HuggingFaceSource, is_hugging_face
from clipviz.sources.manifest import KINDS, ManifestSource
from clipviz.sources.parquet import ParquetSource
from clipviz.sources.paths import SUFFIXES, ListSource
from clipviz.sources.pattern import is_pattern, matching
from clipviz.sources.shards import ShardSource
from clipviz.sources.torch_dataset import TorchSource, is_torch_dataset

__all__ = [
    "FolderSource",
    "HuggingFaceSource",
    "Item",
    "ListSource",
    "ManifestSource",
    "ParquetSource",
    "ShardSource",
    "Source",
    "TorchSource",
    "half_of",
    "open_source",
]

PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")  # read far enough to say how to unpack them


def open_source(
    data: Any,
    *,
    image: str | None = None,
    id: str | None = None,
    columns: Sequence[str] | None = None,
    anywhere: bool = False,
) -> Source:
    """Pictures in any of the usual formats -> Source.

    Parameters
    ----------
    data : a folder of pictures (flat, or a subfolder a class, which becomes the metadata ``label``); Parquet files or
        WebDataset shards (.tar), as one file, a list, a folder of them or a pattern such as "data/{0000..0012}.tar" or
        "data/*.tar"; a manifest of paths (.csv, .tsv, .jsonl); a list of pictures; a data set of torchvision or of
        Hugging Face's `datasets`; or a Source, given back as it is.
    image : Parquet, the column of picture bytes (``image``, else the only binary one); manifests, the column of paths
        (``image``, ``path``, ``filepath``, ``file``); shards, the suffix of the pictures (jpg, jpeg, png, webp).
    id : the column of ids, for Parquet, manifests and shards; by default ``file``, else ``id``, else the row's number
        (Parquet), the path (manifests), the key (shards, where "shard" puts the shard's name before it).
    columns : the metadata to keep; by default all but pictures and ids.
    anywhere : manifests only, whether a path may lead out of the manifest's folder.

    Raises
    ------
    DataError : nothing is there, a column is missing, ids occur twice, or a file is not what its name says. A damaged
        or missing picture raises nothing: it is listed in ``source.failed`` and left out.
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
    if is_hugging_face(data):
        _refuse_anywhere(anywhere)
        return HuggingFaceSource(data, image=image, id=id, columns=columns)
    if is_torch_dataset(data):
        _refuse_anywhere(anywhere)
        _refuse_columns(image, id, "the items of a data set of PyTorch have none")
        return TorchSource(data, columns=columns)
    found = _opened(data, anywhere, options)
    paths = [_absolute(part) for part in data] if isinstance(data, list | tuple) else _absolute(data)
    kept = None if columns is None else list(columns)
    found.opening = {"data": paths, "image": image, "id": id, "columns": kept, "anywhere": anywhere}
    return found


def _absolute(path: Any) -> str:
    return os.path.abspath(os.path.expanduser(os.fsdecode(path)))


def _opened(data: Any, anywhere: bool, options: dict[str, Any]) -> Source:
    """Pictures in files, by their format."""
    files = _files(data)
    image, id, columns = options["image"], options["id"], options["columns"]
    if isinstance(files, list):
        kind = _kind(files)
        if kind is ManifestSource:
            return ManifestSource(files[0], anywhere=anywhere, **options)
        _refuse_anywhere(anywhere)
        if kind is ListSource and not isinstance(data, list | tuple) and Path(data).expanduser() in files:
            raise DataError(f"{str(files[0])!r} is one picture; pass it in a list, or the folder that it lies in.")
        if kind is not ListSource:
            return kind(files, **options)
        _refuse_columns(image, id, "a list of pictures has none")
        if columns:
            raise DataError(f"There is no metadata {columns[0]!r} in a list of pictures; leave columns= out.")
        return ListSource(files)
    _refuse_anywhere(anywhere)
    _refuse_columns(image, id, f"{str(files)!r} is a folder of pictures")
    return FolderSource(files, columns=columns)


def _files(data: Any) -> list[Path] | Path:
    """What was passed -> the files that it names, or the folder whose pictures are meant."""
    if isinstance(data, list | tuple):
        if not data:
            raise DataError("An empty list was given, Parquet files, shards or pictures are wanted; pass at least one.")
        files = [file for part in data for file in _named(part)]
        for file in files:
            if file.is_dir():
                raise DataError(f"A list may hold files, got the folder {str(file)!r}; pass the folder alone.")
        return files
    files = _named(data)
    if len(files) > 1 or not files[0].is_dir():
        return files
    root = files[0]
    tables, shards = (
        sorted(path for path in root.glob("*") if path.name.endswith(ends) and path.is_file() and path.name[0] != ".")
        for ends in (".parquet", (".tar", *PACKED))
    )
    # an archive often lies beside what came out of it, and a guess would train on the wrong one
    if shards and (tables or has_pictures(root)):
        raise DataError(
            f"The folder {str(root)!r} holds shards such as {shards[0].name!r} and also "
            f"{'Parquet files' if tables else 'pictures'}; pass {str(root / '*.tar')!r} for the shards, "
            f"or move them away for the {'tables' if tables else 'pictures'}."
        )
    return tables or shards or root


def _named(data: Any) -> list[Path]:
    """A path or a pattern -> the files or the folder that it stands for."""
    if not isinstance(data, str | os.PathLike):
        raise DataError(
            f"A data set is wanted, got {type(data).__name__}; pass a folder of pictures, Parquet files, shards "
            "or a manifest."
        )
    name = os.fsdecode(data)
    path = Path(name).expanduser()
    if name.strip() and path.exists():
        return [path]
    if "://" in name or name.startswith("pipe:"):
        raise DataError(f"{name[:80]!r} is an address and nothing is fetched; save the files and pass their path.")
    if is_pattern(name):
        return matching(name)
    raise DataError(f"There is no file or folder {name!r} (from {os.getcwd()!r}); check the path.")


def _kind(files: list[Path]) -> Any:
    """The format of files, by the ends of their names; what is none of the others is read as Parquet."""
    kinds = {_kind_of(path): path for path in reversed(files)}
    if len(kinds) > 1:
        one, two = list(kinds.values())[-2:]
        raise DataError(f"Files of one format are wanted, got {str(two)!r} and {str(one)!r}; open each on its own.")
    (kind,) = kinds
    if kind is ManifestSource and len(files) > 1:
        raise DataError(f"One manifest is wanted, got {len(files)}; write their rows into one, or open each alone.")
    return kind


def _kind_of(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix in KINDS:
        return ManifestSource
    if path.name.lower().endswith((".tar", *PACKED)):
        return ShardSource
    return ListSource if suffix in SUFFIXES else ParquetSource


def _refuse_anywhere(anywhere: bool) -> None:
    if anywhere:
        raise DataError("anywhere=True is for the paths of a manifest (.csv, .tsv, .jsonl); leave it out.")


def _refuse_columns(image: str | None, id: str | None, what: str) -> None:
    if image is not None or id is not None:
        option, value = ("image", image) if image is not None else ("id", id)
        raise DataError(f"{option}={value!r} names a column, and {what}; leave it out.")
