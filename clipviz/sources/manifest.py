"""CSV, TSV and JSON Lines: a row a picture, by its path, and what is known about it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from clipviz.errors import DataError, nearest
from clipviz.sources.paths import PathsSource

KINDS = {".csv": ",", ".tsv": "\t", ".jsonl": None, ".ndjson": None}
USUAL = ("image", "path", "filepath", "file", "file_name", "filename")  # columns of paths, the first one there is it


class ManifestSource(PathsSource):
    """The rows of a manifest, in their order; paths are relative to the manifest's folder.

    The id is the path with ``/`` and without ``./`` unless ``id`` names a column. The other columns are the metadata,
    in CSV and TSV with the types that pyarrow infers; empty cells are None. A picture that is not there is in
    ``failed`` from the beginning. A path out of the folder is refused unless ``anywhere``.
    """

    def __init__(
        self,
        file: Path,
        *,
        image: str | None = None,
        id: str | None = None,
        columns: Sequence[str] | None = None,
        anywhere: bool = False,
    ) -> None:
        self.file = file
        self.where_from = repr(str(file))
        text = _utf8(file)
        separator = KINDS[file.suffix.lower()]
        table = _objects(text, file) if separator is None else _cells(text, separator, (image, id), file)
        self.image_column = _path_column(list(table), image, file)
        for name in (id, *(columns or ())):
            if name is not None and name not in table:
                raise DataError(f"There is no column {name!r} in {str(file)!r}. {nearest(name, table)}")
        self.id_column = id
        taken = (self.image_column, id)
        self.columns = tuple(name for name in table if name not in taken) if columns is None else tuple(columns)
        self._values = {name: table[name] for name in self.columns}
        broken: dict[int, str] = {}
        self._paths = [self._place(row, cell, anywhere, broken) for row, cell in enumerate(table[self.image_column])]
        if broken and len(broken) == len(self._paths):
            raise DataError(f"None of the {len(broken)} pictures of {self.where_from} is there. {broken[0]}")
        super().__init__(_ids(self._paths, table, id, file), broken=broken)

    def _place(self, row: int, cell: Any, anywhere: bool, broken: dict[int, str]) -> str:
        """A cell of the path column -> the path to open, relative to the folder where it lies in it."""
        if not isinstance(cell, str) or not cell.strip():
            got = "is empty" if cell is None or cell == "" else f"holds {cell!r}, no path"
            broken[row] = f"The column {self.image_column!r} {got} in row {row}; write the picture's path there."
            return ""
        place = os.path.normpath(cell).replace(os.sep, "/")
        leaves = os.path.isabs(place) or bool(os.path.splitdrive(place)[0]) or place.split("/", 1)[0] == ".."
        if leaves and not anywhere:
            raise DataError(
                f"The path {cell!r} in row {row} of {self.where_from} leads out of the manifest's folder; "
                "pass anywhere=True if you trust the list."
            )
        if not os.path.isfile(self.file.parent / place):
            hint = "check the path"
            if "://" in cell:
                hint = "it is an address and nothing is fetched: save the picture and write its path"
            elif "\\" in cell and os.sep == "/":
                hint = "write / instead of \\"
            broken[row] = f"There is no file {cell!r} in {str(self.file.parent)!r}; {hint}."
        return place

    def _twice(self, names: Sequence[str]) -> str:
        said = " and ".join(map(repr, names[:2]))
        more = f", {len(names)} ids in all" if len(names) > 2 else ""
        return (
            f"{said} {'occurs' if len(names) == 1 else 'occur'} more than once in {self.where_from}{more}, and ids "
            "must be unique; name a column of unique ids with id=, or write a row a picture."
        )

    def _path(self, row: int) -> Path:
        return self.file.parent / self._paths[row]

    def _about(self, row: int) -> dict[str, Any]:
        return {name: values[row] for name, values in self._values.items()}


def _utf8(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{str(file)!r} cannot be read ({error.strerror}); make it readable.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{str(file)!r} is not UTF-8 (byte {data[error.start]:#04x} at {error.start}); save it as UTF-8 "
            "('CSV UTF-8' in a spreadsheet), or convert it with iconv -t utf-8."
        ) from error


def _cells(text: str, separator: str, strings: Sequence[str | None], file: Path) -> dict[str, list[Any]]:
    """CSV or TSV -> its columns; types as pyarrow infers them from all rows, paths and ids as they are written."""
    import pyarrow as pa
    from pyarrow import csv

    data = text.encode()
    # types are inferred from one block: a column whose first word comes late is text from its beginning
    reading = csv.ReadOptions(use_threads=False, block_size=max(len(data) + 1, 1024))
    parsing = csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    # words such as NA and null are captions and countries too: only an empty cell is empty
    written = {name: pa.string() for name in (*USUAL, *strings) if name is not None}
    kinds = csv.ConvertOptions(null_values=[""], strings_can_be_null=True, column_types=written)
    try:
        table = csv.read_csv(BytesIO(data), reading, parsing, kinds)
    except pa.ArrowException as error:
        if not text.strip():
            raise DataError(f"{str(file)!r} is empty; write a header, and a row a picture.") from error
        reason = str(error).splitlines()[0][:200]
        raise DataError(f"{str(file)!r} cannot be read as a table ({reason}); mend that row.") from error
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise DataError(f"The header of {str(file)!r} names the column {twice[0]!r} twice; rename one of them.")
    other = next((mark for mark in (",", ";", "\t") if mark in table.column_names[0]), None)
    if table.num_columns == 1 and other is not None:
        raise DataError(
            f"The columns of {str(file)!r} are separated by {other!r}, {separator!r} is wanted in "
            f"{file.suffix}; save it so, or rename it to .csv or .tsv as fits."
        )
    return {name: table[name].to_pylist() for name in table.column_names}


def _objects(text: str, file: Path) -> dict[str, list[Any]]:
    """JSON Lines -> its columns, with None where a line lacks the key."""
    lines: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would cut at marks that JSON strings may hold
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"Line {number} of {str(file)!r} is no JSON ({error}); mend or remove it.") from error
        if not isinstance(value, dict):
            raise DataError(
                f"Line {number} of {str(file)!r} holds {type(value).__name__}, an object is wanted; "
                'write {"image": "a.jpg", "caption": "..."}.'
            )
        lines.append(value)
        names.update(dict.fromkeys(value))
    if not lines:
        raise DataError(f"{str(file)!r} is empty; write a JSON object a picture, one a line.")
    return {name: [line.get(name) for line in lines] for name in names}


def _path_column(names: Sequence[str], image: str | None, file: Path) -> str:
    if image is None:
        image = next((usual for usual in USUAL if usual in names), None)
        if image is None:
            raise DataError(
                f"{str(file)!r} has no column {', '.join(map(repr, USUAL[:4]))}; name the one of the paths with "
                f"image= (columns: {', '.join(names)})."
            )
    if image not in names:
        raise DataError(f"There is no column {image!r} in {str(file)!r}. {nearest(image, names)}")
    return image


def _ids(paths: Sequence[str], table: dict[str, list[Any]], name: str | None, file: Path) -> list[str]:
    if name is None:
        ids = [path or f"row {row}" for row, path in enumerate(paths)]
    else:
        empty = next((row for row, cell in enumerate(table[name]) if cell is None), None)
        if empty is not None:
            raise DataError(
                f"The id column {name!r} of {str(file)!r} has empty cells, the first in row {empty}; "
                "fill them, or name another column with id=."
            )
        ids = [str(cell) for cell in table[name]]
    for row, text in enumerate(ids):
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise DataError(f"The id {text!r} in row {row} of {str(file)!r} is no valid text; mend it.") from None
    return ids
