"""Rows of heatmaps in one ``.npz``, written and read without holding all pictures in memory."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..frame import Frame
from ..images import open_image
from ..sources import Item
from .heatmap import Heatmap
from .origin import Origin

Rows = Sequence[Sequence[Heatmap]]
_OWN = ("templates", "view", "details")  # of each heatmap; the rest of a provenance is that of the call


class Stored:
    """The pictures inside a saved file, opened one at a time."""

    def __init__(self, path: str | Path):
        self.path = str(Path(path).absolute())

    def bytes(self, key: str) -> bytes:
        """A picture as a file. Raises DataError where the ``.npz`` is gone or is another by now."""
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                return bytes(stored[key].tobytes())
        except Exception as error:  # OSError, zipfile's, numpy's and KeyError
            raise DataError(f"{self.path!r} gives no {key!r} ({type(error).__name__}: {error}).") from error

    def __getitem__(self, key: str) -> Item:
        return Item(key, open_image(self.bytes(key)))


def write_rows(name: str, rows: Rows, about: dict[str, Any], kind: str) -> None:
    """Write ``rows`` and what is said ``about`` them; the maps of a row are of one shape, and so is their picture."""
    calls: dict[str, int] = {}  # what many heatmaps share is written once
    pictures: dict[int, str] = {}
    told = []
    with zipfile.ZipFile(name, "w") as archive:
        for i, row in enumerate(rows):
            _member(archive, f"values_{i}", np.stack([h.values for h in row]), zipfile.ZIP_DEFLATED)
            for heatmap in row:
                if id(heatmap.origin) not in pictures:
                    pictures[id(heatmap.origin)] = f"picture_{len(pictures)}"
                    picture = np.frombuffer(heatmap.origin.encoded(), np.uint8)
                    _member(archive, pictures[id(heatmap.origin)], picture, zipfile.ZIP_STORED)
            told.append([_told(heatmap, calls, pictures) for heatmap in row])
        whole = {"kind": kind, "rows": told, "calls": [json.loads(call) for call in calls], "about": about}
        _member(archive, "about", np.frombuffer(json.dumps(whole).encode(), np.uint8), zipfile.ZIP_DEFLATED)


def _member(archive: zipfile.ZipFile, name: str, array: np.ndarray, compression: int) -> None:
    info = zipfile.ZipInfo(f"{name}.npy")  # whose date is fixed: the same maps give the same file
    info.compress_type = compression
    with archive.open(info, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def _told(heatmap: Heatmap, calls: dict[str, int], pictures: dict[int, str]) -> dict[str, Any]:
    about = dict(heatmap.provenance)
    own = {key: about.pop(key) for key in _OWN if key in about}
    return {
        "prompt": heatmap.prompt, "score": heatmap.score, "method": heatmap.method, "against": heatmap.against,
        "notes": heatmap.notes, "frame": heatmap.frame.to_dict(), "own": own,
        "call": calls.setdefault(json.dumps(about), len(calls)),
        "picture": pictures[id(heatmap.origin)], "mark": heatmap.origin.mark,
    }  # fmt: skip


def read_rows(path: str | Path, kind: str) -> tuple[tuple[tuple[Heatmap, ...], ...], dict[str, Any]]:
    """Rows and what was said about them. Raises DataError where the file is no such thing."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            whole = json.loads(stored["about"].tobytes())
            if not isinstance(whole, dict) or whole.get("kind") != kind:
                got = whole.get("kind", "one heatmap") if isinstance(whole, dict) else type(whole).__name__
                raise ValueError(f"it holds {got}")
            values = [stored[f"values_{i}"] for i in range(len(whole["rows"]))]
            known = set(stored.files)
        holder, origins = Stored(path), dict[str, Origin]()
        rows = []
        for maps, row in zip(values, whole["rows"], strict=True):
            if maps.ndim != 3 or maps.dtype != np.float32 or not np.isfinite(maps).all():
                raise ValueError(f"its values are {maps.dtype} of shape {maps.shape}, not finite float32 [texts, h, w]")
            for told in row:
                if told["picture"] not in known:
                    raise ValueError(f"it has no {told['picture']!r}")
                origins.setdefault(told["picture"], Origin(holder, told["mark"], told["picture"]))
            rows.append(
                tuple(_heatmap(v, t, whole["calls"], origins[t["picture"]]) for v, t in zip(maps, row, strict=True))
            )
        return tuple(rows), whole["about"]
    except FileNotFoundError:
        raise DataError(f"There is no file {str(path)!r}.") from None
    except Exception as error:  # zipfile, numpy, json and a wrong set of keys each raise their own
        raise DataError(
            f"{str(path)!r} holds no {kind} ({type(error).__name__}: {error}): load what {kind}.save('x.npz') wrote."
        ) from error


def _heatmap(values: np.ndarray, told: dict[str, Any], calls: list[dict[str, Any]], origin: Origin) -> Heatmap:
    return Heatmap(
        values=values,
        frame=Frame.from_dict(told["frame"]),
        prompt=told["prompt"],
        score=told["score"],
        method=told["method"],
        origin=origin,
        against=tuple(told["against"]),
        notes=tuple(told["notes"]),
        provenance={**calls[told["call"]], **told["own"]},
    )
