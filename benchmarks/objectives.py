"""Three objectives over one image tower: which learns most from a picture, and from a second of computing?

    python benchmarks/objectives.py [--out out/objectives] [--docs docs] [--seeds 0 1 2]

The paper's efficiency comparison (its figure 2) at a small size: bag-of-words contrastive, bag-of-words prediction,
and a Transformer language model of the caption, trained as train/objectives.toml says, on the same pictures and
captions in the same order. The first seed is run at every learning rate; the rate of each objective, and its rule of
scoring, is the one with the best mean reciprocal rank on the `dev` half at the end. The figure is on the `report` half.
A run that is done is kept in --out and not made again.
Writes objectives.csv, objectives.md and objectives.png into --docs and prints the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from objectives_page import write_page
from PIL import Image
from torch import Tensor

from clipviz.files import write
from clipviz.sources import open_source
from clipviz.training import Recipe, read_recipe
from clipviz.training.batches import Batch, Batches
from clipviz.training.objectives import OBJECTIVES, Classes, make_objective
from clipviz.training.objectives_run import learn, ranks, vocabulary_of

Row = dict[str, Any]
At = dict[int, list["Questions"]]  # what is asked after a step

RATES, TEMPLATE = (1e-3, 3e-3), "a photo of a {}."
ON_THE_WAY = 1000  # pictures of the half that a stop on the way is measured on; the end is measured on all
STOPS = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)  # of the run


@dataclass(frozen=True)
class Questions:
    """Pictures uint8 [N, S, S, 3] of one half, the class of each int64 [N], and the name of every class."""

    half: str
    pixels: Tensor
    truth: Tensor
    names: list[str]

    @staticmethod
    def of(path: Path, classes: Path, half: Any, size: int) -> Questions:
        entries = json.loads(classes.read_text(encoding="utf-8"))
        place = {entry["class_id"]: i for i, entry in enumerate(entries)}
        pixels, truth = [], []
        for item in open_source(path, id="file").half(half):
            pixels.append(np.asarray(item.image.resize((size, size), Image.Resampling.BICUBIC)))
            truth.append(place[item.metadata["class_id"]])
        names = [entry["names"][0] for entry in entries]
        return Questions(half, torch.from_numpy(np.stack(pixels)), torch.tensor(truth), names)

    def some(self, n: int) -> Questions:
        """``n`` of them, always the same."""
        rows = np.sort(np.random.default_rng(0).permutation(len(self.truth))[:n])
        return Questions(self.half, self.pixels[rows], self.truth[rows], self.names)


@dataclass
class Shown:
    """The pictures and captions of a recipe, read once for all objectives and learning rates of a seed."""

    cache: Path
    what: tuple[int, int] = (-1, -1)
    seen: Tensor = field(default_factory=lambda: torch.zeros(0))
    batches: list[Batch] = field(default_factory=list)

    def of(self, recipe: Recipe) -> tuple[Tensor, list[Batch]]:
        if self.what != (recipe.seed, recipe.steps):
            self.batches.clear()
            batches = Batches(recipe, self.cache)
            self.what, self.seen = (recipe.seed, recipe.steps), vocabulary_of(batches)
            self.batches += [batches[step] for step in range(recipe.steps)]
        return self.seen, self.batches


def measure(recipe: Recipe, name: str, shown: Shown, at: At, say: Callable[[str], None]) -> list[Row]:
    """One run: for each step to stop at and each rule of scoring, the top-1 accuracy and the mean reciprocal rank."""
    seen, batches = shown.of(recipe)
    rows: list[Row] = []
    for stop in learn(recipe, name, seen, batches, at):
        said = []
        for asked in at[stop.pictures // recipe.optim.batch]:
            classes = Classes.of(asked.names, TEMPLATE, seen, recipe.model.context_length)
            for rule, rank in ranks(stop.objective, asked.pixels, asked.truth, classes).items():
                row = {
                    "objective": name,
                    "seed": recipe.seed,
                    "learning_rate": recipe.optim.learning_rate,
                    "pictures": stop.pictures,
                    "seconds": round(stop.seconds, 2),
                    "loss": round(stop.loss, 4),
                    "rule": rule,
                    "half": asked.half,
                    "measured_on": len(rank),
                    "top1": round((rank == 1).double().mean().item(), 6),
                    "mean_reciprocal_rank": round((1 / rank).mean().item(), 6),
                }
                rows.append(row)
                said.append(f"{asked.half} {rule} {row['top1']:.1%}")
        say(
            f"  {name}, seed {recipe.seed}, rate {recipe.optim.learning_rate:g}: {stop.pictures:,} pictures, "
            f"{stop.seconds:.0f} s, loss {stop.loss:.3f}, {', '.join(said)}"
        )
    return rows


def kept(out: Path, recipe: Recipe, name: str, shown: Shown, at: At, say: Callable[[str], None]) -> list[Row]:
    """`measure`, or what it gave when it was called so before."""
    what = {k: v for k, v in recipe.to_dict().items() if k not in ("keep", "name", "threads")}
    asked = {step: [(q.half, len(q.truth)) for q in questions] for step, questions in at.items()}
    key = hashlib.sha256(json.dumps([what, name, asked], sort_keys=True).encode()).hexdigest()[:12]
    path = out / "runs" / f"{name.replace(' ', '-')}-{recipe.seed}-{key}.json"
    if not path.exists():
        write(path, json.dumps(measure(recipe, name, shown, at, say), indent=1) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def changed(recipe: Recipe, **optim: float) -> Recipe:
    seed = int(optim.pop("seed"))
    return dataclasses.replace(recipe, seed=seed, optim=dataclasses.replace(recipe.optim, **optim))


def choose(rows: Sequence[Row], name: str, seed: int) -> tuple[float, str]:
    """The learning rate and the rule of scoring with the best mean reciprocal rank on `dev`, at the end of a seed."""
    own = (row for row in rows if row["objective"] == name and row["seed"] == seed and row["half"] == "dev")
    best = max(own, key=lambda row: row["mean_reciprocal_rank"])
    return best["learning_rate"], best["rule"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("train/objectives.toml"))
    parser.add_argument("--val", type=Path, default=Path("../shared/data/tiny-imagenet/val-00.parquet"))
    parser.add_argument("--out", type=Path, default=Path("out/objectives"), help="the runs, which are not made again")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where the table and the figure go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="to choose from, on dev")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # so that the seconds of the processor are those of the computing

    def say(line: str) -> None:
        print(line, flush=True)

    recipe = read_recipe(arguments.recipe)
    classes = Path(recipe.data.sources[0].classes)
    dev, report = (Questions.of(arguments.val, classes, half, recipe.model.image_size) for half in ("dev", "report"))

    shown = Shown(arguments.out / "cache")
    some = report.some(ON_THE_WAY)
    at: At = {round(share * recipe.steps): [some] for share in STOPS[:-1]} | {recipe.steps: [dev, report]}

    def run(name: str, seed: int, rate: float) -> list[Row]:
        return kept(arguments.out, changed(recipe, seed=seed, learning_rate=rate), name, shown, at, say)

    first, *others = arguments.seeds
    rows = [row for rate in arguments.rates for name in OBJECTIVES for row in run(name, first, rate)]
    chosen = {name: choose(rows, name, first) for name in OBJECTIVES}
    for name, (rate, rule) in chosen.items():
        say(f"chosen on dev: {name}: learning rate {rate:g}, scored by {rule}")
    rows += [row for seed in others for name in OBJECTIVES for row in run(name, seed, chosen[name][0])]
    tower = make_objective(next(iter(OBJECTIVES)), recipe, torch.arange(2)).visual
    about = {
        "template": TEMPLATE.replace("{}", "{first name}"),
        "classes": len(report.names),
        "some": len(some.truth),
        "first_seed": first,
        "rates": arguments.rates,
        "parameters": sum(p.numel() for p in tower.parameters()) / 1e6,
    }
    say("\n" + write_page(arguments.docs, rows, chosen, recipe, about))


if __name__ == "__main__":
    main()
