"""The pictures of a recipe's sources by number, from where they are or from a cache in the run's folder."""

from __future__ import annotations

import glob
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm.auto import tqdm

from ..errors import DataError
from ..files import replace, write
from ..sources import Source, open_source
from .captions import Row
from .data_recipe import SourceRecipe
from .drawn import draw


class Pictures(ABC):
    """One source: ``rows`` [N] of metadata (a row for each thing in a picture), ``ids``, and ``image(i)``."""

    rows: Sequence[Sequence[Row]]
    ids: Sequence[str]
    fingerprint: str

    @abstractmethod
    def image(self, i: int) -> Image.Image:
        """Picture ``i``, upright RGB; DataError where it is damaged."""

    def __len__(self) -> int:
        return len(self.rows)


class Stored(Pictures):
    """Pictures that `open_source` reads, decoded when they are asked for."""

    def __init__(self, recipe: SourceRecipe):
        found = sorted(glob.glob(recipe.path)) if "*" in recipe.path else recipe.path
        if not found:
            raise DataError(f"No file matches {recipe.path!r}; check the path of {recipe.label!r}.")
        self.source: Source = open_source(found, image=recipe.image or None, id=recipe.id or None)
        self.ids = self.source.ids
        self.rows = [[{str(k): v for k, v in row.items()}] for row in self.source.table().to_dict("records")]

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return self.source.fingerprint

    def image(self, i: int) -> Image.Image:
        return self.source[i].image


class Cached(Pictures):
    """Pictures decoded or drawn once, their central squares as uint8 [N, side, side, 3] in a mapped file."""

    def __init__(self, path: Path, kept: dict[str, Any]):
        self.path, self.ids, self.rows, self.fingerprint = path, kept["ids"], kept["rows"], kept["fingerprint"]
        self.damaged: dict[int, str] = {int(i): reason for i, reason in kept["damaged"].items()}
        self.pixels = np.load(path, mmap_mode="r")

    def image(self, i: int) -> Image.Image:
        if i in self.damaged:
            raise DataError(self.damaged[i])
        return Image.fromarray(self.pixels[i])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "pixels": None}  # another process maps the file again

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.pixels = np.load(self.path, mmap_mode="r")


def open_pictures(
    recipe: SourceRecipe, image_size: int, cache: Path, workers: int = 0, quiet: bool = False
) -> Pictures:
    """The pictures of one source, through a cache under ``cache`` where the recipe asks for one or they are drawn."""
    if recipe.kind == "pictures" and not recipe.cache:
        return Stored(recipe)
    side = recipe.cache_side or round(image_size * 8 / 7)
    stored = Stored(recipe) if recipe.kind == "pictures" else None
    what: dict[str, Any] = {"side": side, "clipviz": 1}
    if stored:
        what |= {"fingerprint": stored.fingerprint}
    else:
        what |= {k: v for k, v in asdict(recipe).items() if k in ("kind", "n", "level", "split", "draw_seed", "rates")}
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    path, beside = cache / f"{key[:16]}.npy", cache / f"{key[:16]}.json"
    if not (path.exists() and beside.exists()):
        cache.mkdir(parents=True, exist_ok=True)
        damaged: dict[int, str] = {}
        if stored:
            pixels, damaged = _decode(stored, side, recipe.label, quiet)
            ids, rows = list(stored.ids), None
        else:
            pixels, rows = draw(recipe, side, workers, quiet)
            ids = [f"{recipe.label}-{i}" for i in range(len(pixels))]
        replace(path, lambda temporary: _save(temporary, pixels))
        kept = {"ids": ids, "rows": rows, "damaged": damaged, "fingerprint": what.get("fingerprint", key)}
        write(beside, json.dumps(kept))
    kept = json.loads(beside.read_text(encoding="utf-8"))
    if stored:
        kept["rows"] = stored.rows  # metadata may have changed since; the pictures have not
    return Cached(path, kept)


def _save(path: str, pixels: NDArray[np.uint8]) -> None:
    with open(path, "wb") as file:  # np.save would add a suffix to the temporary name
        np.save(file, pixels)


def _decode(stored: Stored, side: int, label: str, quiet: bool) -> tuple[NDArray[np.uint8], dict[int, str]]:
    pixels = np.zeros((len(stored), side, side, 3), dtype=np.uint8)
    numbers = {name: i for i, name in enumerate(stored.ids)}
    for item in tqdm(stored.source, total=len(stored), desc=f"decoding {label}", unit="picture", disable=quiet):
        image = item.image
        least = min(image.size)
        x, y = (image.width - least) / 2, (image.height - least) / 2
        square = image.resize((side, side), Image.Resampling.BICUBIC, box=(x, y, x + least, y + least))
        pixels[numbers[item.id]] = np.asarray(square)
    return pixels, {numbers[name]: reason for name, reason in stored.source.failed if name in numbers}
