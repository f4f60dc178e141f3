"""Which explanation to believe: the committed table docs/explainers.md, .csv and .png.

    python benchmarks/explainers_league.py --half dev       # the choice of the default
    python benchmarks/explainers_league.py                  # the figures, on the other half
    ... [--shared ../shared] [--resnet FOLDER] [--shuffled FOLDER] [--methods gradcam ...] [--docs docs] [--out out]

    python benchmarks/explainers_league.py --pages out/explainers/*-report.json

Every model, world and method is measured by itself and kept as a file under out/, so that an interrupted run goes on
where it was; when anything in clipviz's code changes it is measured again. ``--half dev`` writes
docs/explainers_choice.csv, what the rule chose from, a line a model. The second command writes the page, the table, the
figure and clipviz/assets/explainers.csv; ``--pages`` writes them from leagues that were saved before, and puts several
of one model together: what takes hundreds of passes is measured on fewer pictures, by a run of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from explainers_page import CHOICE, chosen_of, write_pages

import clipviz
from clipviz import files
from clipviz.errors import ClipvizWarning, DataError
from clipviz.evaluation.explainers import worlds_of
from clipviz.evaluation.league import Entrant, League, Plan, World, entrants, run, summarise
from clipviz.evaluation.league.costs import cost_of
from clipviz.evaluation.provenance import about_run
from clipviz.evaluation.registry import Question
from clipviz.model import Model

SHARED = Path(os.environ.get("CLIPVIZ_TEST_DATA", "../shared"))


def kept(path: Path, key: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``make()`` gives, from the file where it was made with the same ``key``."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.get("key") == digest:
            return found
    found = {**make(), "key": digest}
    files.write(path, json.dumps(found))
    return found


def source_of() -> str:
    """A hash of all of clipviz: a map depends on the network, on what a method shares, and on the metrics."""
    total = hashlib.sha256()
    for path in sorted(Path(clipviz.__file__).parent.rglob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def measured(
    taking_part: tuple[Entrant, ...], worlds: list[World], plan: Plan, about: dict[str, Any], folder: Path
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The items and costs of all, each kept as a file as soon as it is there."""
    rows: list[dict[str, Any]] = []
    costs: dict[str, float] = {}
    source = source_of()
    total, done, start = len(taking_part) * len(worlds), 0, time.perf_counter()
    for entrant in taking_part:
        safe = "".join(c if c.isalnum() else "_" for c in entrant.name)
        key = {**about, "entrant": repr(entrant), "source": source}
        said = kept(folder / f"{safe}.cost.json", {**key, "what": "cost"},
                    lambda: {"cost": cost_of(entrant, worlds[0].model, worlds[0])})  # noqa: B023  # fmt: skip
        costs[entrant.name] = float(said["cost"])
        for world in worlds:
            began = time.perf_counter()

            def make() -> dict[str, Any]:
                found, threshold = run(entrant, world, plan, costs[entrant.name])  # noqa: B023
                seconds = time.perf_counter() - began  # noqa: B023
                return {"rows": found, "threshold": threshold, "seconds": seconds}

            where = folder / world.name.replace(" ", "") / f"{safe}.json"
            count = plan.of_cost(costs[entrant.name])[1]
            part = kept(where, {**key, "world": world.name, "cases": len(world.cases), "count": count}, make)
            rows += part["rows"]
            done += 1
            each = 1e3 * part["seconds"] / max(1, len(part["rows"]))
            told = f"{len(part['rows'])} pictures, {each:.1f} ms each, {costs[entrant.name]:.2f} passes"
            spent = time.perf_counter() - start
            print(f"[{done}/{total}, {spent:.0f} s] {world.name}: {entrant.name}, {told}", flush=True)
    return pd.DataFrame(rows), costs


def league_of(model: Model, arguments: argparse.Namespace, shuffled: Model | None) -> League:
    """All worlds of one model on the half that is asked for."""
    data = arguments.shared / "data" / "tiny-imagenet"
    whole = clipviz.open_source(data / "val-00.parquet", id="file")
    part = whole.half(arguments.half)
    # Choices and figures are made on other scenes, too.
    seed = arguments.seed if arguments.half == "report" else arguments.seed + 100
    question = Question(model, part, whole, data / "classes.json", "class_id", 64, seed, True)
    worlds, labels, notes = worlds_of(
        question, scenes=arguments.scenes, photographs=arguments.photographs, mosaics=arguments.mosaics,
        larger_mosaics=arguments.larger_mosaics, box_inclusive=True,
    )  # fmt: skip
    plan = Plan(arguments.few, arguments.rare, arguments.checks, arguments.checks, arguments.costly, 32, seed, shuffled)
    taking_part = entrants(model, arguments.methods)
    about = {
        "model": model.provenance["weights_sha256"], "data": part.fingerprint, "half": arguments.half, "seed": seed,
        "few": plan.few, "rare": plan.rare, "checks": plan.checks, "costly": plan.costly,
        "shuffled": shuffled.provenance["weights_sha256"] if shuffled else None,
    }  # fmt: skip
    folder = arguments.out / "explainers" / f"{model.name}-{about['model'][:8]}" / arguments.half
    items, costs = measured(taking_part, worlds, plan, about, folder)
    print(f"{model.name}: intervals from {arguments.resamples} resamples", flush=True)
    left_out = [pair for world in worlds for pair in world.left_out]
    reasons = items[items["reason"] != ""]
    failed = [(str(row.id), f"{row.method}: {row.reason}") for row in reasons.itertuples()]
    return League(
        task="explainers", table=summarise(items, costs, resamples=arguments.resamples, seed=seed), items=items,
        labels=tuple(zip(labels.values, labels.names, strict=True)) if labels else (), seen="",
        notes=(*notes, *(note for world in worlds for note in world.notes)),
        failed=tuple(dict.fromkeys((*left_out, *failed))),
        provenance=about_run(question, part, **{k: v for k, v in about.items() if k not in ("model", "data", "half")}),
    )  # fmt: skip


def together(leagues: list[League], resamples: int) -> League:
    """One league of several of the same model and half; a method that two measured counts as the first did."""
    first = leagues[0]
    for league in leagues[1:]:
        for part in ("model", "half", "seed"):
            if league.provenance[part] != first.provenance[part]:
                raise DataError(f"Leagues of another {part} are no one league: {league!r} beside {first!r}.")
    parts, costs, known = [], {}, set()
    for league in leagues:
        parts.append(league.items[~league.items["method"].isin(known)])
        known |= set(league.items["method"])
        costs = {**dict(zip(league.table["method"], league.table["cost"], strict=True)), **costs}
    items = pd.concat(parts, ignore_index=True)
    return replace(
        first, items=items, table=summarise(items, costs, resamples=resamples, seed=first.provenance["seed"]),
        failed=tuple(dict.fromkeys(pair for league in leagues for pair in league.failed)),
        notes=tuple(dict.fromkeys(note for league in leagues for note in league.notes)),
    )  # fmt: skip


def saved(paths: list[Path], resamples: int) -> dict[str, League]:
    """Leagues from files named MODEL-HALF.json, put together by model."""
    found: dict[str, list[League]] = {}
    for path in paths:
        league = League.load(path)
        assert isinstance(league, League)
        found.setdefault(path.stem.rpartition("-")[0], []).append(league)
    return {name: together(leagues, resamples) for name, leagues in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=["report", "dev"], default="report")
    parser.add_argument("--shared", type=Path, default=SHARED, help="with models/oc-tiny and data/tiny-imagenet")
    parser.add_argument("--resnet", type=Path, help="a ResNet's folder, for its own default")
    parser.add_argument("--shuffled", type=Path, help="clipviz-tiny's shape, trained on shuffled captions")
    parser.add_argument("--methods", nargs="+", help="default: all that serve the model")
    parser.add_argument(
        "--models", nargs="+", choices=["tiny", "oc-tiny", "resnet"], help="default: all that are there"
    )
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--photographs", type=int, default=None, help="default: all that have a box")
    parser.add_argument("--mosaics", type=int, default=1000)
    parser.add_argument("--larger-mosaics", type=int, default=0, help="of 3 x 3")
    parser.add_argument("--few", type=int, default=200, help="pictures for what is expensive")
    parser.add_argument("--rare", type=int, default=50, help="pictures for what is ten times as expensive")
    parser.add_argument("--checks", type=int, default=100, help="pictures for insertion, deletion, randomisation")
    parser.add_argument("--costly", type=float, default=20.0, help="passes; above, a method takes the first few")
    parser.add_argument("--passes", type=float, default=20.0, help="the most that a default may cost")
    parser.add_argument("--seed", type=int, default=90210)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--pages", nargs="+", type=Path, help="write the pages from these saved leagues")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--assets", type=Path, default=Path("clipviz/assets"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ClipvizWarning)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

    if arguments.pages:
        write_pages(saved(arguments.pages, arguments.resamples), arguments)
        return
    wanted = arguments.models or ["tiny", "oc-tiny", "resnet"]
    makers: dict[str, Callable[[], Model]] = {
        "tiny": clipviz.load,
        "oc-tiny": lambda: clipviz.load(arguments.shared / "models" / "oc-tiny"),
        "resnet": lambda: clipviz.load(arguments.resnet),
    }
    leagues: dict[str, League] = {}
    for name in wanted:
        if name == "resnet" and arguments.resnet is None:
            continue
        shuffled = clipviz.load(arguments.shuffled) if name == "tiny" and arguments.shuffled else None
        leagues[name] = league_of(makers[name](), arguments, shuffled)
        leagues[name].save(arguments.out / "explainers" / f"{name}-{arguments.half}.json")

    if arguments.half == "dev":
        table = pd.concat([chosen_of(name, league, arguments.passes) for name, league in leagues.items()])
        path = arguments.docs / CHOICE
        if path.is_file():  # what was chosen on other models stays
            old = pd.read_csv(path)
            table = pd.concat([old[~old["model"].isin(leagues)], table])
        files.write(path, table.to_csv(index=False, float_format="%.4f"))
        print(table.groupby("model").head(5).to_string(index=False))
        return
    write_pages(leagues, arguments)


if __name__ == "__main__":
    main()
