"""A COCO-format folder: annotations in one JSON, pictures beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...sources import Source, open_source
from ...sources.paths import PathsSource

_PARTS = ("images", "annotations", "categories")
_FOLDERS = ("", "images", "../images", "..")  # where pictures lie, from the folder of the JSON


class CocoSource(PathsSource):
    """The pictures that a COCO JSON lists, in its order; the id is the ``file_name``.

    The metadata are ``box``, a list of [x0, y0, x1, y1] in pixels with x1 and y1 excluded, and ``label``, a list of
    as many names of categories, empty where nothing is annotated; ``crowd``, which of them are groups (iscrowd),
    ``width``, ``height`` and ``image_id``. A picture that is not there is in ``failed`` from the beginning. ``path`` is
    the JSON or its folder, whose JSON may also lie in ``annotations/``. Raises DataError where that is no such thing.
    """

    columns = ("box", "label", "crowd", "width", "height", "image_id")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = _annotations(Path(path).expanduser())
        self.where_from = repr(str(self.file))
        data = _read(self.file)
        try:
            names = {int(one["id"]): str(one["name"]) for one in data["categories"]}
            self._rows = [
                {"file": str(one["file_name"]), "box": [], "label": [], "crowd": [], "width": one.get("width"),
                 "height": one.get("height"), "image_id": one["id"]}
                for one in data["images"]
            ]  # fmt: skip
            by_id = {row["image_id"]: row for row in self._rows}
            for one in data["annotations"]:
                x, y, w, h = (float(part) for part in one["bbox"])
                row = by_id[one["image_id"]]
                row["box"].append([x, y, x + w, y + h])
                row["label"].append(names[int(one["category_id"])])
                row["crowd"].append(bool(one.get("iscrowd", 0)))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.where_from} is no COCO file ({type(error).__name__}: {error}): images have id and file_name, "
                "annotations image_id, category_id and bbox [x, y, width, height], categories id and name."
            ) from error
        self.names = tuple(names.values())
        self.root = self._root()
        broken = {}
        for number, row in enumerate(self._rows):
            if leaves(row["file"]):
                raise DataError(f"The file_name {row['file']!r} in {self.where_from} leads out of its folder; mend it.")
            if not (self.root / row["file"]).is_file():
                broken[number] = f"There is no file {row['file']!r} in {str(self.root)!r}; check the path."
        if broken and len(broken) == len(self._rows):
            raise DataError(f"None of the {len(broken)} pictures of {self.where_from} is there. {broken[0]}")
        super().__init__([row["file"] for row in self._rows], broken=broken)

    def _root(self) -> Path:
        """The folder where most of the first pictures lie: of the JSON, images/, or one named like the JSON."""
        here, first = self.file.parent, [row["file"] for row in self._rows[:20]]
        split = self.file.stem.removeprefix("instances_")  # instances_val2017.json is of val2017/
        choices = [here / name for name in (*_FOLDERS, split, f"../{split}", f"images/{split}", f"../images/{split}")]
        best = max(choices, key=lambda root: sum((root / name).is_file() for name in first))  # of equals the first
        return Path(os.path.normpath(best))

    def _path(self, row: int) -> Path:
        return self.root / self._rows[row]["file"]

    def _about(self, row: int) -> dict[str, Any]:
        return {name: self._rows[row][name] for name in self.columns}


def open_boxes(data: Any) -> Source:
    """What `open_source` takes, and COCO-format folders or their JSON, as a Source."""
    if isinstance(data, str | os.PathLike):
        path = Path(data).expanduser()
        if path.suffix.lower() == ".json" and path.is_file():
            return CocoSource(path)
        if path.is_dir() and _candidates(path):
            return CocoSource(path)
    return open_source(data)


def leaves(name: str) -> bool:
    """Whether a relative path leads out of its folder, or is none."""
    place = os.path.normpath(name).replace(os.sep, "/")
    return os.path.isabs(place) or bool(os.path.splitdrive(place)[0]) or place.split("/", 1)[0] == ".."


def _candidates(folder: Path) -> list[Path]:
    """The JSON files of a folder, and of its annotations/, that look like COCO's by their beginning."""
    files = [*sorted(folder.glob("*.json")), *sorted((folder / "annotations").glob("*.json"))]
    return [path for path in files if path.is_file() and _is_coco(path)]


def _is_coco(path: Path) -> bool:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, Mapping) and all(isinstance(data.get(part), list) for part in _PARTS)


def _annotations(path: Path) -> Path:
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"There is no file or folder {str(path)!r}: pass a COCO JSON, or the folder that it is in.")
        return path
    files = _candidates(path)
    if not files:
        raise DataError(
            f"The folder {str(path)!r} has no COCO JSON (with images, annotations and categories), nor has its "
            "annotations/: pass the file itself."
        )
    if len(files) > 1:
        raise DataError(f"The folder {str(path)!r} has {len(files)} COCO files, such as {str(files[0])!r}: pass one.")
    return files[0]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON ({error}).") from error
    if not isinstance(data, Mapping) or not all(isinstance(data.get(part), list) for part in _PARTS):
        raise DataError(f"{str(path)!r} is no COCO file: it needs the lists images, annotations and categories.")
    return data
