"""Data sets of Hugging Face's `datasets` that are in memory or on disk; nothing is fetched."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from clipviz.errors import DataError, nearest
from clipviz.sources.objects import ObjectSource


def is_hugging_face(data: Any) -> bool:
    """Whether ``data`` is one of its data sets; who holds one has imported `datasets`."""
    datasets = sys.modules.get("datasets")
    kinds = [getattr(datasets, name, ()) for name in ("Dataset", "DatasetDict", "IterableDataset")]
    return datasets is not None and any(kind and isinstance(data, kind) for kind in kinds)


class HuggingFaceSource(ObjectSource):
    """The rows of a `datasets.Dataset`, in its order.

    ``image`` names the column of pictures, by default the first whose feature is ``Image``; the id is the row's
    number, or the column ``id``. A ``ClassLabel`` becomes its name.
    """

    def __init__(
        self, dataset: Any, *, image: str | None = None, id: str | None = None, columns: Sequence[str] | None = None
    ) -> None:
        kind = type(dataset).__name__
        self.where_from = f"the {kind} of Hugging Face"
        if hasattr(dataset, "keys"):
            parts = ", ".join(map(repr, dataset.keys()))
            raise DataError(
                f"A {kind} has several parts ({parts}); pass one of them, such as data[{parts.split(',')[0]}]."
            )
        if not hasattr(dataset, "__len__"):
            raise DataError(f"An {kind} has no length; load it with streaming=False.")
        features = dict(dataset.features)
        pictures = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
        if image is None and not pictures:
            raise DataError(
                f"No column of {self.where_from} is a picture; name one with image= ({', '.join(features)})."
            )
        self.image_column, self.id_column = image or pictures[0], id
        for name in (self.image_column, id, *(columns or ())):
            if name is not None and name not in features:
                raise DataError(f"There is no column {name!r} in {self.where_from}. {nearest(name, features)}")
        taken = (*pictures, self.image_column, id)
        self.columns = tuple(name for name in features if name not in taken) if columns is None else tuple(columns)
        self._names = {name: features[name].names for name in self.columns if hasattr(features[name], "names")}
        plain = dataset.with_format(None)
        if self.image_column in pictures:  # bytes or a path instead of a decoded picture
            plain = plain.cast_column(self.image_column, type(features[self.image_column])(decode=False))
        self._pictures = plain.select_columns([self.image_column])
        self._values = plain.select_columns(list(self.columns)) if self.columns else None
        ids = range(len(dataset)) if id is None else plain.select_columns([id])[:][id]
        super().__init__([str(name) for name in ids])

    def _picture(self, row: int) -> Any:
        cell = self._pictures[row][self.image_column]
        if not isinstance(cell, dict):
            return cell if cell is not None else b""
        if cell.get("bytes") is not None:
            return bytes(cell["bytes"])
        with open(cell["path"], "rb") as file:
            return file.read()

    def _about(self, row: int) -> dict[str, Any]:
        return self._told(self._values[row]) if self._values is not None else {}

    def _metadata(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        if self._values is None:
            return [{} for _ in rows]
        found = self._values[list(rows)]
        return [self._told({name: found[name][i] for name in self.columns}) for i in range(len(rows))]

    def _told(self, values: dict[str, Any]) -> dict[str, Any]:
        for name, names in self._names.items():
            number = values[name]
            values[name] = names[number] if number is not None and number >= 0 else None
        return values
