"""Pictures for the detection benchmarks: drawn scenes with copies, photographs with a box, and mosaics of them.

Tiny ImageNet's boxes name their last pixel, so 1 is added to x1 and y1. Nothing here is a figure: see detect_league.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

import clipviz
from clipviz.sources import open_source
from clipviz.synth import scenes
from clipviz.text import Prompt

TEMPLATES = ("a photo of a {}", "a photo of the {}", "a {}", "a close-up photo of a {}", "a picture of a {}")
TILE = 64


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture, the labels asked of it, and what is there: label and box (x0, y0, x1, y1)."""

    id: str
    picture: Image.Image
    asked: tuple[Prompt, ...]
    there: tuple[tuple[str, tuple[float, float, float, float]], ...]


def truth_of(shots: list[Shot]) -> pd.DataFrame:
    rows = [(shot.id, label, *box) for shot in shots for label, box in shot.there]
    return pd.DataFrame(rows, columns=["image", "label", "x0", "y0", "x1", "y1"])


def drawn(n: int, seed: int, copies: int | tuple[int, int]) -> list[Shot]:
    """Hard scenes; the named pair is asked, one to three times there or not at all."""
    found = []
    for i, scene in enumerate(scenes(n, seed=seed, copies=copies)):
        label = f"a {scene.pair[0]} {scene.pair[1]}"
        there = tuple((label, tuple(map(float, thing.box))) for thing in scene.targets)
        found.append(Shot(f"scene {seed}/{i}", scene.picture, (Prompt(label),), there))
    return found


def photographs(
    shared: Path, half: str, file: str = "val-00"
) -> Iterator[tuple[str, Image.Image, int, NDArray[np.float64]]]:
    """(id, picture, class, box) of a half of the photographs that have a box."""
    source = open_source(shared / "data/tiny-imagenet" / f"{file}.parquet")
    for item in source.half(half) if half != "all" else source:  # type: ignore[arg-type]
        box = item.metadata.get("box")
        if box is not None:
            yield item.id, item.image, int(item.metadata["class_id"]), np.asarray(box, float) + np.array([0, 0, 1, 1])


def class_prompts(shared: Path) -> dict[int, Prompt]:
    """Class -> its first name in five templates."""
    rows = json.loads((shared / "data/tiny-imagenet/classes.json").read_text(encoding="utf-8"))
    return {int(row["class_id"]): Prompt(row["names"][0], TEMPLATES) for row in rows}


def single(shared: Path, half: str) -> list[Shot]:
    """Photographs, each asked for the one thing that it has a box of."""
    prompts = class_prompts(shared)
    return [
        Shot(name, picture, (prompts[kind],), ((prompts[kind].text, tuple(box.tolist())),))
        for name, picture, kind, box in photographs(shared, half)
    ]


def mosaics(shared: Path, half: str, n: int, side: int, seed: int, absent: int = 5) -> list[Shot]:
    """``side`` x ``side`` photographs of different classes; asked are theirs and ``absent`` others."""
    prompts, every = class_prompts(shared), list(photographs(shared, half))
    rng, found = np.random.default_rng([seed, side]), []
    kinds = np.array([kind for _, _, kind, _ in every])
    while len(found) < n:
        members = rng.choice(len(every), side * side, replace=False)
        own = kinds[members]
        if len(set(own.tolist())) < len(own):
            continue
        others = rng.choice(np.setdiff1d(sorted(prompts), own), absent, replace=False)
        whole, there = Image.new("RGB", (side * TILE, side * TILE)), []
        for place, member in enumerate(members):
            at = np.array([place % side, place // side]) * TILE
            _, picture, kind, box = every[member]
            whole.paste(picture, tuple(at.tolist()))
            there.append((prompts[kind].text, tuple((box + np.tile(at, 2)).tolist())))
        asked = tuple(prompts[int(kind)] for kind in [*own, *others])
        found.append(Shot(f"mosaic {side} {half} {len(found)}", whole, asked, tuple(there)))
    return found


def model_of(name: str, shared: Path) -> clipviz.Model:
    """ "clipviz-tiny" or "oc-tiny"."""
    return clipviz.load() if name == "clipviz-tiny" else clipviz.load(shared / "models" / name)
