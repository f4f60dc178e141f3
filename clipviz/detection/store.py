"""A set of boxes as JSON and CSV, and read back."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, InputError
from ..explanation.origin import Origin
from ..frame import Frame
from ..images import is_one_image, open_image
from ..sources import Item, Source
from .checking import COLUMNS, table_of
from .score_maps import ScoreMaps

if TYPE_CHECKING:
    from .detections import Detections

LARGEST = 16_000_000  # bytes of maps, and of pictures, that a file holds
_FORMAT = "clipviz detections 1"
# What a spreadsheet takes for the beginning of a formula, also in its wide forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class Absent:
    """Stands for the pictures that a saved file does not hold."""

    def bytes(self, key: str) -> bytes:
        raise DataError(
            f"the saved file does not hold the picture {key!r}; name the pictures with detections.with_pictures(...)."
        )

    def __getitem__(self, key: str) -> Item:
        return Item(key, open_image(self.bytes(key)))


def as_csv(detections: Detections) -> str:
    """A row a box; words that a spreadsheet would take for a formula begin with an apostrophe."""
    import pandas as pd

    table = detections.to_pandas()
    for column in ("image", "label", "evidence", "method", "model"):
        safe = ["'" + word if word.startswith(_FORMULA) else word for word in table[column]]
        table[column] = pd.Series(safe, dtype=object)
    return table.to_csv(index=False)


def as_json(detections: Detections) -> str:
    """Everything; maps and pictures as far as each are within `LARGEST`."""
    whole = {
        "format": _FORMAT, "labels": detections.labels, "images": detections.images, "sizes": detections.sizes,
        "threshold": detections.threshold, "failed": detections.failed, "notes": detections.notes,
        "provenance": _plain(detections.provenance), "table": detections.table.to_dict("list"),
        "maps": _told_maps(detections), "pictures": _told_pictures(detections),
    }  # fmt: skip
    return json.dumps(whole, allow_nan=False) + "\n"


def read_json(path: str | Path) -> Detections:
    """What ``save("x.json")`` wrote. Raises DataError where the file is no such thing."""
    from .detections import Detections

    try:
        whole = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(whole, dict) or (got := whole.pop("format", None)) != _FORMAT:
            raise ValueError(f"it does not say {_FORMAT!r}" + (f", but {got!r}" if isinstance(whole, dict) else ""))
        columns = whole.pop("table")
        table = table_of(zip(*(columns[name] for name in COLUMNS), strict=True))
        labels, images = (tuple(map(str, whole.pop(key))) for key in ("labels", "images"))
        sizes = tuple((int(width), int(height)) for width, height in whole.pop("sizes"))
        maps = _read_maps(whole.pop("maps"))
        origins = tuple(_read_origin(told, name) for told, name in zip(whole.pop("pictures"), images, strict=True))
        failed = tuple((str(name), str(reason)) for name, reason in whole.pop("failed"))
        notes, threshold = tuple(map(str, whole.pop("notes"))), float(whole.pop("threshold"))
        about = dict(whole.pop("provenance"))
        if whole:
            raise ValueError(f"it has the unknown keys {', '.join(map(repr, whole))}")
        return Detections(table, labels, images, sizes, origins, threshold, maps, failed, notes, about)
    except FileNotFoundError:
        raise DataError(f"There is no file {str(path)!r}.") from None
    except Exception as error:  # json, base64, zlib, numpy, pandas and a wrong set of keys each raise their own
        raise DataError(
            f"{str(path)!r} holds no detections ({type(error).__name__}: {error}): load what "
            "detections.save('x.json') wrote."
        ) from error


def found_anew(detections: Detections, data: Any) -> tuple[Origin, ...]:
    """Origins in ``data`` for the pictures of ``detections``, each with the mark that it had."""
    marks = [origin.mark for origin in detections.origins]
    if isinstance(data, Source):
        known = set(data.ids)
        if missing := [name for name in detections.images if name not in known]:
            raise InputError(f"These pictures have no {missing[0]!r}: pass the Source that was searched.")
        return tuple(Origin(data, mark, name) for mark, name in zip(marks, detections.images, strict=True))
    given = [data] if is_one_image(data) else list(data)
    found = []
    for name, mark in zip(detections.images, marks, strict=True):
        if not (name.isdecimal() and int(name) < len(given)):
            raise InputError(
                f"Among {len(given)} pictures there is none for {name!r}: pass what was searched, in order."
            )
        origin = Origin.of(given[int(name)], open_image(given[int(name)]))
        if origin.mark != mark:
            raise InputError(f"The picture given for {name!r} is not the one that was searched: pass that one.")
        found.append(origin)
    return tuple(found)


def _told_maps(detections: Detections) -> list[dict[str, Any] | None]:
    if sum(maps.values.nbytes for maps in detections.maps if maps is not None) > LARGEST:
        return [None] * len(detections.maps)
    return [
        None if maps is None else {
            "frame": maps.frame.to_dict(), "shape": list(maps.values.shape),
            "values": _text(zlib.compress(np.ascontiguousarray(maps.values, "<f4").tobytes())),
        }
        for maps in detections.maps
    ]  # fmt: skip


def _told_pictures(detections: Detections) -> list[dict[str, Any]]:
    files: list[bytes | None] = []
    for origin in detections.origins:
        try:
            files.append(origin.encoded())
        except InputError:  # gone by now: what was found in it is kept all the same
            files.append(None)
        if sum(len(file) for file in files if file is not None) > LARGEST:
            files = [None] * len(detections.origins)
            break
    return [
        {"mark": origin.mark, "file": None if file is None else _text(file)}
        for origin, file in zip(detections.origins, files, strict=True)
    ]


def _read_maps(every: list[dict[str, Any] | None]) -> tuple[ScoreMaps | None, ...]:
    shapes = [tuple(int(side) for side in told["shape"]) for told in every if told is not None]
    if any(len(shape) != 3 or min(shape) < 1 for shape in shapes) or 4 * sum(map(math.prod, shapes)) > LARGEST:
        raise ValueError(f"its maps have the shapes {str(shapes)[:80]}")
    return tuple(None if told is None else _read_map(told) for told in every)


def _read_map(told: dict[str, Any]) -> ScoreMaps:
    labels, h, w = (int(side) for side in told["shape"])
    size = 4 * labels * h * w  # what is packed may be more
    unpacked = zlib.decompressobj().decompress(base64.b64decode(told["values"], validate=True), size + 1)
    values = np.frombuffer(unpacked, "<f4").astype(np.float32).reshape(labels, h, w)  # fails where it is no such many
    return ScoreMaps(values, Frame.from_dict(told["frame"]))


def _read_origin(told: dict[str, Any], name: str) -> Origin:
    mark = int(told["mark"])
    if told["file"] is None:
        return Origin(Absent(), mark, name)
    return Origin(base64.b64decode(told["file"], validate=True), mark)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _plain(value: Any) -> Any:
    """What JSON can hold of a provenance: numbers of numpy as numbers, what is neither number nor text as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    return repr(value)
