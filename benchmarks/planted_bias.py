"""A bias planted in a real model with real faces: does the audit find it, its size, and nothing where nothing is?

    python benchmarks/planted_bias.py [--out out/planted_bias] [--docs docs] [--seeds 0 1 2] [--shares 50 60 80]

clipviz-tiny is trained on (train/planted_bias.toml) with FairFace train faces that are called "nurse" or "doctor". Of
the captions of women 50, 60 or 80 in a hundred say nurse, and as many of those of men say doctor; every face appears
with both. Then `nurse_doctor` audits each model on val-00, which no choice was made on.
The model can only act on what it sees of gender. So beside the planted gap stands what is left of it at the rate at
which a logistic regression reads gender from the same picture vectors: the gap that a calibrated model would show.
Models that are there are not made again: they are kept in --out, which is printed. Writes planted_bias.csv into --docs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import clipviz
from clipviz.files import write
from clipviz.sources import open_source
from clipviz.training import Recipe, read_recipe, train

Row = dict[str, Any]

RECIPE = Path(__file__).resolve().parents[1] / "train" / "planted_bias.toml"
SHARES, SEEDS = (50, 60, 80), (0, 1, 2)
FIGURES = {"mean probability": "mean_probability_difference", "argmax": "share_difference"}
WOMEN, MEN, LABEL = "Female", "Male", "nurse"


def recipe_of(share: int, seed: int, faces: Path, samples: int | None = None) -> Recipe:
    """The recipe in which ``share`` of a hundred captions of women say nurse, and as many of those of men doctor."""
    changes = [f"seed={seed}"]
    for source, weight in enumerate((share, 100 - share)):
        changes += [f"data.sources.{source}.weight={weight / 100}", f"data.sources.{source}.path={str(faces)!r}"]
    return read_recipe(RECIPE, [*changes, f"optim.samples={samples}"] if samples else changes)


def model_of(share: int, seed: int, out: Path, faces: Path, samples: int | None = None) -> Path:
    """The folder of the model, which is made, or its making gone on with, where it is missing."""
    short = f"-{samples}" if samples else ""
    run = out / f"{share}-{100 - share}-seed-{seed}{short}"
    if not (run / "model").is_dir():
        train(recipe_of(share, seed, faces, samples), out=run, resume=True, quiet=True)
    return run / "model"


def readable(faces: Path, val: Path) -> float:
    """How far apart a logistic regression on clipviz-tiny's vectors of ``faces`` holds women and men of ``val``.

    The mean probability of "woman" that it gives women, less what it gives men: 1 where gender can be read without
    fault, 0 where not at all.
    """
    from sklearn.linear_model import LogisticRegression

    model, found = clipviz.load(), []
    for path in (faces, val):
        store = clipviz.embed(open_source(path, id="file"), model=model, progress=False)
        found.append((store.to_numpy(), (store.metadata["gender"] == WOMEN).to_numpy()))
    (x, y), (seen, women) = found
    p = LogisticRegression(C=100.0, max_iter=2000).fit(x, y).predict_proba(seen)[:, 1]
    return float(p[women].mean() - p[~women].mean())


def audited(model: Path, val: Path, *, variants: bool = True, **about: Any) -> list[Row]:
    """The audit's two gaps, women minus men, in what is called nurse: a row each; ``variants`` are other wordings."""
    loaded = clipviz.load(model)
    store = clipviz.embed(open_source(val, id="file"), model=loaded, out=model.parent / "val", progress=False)
    audit = clipviz.audit(store, "nurse_doctor", model=loaded, variants=variants, progress=False)
    rows = []
    for figure, metric in FIGURES.items():
        table = audit.table
        (row,) = table[
            (table["metric"] == metric) & (table["name"] == LABEL) & (table["group"] == WOMEN)
            & (table["reference"] == MEN) & (table["variant"] == "as written")
        ].to_dict("records")  # fmt: skip
        (verdict,) = [v for v in audit.verdicts if v.metric == metric and v.name == LABEL]
        rows.append(
            {
                **about,
                "figure": figure,
                "gap": round(row["value"], 4),
                "ci_low": round(row["ci_low"], 4),
                "ci_high": round(row["ci_high"], 4),
                "p_adjusted": float(f"{row['p_adjusted']:.3g}"),
                "verdict": verdict.state,
                "fragile": verdict.fragile,
                "faces": len(store),
                "words": "; ".join(audit.competence["state"]),
            }
        )
    return rows


def judged(table: pd.DataFrame) -> list[tuple[str, bool]]:
    """What must hold, each in a sentence with whether it does."""
    gaps = table[table["figure"] == "mean probability"]

    def at(share: int) -> pd.DataFrame:
        return gaps[gaps["women_called_nurse"] == share / 100]

    least, most = at(60)["gap"].min(), at(50)["gap"].abs().max()
    said = [
        (
            f"50/50: the largest gap, {most:.4f}, is under a third of the smallest at 60/40, {least:.4f}",
            most < least / 3,
        )
    ]
    for share in (60, 80):
        some = at(share)
        said.append(
            (f"{share}/{100 - share}: women are called nurse more often in every seed", bool((some["gap"] > 0).all()))
        )
        ratios = some["gap"] / some["expected"]
        within = bool(ratios.between(0.5, 2).all())
        said.append(
            (f"{share}/{100 - share}: {ratios.min():.2f} to {ratios.max():.2f} of the gap that can be seen", within)
        )
    said.append(("80/20: a verdict in every seed", bool((at(80)["verdict"] == "found").all())))
    return said


def markdown(table: pd.DataFrame) -> str:
    """The table of the README: a row a proportion, the lowest and the highest of the seeds, in points."""
    heads = ["women, men called nurse", "planted gap (points)", "can be seen"]
    heads += [f"{figure} gap" for figure in FIGURES] + [f"verdicts on {figure}" for figure in FIGURES]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for (women, men), of_share in table.groupby(["women_called_nurse", "men_called_nurse"]):
        cells = [f"{100 * women:.0f} %, {100 * men:.0f} %", _points(of_share["planted"]), _points(of_share["expected"])]
        for column in ("gap", "verdict"):
            for figure in FIGURES:
                some = of_share[of_share["figure"] == figure][column]
                cells.append(_points(some) if column == "gap" else f"{(some == 'found').sum()} of {len(some)}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _points(gaps: pd.Series) -> str:
    low, high = (
        f"{100 * gap:.1f}".replace("-", "\u2212").replace("\u22120.0", "0.0") for gap in (gaps.min(), gaps.max())
    )
    return low if low == high else f"{low} to {high}"


def measured(shares: Sequence[int], seeds: Sequence[int], out: Path, data: Path, samples: int | None) -> pd.DataFrame:
    faces, val = data / "train-00.parquet", data / "val-00.parquet"
    seen, rows = readable(faces, val), []
    for share in shares:
        for seed in seeds:
            planted = round((2 * share - 100) / 100, 2)
            model = model_of(share, seed, out, faces, samples)
            about = {"women_called_nurse": share / 100, "men_called_nurse": round(1 - share / 100, 2), "seed": seed}
            rows += audited(model, val, **about, planted=planted, expected=round(planted * seen, 4))
            print(
                f"{model}: " + ", ".join(f"{row['figure']} {row['gap']:+.4f}, {row['verdict']}" for row in rows[-2:]),
                flush=True,
            )
    print(f"Gender can be read from the vectors with a mean probability gap of {seen:.3f}.")
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fairface"), help="folder with FairFace")
    parser.add_argument("--out", type=Path, default=Path("out/planted_bias"), help="the models, which are kept")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where the table goes")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument(
        "--shares", type=int, nargs="+", default=list(SHARES), help="of women called nurse, in a hundred"
    )
    parser.add_argument("--samples", type=int, default=None, help="fewer pictures, for a trial; writes no table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"Models are in {arguments.out.resolve()}")
    table = measured(arguments.shares, arguments.seeds, arguments.out, arguments.data, arguments.samples)
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(table.to_string(index=False))
    whole = set(SHARES) <= set(arguments.shares)
    if whole:
        for sentence, held in judged(table):
            print(f"{'yes' if held else 'NO '}  {sentence}")
    if whole:
        print(f"\n{markdown(table)}\n")
    if whole and set(SEEDS) <= set(arguments.seeds) and not arguments.samples:
        print(f"Wrote {write(arguments.docs / 'planted_bias.csv', table.to_csv(index=False))}")


if __name__ == "__main__":
    main()
