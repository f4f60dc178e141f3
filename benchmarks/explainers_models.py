"""The two models that stand beside clipviz-tiny and oc-tiny in benchmarks/explainers_league.py. Neither is shipped.

    python benchmarks/explainers_models.py resnet [--shared ../shared] [--out runs] [--samples 450000]
    python benchmarks/explainers_models.py shuffled [--samples 140000]

"resnet" is a CLIP with the paper's modified ResNet, small enough for one core (64 px, stages of 1, 2, 2 and 1 blocks,
width 32), for a default that is chosen on a trained network of its kind. "shuffled" has clipviz-tiny's shape and learns
photographs whose classes were dealt out anew: maps of a method that shows what was learnt must differ from
clipviz-tiny's (label randomisation, Adebayo et al. 2018, arXiv 1810.03292). An interrupted run goes on where it was.
The committed table has the "resnet" of step 2,243 of 3,515 and the "shuffled" of step 298 of 546.
"""

from __future__ import annotations

import argparse
import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

import clipviz
from clipviz.assets import find
from clipviz.clip import Config, ResNetConfig, TextConfig
from clipviz.model import Model
from clipviz.weights import Weights, build

SHARED = Path(os.environ.get("CLIPVIZ_TEST_DATA", "../shared"))


def start(folder: Path) -> Path:
    """The ResNet's random weights, from which a recipe takes its shape."""
    torch.manual_seed(0)
    config = Config(
        128, ResNetConfig(64, (1, 2, 2, 1), 32, 16), TextConfig(context_length=16, width=128, heads=2, layers=2)
    )
    return Model("resnet-start", Weights(build(config, None, "a small ResNet"))).save(folder)


def deal(photographs: Path, folder: Path) -> Path:
    """All training photographs, their classes permuted over them by seed 0."""
    table = pa.concat_tables([pq.read_table(path) for path in sorted(photographs.glob("train-*.parquet"))])
    place = table.schema.get_field_index("class_id")
    order = np.random.default_rng(0).permutation(len(table))
    table = table.set_column(place, table.schema.field(place), table["class_id"].take(pa.array(order)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train-00.parquet"
    pq.write_table(table, path, row_group_size=1000)
    return path


def recipe(kind: str, shared: Path, out: Path, samples: int) -> dict[str, Any]:
    """clipviz-tiny's recipe, changed in what its docstring says."""
    tiny = tomllib.loads(Path(find("train", "tiny")).read_text(encoding="utf-8"))
    photographs = shared / "data" / "tiny-imagenet"
    by_name = {source["name"]: source for source in tiny["data"]["sources"]}
    by_name["photographs"] |= {
        "path": str(photographs / "train-*.parquet"),
        "classes": str(photographs / "classes.json"),
    }
    tiny |= {"name": f"clipviz-{kind}"}
    tiny["optim"] |= {"samples": samples}
    if kind == "shuffled":
        by_name["photographs"]["path"] = str(deal(photographs, out / "shuffled-photographs"))
        tiny["data"]["sources"] = [by_name["photographs"]]
        return tiny
    weights = {"photographs": 0.75, "scenes": 0.15, "easy scenes": 0.1}
    return tiny | {
        "seed": 5,
        "model": {"weights": str(start(out / "resnet-start"))},
        "loss": {"multi_positive": True, "texts": "all"},
        "optim": {"samples": samples, "batch": 128, "learning_rate": 1.5e-3, "warm_up": 0.03, "weight_decay": 0.2},
        "data": {"sources": [{**by_name[name], "weight": weight} for name, weight in weights.items()]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", choices=["resnet", "shuffled"])
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--samples", type=int)
    arguments = parser.parse_args()
    if arguments.kind is None:
        print("It trains for an hour and measures nothing: name resnet or shuffled.")
        return
    samples = arguments.samples or {"resnet": 450_000, "shuffled": 140_000}[arguments.kind]
    made = recipe(arguments.kind, arguments.shared, arguments.out, samples)
    folder = arguments.out / arguments.kind
    print(f"Wrote {clipviz.train(made, out=folder, resume=folder.exists())}")


if __name__ == "__main__":
    main()
