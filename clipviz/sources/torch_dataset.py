"""Data sets of torchvision, and others of PyTorch whose items are a picture, or a picture and a label."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipviz.errors import DataError, nearest
from clipviz.sources.objects import ObjectSource

_TRANSFORMS = ("transform", "transforms", "target_transform")  # a model has its own, and labels stay as they are


def is_torch_dataset(data: Any) -> bool:
    """Whether ``data`` is one; who holds one has imported torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(data, torch.utils.data.Dataset)


class TorchSource(ObjectSource):
    """The items of a map-style data set, in its order, without its transforms.

    The id is the item's number, or where the data set tells its files (``ImageFolder``), their path below its
    root. The metadata ``label`` is the class's name where there are ``classes``, else the target as it is.
    """

    def __init__(self, dataset: Any, *, columns: Sequence[str] | None = None) -> None:
        name = type(dataset).__name__
        self.where_from = f"the data set {name}"
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise DataError(f"{name} has no length and no items by number; pass a map-style data set.")
        self.dataset = copy.copy(dataset)
        for transform in _TRANSFORMS:
            if getattr(dataset, transform, None) is not None:
                setattr(self.dataset, transform, None)
        samples = getattr(dataset, "samples", None)
        told = (
            isinstance(samples, list) and samples and isinstance(samples[0], tuple) and isinstance(samples[0][0], str)
        )
        self._paths = [Path(sample[0]) for sample in samples] if told and samples else None
        targets = [sample[1] for sample in samples] if told and samples else getattr(dataset, "targets", None)
        self._targets = None if targets is None else [_plain(target) for target in targets]
        self._classes = getattr(dataset, "classes", None)
        known = ["label"]
        for column in columns or ():
            if column not in known:
                raise DataError(f"There is no metadata {column!r} in {self.where_from}. {nearest(column, known)}")
        self.columns = tuple(known if columns is None else columns)
        super().__init__(self._names(len(dataset)))

    def _names(self, n: int) -> list[str]:
        root = getattr(self.dataset, "root", None)
        if self._paths is None or root is None:
            return [str(number) for number in range(n)]
        return [path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path) for path in self._paths]

    def _file(self, row: int) -> Path | None:
        return None if self._paths is None else self._paths[row]

    def _picture(self, row: int) -> Any:
        if self._paths is not None:
            return self._paths[row].read_bytes()
        item = self.dataset[row]
        return item[0] if isinstance(item, tuple | list) else item

    def _about(self, row: int) -> dict[str, Any]:
        if not self.columns:
            return {}
        if self._targets is not None:
            target = self._targets[row]
        else:
            try:
                item = self.dataset[row]
            except Exception:  # the picture is listed with its reason when it is read
                return {"label": None}
            target = _plain(item[1]) if isinstance(item, tuple | list) and len(item) > 1 else None
        named = self._classes is not None and type(target) is int and 0 <= target < len(self._classes)
        return {"label": self._classes[target] if named else target}  # type: ignore[index]


def _plain(value: Any) -> Any:
    """A number out of an array or a tensor of one; what is none stays as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
