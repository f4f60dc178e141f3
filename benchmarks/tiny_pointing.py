"""Does the peak of a heatmap fall on the thing that was named? Beside rivals that know nothing.

    python benchmarks/tiny_pointing.py [--scenes 500] [--seed 90210] [--model FOLDER]
    python benchmarks/tiny_pointing.py --shared ../shared

The first prints pointing accuracy on fresh hard scenes of `clipviz.synth`, pairs that occurred in training and pairs
that never did apart. The second adds the CLIP of ``../shared/models/oc-tiny`` on the boxes of Tiny ImageNet's
validation pictures, report half only.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

import clipviz
from clipviz.clip import CLIP
from clipviz.errors import ClipvizWarning
from clipviz.model import Model
from clipviz.synth import Scene, scenes
from clipviz.weights import Weights

DEFAULT = Path(os.environ.get("CLIPVIZ_TEST_DATA", "../shared"))
COLUMNS = ("named text", "mean mask area", "the centre", "random weights", "another object's text")


def untrained(model: Model, seed: int = 0) -> Model:
    """A model of the same shape and preprocessing whose weights were never trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = CLIP(model.clip.config).eval().requires_grad_(False)
    preprocess = {"mean": model.mean, "std": model.std, "interpolation": model.interpolation}
    return Model("random weights", Weights(clip, preprocess))


def point(model: Model, scene: Scene, captions: list[str]) -> list[bool]:
    """For each caption, whether its peak lies on the named object of the scene. A flat map points nowhere."""
    maps = clipviz.explain([scene.picture], captions, model=model, method="gradcam")
    hits = []
    for j in range(len(captions)):
        if maps[0, j].constant:
            hits.append(False)
            continue
        x, y = maps[0, j].peak()
        hits.append(bool(scene.mask[y, x]))
    return hits


def pointing(model: Model, n: int, seed: int) -> dict[str, dict[str, float]]:
    """Shares of ``n`` fresh hard scenes, for pairs "seen" in training, "unseen", and "all", and how many each has."""
    rival = untrained(model)
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for scene in scenes(n, seed=seed):
        another = next(thing for i, thing in enumerate(scene.objects) if i != scene.named)
        ours, others = point(model, scene, [scene.caption, another.caption])
        (random,) = point(rival, scene, [scene.caption])
        h, w = scene.mask.shape
        row = (ours, scene.mask.mean(), scene.mask[h // 2, w // 2], random, others)
        for name in ("seen" if scene.seen else "unseen", "all"):
            rows[name].append(tuple(float(v) for v in row))
    return {
        name: dict(zip(COLUMNS, np.mean(rows[name], axis=0).tolist(), strict=True)) | {"scenes": len(rows[name])}
        for name in ("seen", "unseen", "all")
        if rows[name]
    }


def photographs(shared: Path) -> dict[str, float]:
    """Pointing of oc-tiny on the boxes of Tiny ImageNet, report half: its peak, the centre, a random point."""
    model = clipviz.load(shared / "models" / "oc-tiny")
    data = shared / "data" / "tiny-imagenet"
    names = {c["class_id"]: c["names"] for c in json.loads((data / "classes.json").read_text(encoding="utf-8"))}
    source = clipviz.open_source(data / "val-00.parquet", id="file").half("report")
    hits = []
    for item in source:
        box = item.metadata["box"]
        if box is None:
            continue
        known = names[item.metadata["class_id"]]
        name = known[0] if isinstance(known, list) else known.split(",")[0]
        heatmap = clipviz.gradcam(item.image, f"a photo of a {name}.", model=model)
        x0, y0, x1, y1 = box
        w, h = item.image.size
        x, y = heatmap.peak() if not heatmap.constant else (-1, -1)
        on_centre = x0 <= w / 2 < x1 and y0 <= h / 2 < y1
        area = (min(x1, w) - max(x0, 0)) * (min(y1, h) - max(y0, 0)) / (w * h)
        hits.append((x0 <= x < x1 and y0 <= y < y1, on_centre, area))
    share = np.mean(np.asarray(hits, dtype=float), axis=0)
    return {"pictures": len(hits), "Grad-CAM peak": share[0], "the centre": share[1], "a random point": share[2]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=90210, help="of the scenes; training and choices used others")
    parser.add_argument("--model", type=Path, help="a model folder; without it, clipviz-tiny")
    there = DEFAULT if DEFAULT.is_dir() else None
    parser.add_argument("--shared", type=Path, default=there, help="with models/oc-tiny and data/tiny-imagenet")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ClipvizWarning)
    torch.set_num_threads(1)  # a network this small gains nothing from more
    model = clipviz.load(arguments.model) if arguments.model else clipviz.load()
    print(f"{model.name}, {arguments.scenes} fresh hard scenes of seed {arguments.seed}: peaks on the named object")
    found = pointing(model, arguments.scenes, arguments.seed)
    print(f"{'pairs':8s}{'scenes':>8s}" + "".join(f"{c:>23s}" for c in COLUMNS))
    for name, row in found.items():
        print(f"{name:8s}{row['scenes']:8.0f}" + "".join(f"{100 * row[c]:21.1f} %" for c in COLUMNS))
    if arguments.shared:
        print("oc-tiny on the boxes of Tiny ImageNet, report half, 'a photo of a {first name}.'")
        for key, value in photographs(arguments.shared).items():
            print(f"  {key:16s}" + (f"{value:8d}" if isinstance(value, int) else f"{100 * value:6.1f} %"))


if __name__ == "__main__":
    main()
