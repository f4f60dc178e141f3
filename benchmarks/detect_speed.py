"""`detect` beside asking the same picture crop by crop: seconds and ratio, medians, one thread, run in turn.

    python benchmarks/detect_speed.py [--pairs 5] [--size 640 480]

The peer is the well-known demonstration: every window of a 7 x 7 grid cut out, drawn to the model's square and asked by
itself, one at a time, and in batches of 32 as `method="grid"` does it. ViT-B-32 with random weights: time alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

import clipviz
from clipviz.detection.grid import grid_windows

LABELS = [f"a photo of a {name}" for name in ("temple", "flower", "dog", "person", "boat", "car", "tree", "bird")]


def one_by_one(picture: Image.Image, model: clipviz.Model, sizes: tuple[int, ...]) -> None:
    step = np.array([*picture.size, *picture.size]) / 7
    texts = model.encode_prompts(LABELS)
    for window in grid_windows(7, sizes):
        _ = model.encode_images([picture.crop(tuple(np.round(window * step).astype(int)))]) @ texts.T


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480))
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = clipviz.load("ViT-B-32", None)
    picture = Image.fromarray(load_sample_image("china.jpg")).resize(tuple(given.size))
    ways: dict[str, Callable[[], object]] = {
        "patches, the default": lambda: clipviz.detect(picture, LABELS, model=model),
        "patches, one size (smallest=half)": lambda: clipviz.detect(
            picture, LABELS, model=model, smallest=min(picture.size) / 2
        ),
        "windows": lambda: clipviz.detect(picture, LABELS, model=model, method="windows"),
        "grid, 2 to 5 cells, batches of 32": lambda: clipviz.detect(picture, LABELS, model=model, method="grid"),
        "grid, 3 cells, batches of 32": lambda: clipviz.detect(picture, LABELS, model=model, method="grid", sizes=[3]),
        "crop by crop, 2 to 5 cells": lambda: one_by_one(picture, model, (2, 3, 4, 5)),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.pairs):
        for name, act in ways.items():
            spent[name].append(timed(act))
    peer = statistics.median(spent["crop by crop, 2 to 5 cells"])
    print(
        f"{given.size[0]} x {given.size[1]}, {len(LABELS)} labels, medians of {given.pairs}, torch {torch.__version__}"
    )
    for name, times in spent.items():
        middle = statistics.median(times)
        print(f"{name:36s} {middle:7.3f} s   crop by crop takes {peer / middle:5.1f}x")


if __name__ == "__main__":
    main()
