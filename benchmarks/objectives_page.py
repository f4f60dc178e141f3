"""The page of the comparison of objectives: its table, its figure, and how they were made."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipviz.files import write
from clipviz.plots import png
from clipviz.plots.efficiency import efficiency
from clipviz.training import Recipe

Row = dict[str, Any]
Chosen = Mapping[str, tuple[float, str]]  # objective -> learning rate, rule of scoring

PAGE = """# Three objectives over one image tower

![Prompt accuracy against pictures seen and against seconds of one processor core](objectives.png)

The comparison of figure 2 of the paper (Radford et al. 2021) at a small size: what is learnt from as many pictures
when the objective is to match pictures and captions (bag-of-words contrastive), to predict the words of the caption
(bag-of-words prediction), or to write the caption (Transformer language model). The three begin with the same image
tower and see the same pictures with the same captions in the same order. The order in which they end is a result of
these runs, not a claim about other data.

## At the end

{table}

Top-1 is prompt accuracy, **classes seen in training**, pictures not: "{template}" with each class's first name,
{classes} classes, chance {chance:.2%}, {measured:,} pictures of the `report` half. Seeds {seeds}, their range in
brackets; a single seed's share has a standard error of up to {error:.1%} from the pictures alone. The milliseconds are
of one processor core, training alone (reading left out), on a machine that did other work as well: they compare
within this table only.

## On the way

{way}

Means over the seeds, on {some:,} pictures of the `report` half, the last column on all of it. The learning rate
follows one cosine down to zero at the end, so a point on the way is not where a run of that length would end.

{reached}

## How it was made

    python benchmarks/objectives.py{seeds_told}

Recipe: `train/objectives.toml` ({samples:,} pictures, batch {batch}, pictures of {size} x {size}, a vision
transformer of {layers} layers, {width} wide; training sees half of the patches). Data: Tiny ImageNet, `train-*.parquet`
for training and `val-00.parquet` for scores. Its `dev` half made the choices: each objective's learning rate among
{tried}, and its rule of scoring, by the mean reciprocal rank of the true class at the end of whole runs of seed
{first}. All numbers of all runs, those of the rates not chosen too, are in `objectives.csv`.

- **Bag-of-words contrastive**: the text tower is the mean of the caption's token embeddings, projected; the loss is
  symmetric over the batch, and every caption that is true of a picture counts as positive (with {classes} classes
  captions repeat in a batch). Scored by the cosine of picture and prompt; length plays no part.
- **Bag-of-words prediction**: a linear layer from the image embedding to all tokens of the captions and one softmax
  over them, as in Joulin et al. (2016): multinomial, each distinct token of a caption with an equal share. Stop words
  stay in. Scored by the log-probabilities of the tokens of the class's name.
- **Transformer language model**: a causal decoder of {text_layers} layer, {text_width} wide, that attends to all
  patches, as in VirTex (Desai and Johnson 2021) but from left to right only. Scored by log p(prompt | picture), the
  end included.
- **The length rule**: a name of several tokens has more factors below one. Both rules, the "sum" of log-probabilities
  and their "mean" over tokens, are measured for both of the last two, and the figure has the one that did better on
  `dev`, which favours these two rather than the contrastive objective.

## How this differs from the paper's

- Captions are class names with all their synonyms in seven templates, not sentences found on the web: there is little
  to say beyond the class, and few words to say it with.
- All {classes} classes were seen in training. The paper's measure is zero-shot transfer to ImageNet.
- {samples:,} pictures seen, where the paper shows hundreds of millions; an image tower of {parameters:.1f} million
  weights; a language model of one layer.
- In the paper the language model learns three times slower than bag-of-words prediction, and the contrastive objective
  four times faster still, by pictures seen.
"""


def write_page(docs: Path, rows: Sequence[Row], chosen: Chosen, recipe: Recipe, about: Mapping[str, Any]) -> str:
    """Write objectives.csv, objectives.png and objectives.md into ``docs`` and give the table."""
    seeds = sorted({row["seed"] for row in rows})
    curves = {name: _curve(rows, name, *choice, seeds) for name, choice in chosen.items()}
    chance = 1 / about["classes"]
    measured = max(row["measured_on"] for row in rows if row["half"] == "report")
    table = _table(rows, chosen, curves, seeds)
    o, m = recipe.optim, recipe.model
    text = PAGE.format(
        **about, **{name: getattr(m, name) for name in ("layers", "width", "text_layers", "text_width")},
        table=table, way=_way(curves), reached=_reached(curves, chance, measured, len(seeds)), chance=chance,
        measured=measured, seeds=", ".join(map(str, seeds)), first=about["first_seed"], samples=o.samples,
        batch=o.batch, size=m.image_size, tried=" and ".join(f"{rate:g}" for rate in about["rates"]),
        seeds_told="" if len(seeds) == 3 else " --seeds " + " ".join(map(str, seeds)),
        error=math.sqrt(max(s[2][:, -1].max() for s in curves.values()) / measured),
    )  # fmt: skip
    write(docs / "objectives.md", text)
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(docs / "objectives.csv", lines.getvalue())
    figure = efficiency(
        {
            name: ({"pictures seen": pictures, "seconds of one core, training alone": seconds}, top1)
            for name, (pictures, seconds, top1) in curves.items()
        },
        chance=chance,
        title="Prompt accuracy, classes seen in training",
        unit="top-1",
        caption=f"Tiny ImageNet, {about['classes']} classes, report half of val-00: {about['some']:,} pictures on the "
        f"way, {measured:,} at the end. Lines are means of seeds {', '.join(map(str, seeds))}, faint ones each seed. "
        + " ".join(f"{name}: learning rate {rate:g}, scored by {rule}." for name, (rate, rule) in chosen.items()),
    )
    write(docs / "objectives.png", png(figure))
    return table


def _curve(
    rows: Sequence[Row], name: str, rate: float, rule: str, seeds: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pictures [P], seconds [S, P] and top-1 [S, P] on `report` of an objective's chosen runs."""
    own = [
        row for row in rows
        if (row["objective"], row["learning_rate"], row["rule"], row["half"]) == (name, rate, rule, "report")
    ]  # fmt: skip
    pictures = sorted({row["pictures"] for row in own})
    place = {(row["seed"], row["pictures"]): row for row in own}
    seconds, top1 = (
        np.array([[place[seed, p][key] for p in pictures] for seed in seeds], dtype=float)
        for key in ("seconds", "top1")
    )
    return np.array(pictures, dtype=float), seconds, top1


def _table(rows: Sequence[Row], chosen: Chosen, curves: Mapping[str, Any], seeds: Sequence[int]) -> str:
    lines = [
        "| objective | learning rate | scored by | top-1 | by the other rule | ms a picture |",
        "|---|---:|---|---:|---:|---:|",
    ]
    for name, (rate, rule) in chosen.items():
        pictures, seconds, top1 = curves[name]
        others = {row["rule"] for row in rows if row["objective"] == name} - {rule}
        other = [f"{other} {_range(_curve(rows, name, rate, other, seeds)[2][:, -1])}" for other in others]
        cost = 1000 * seconds[:, -1].mean() / pictures[-1]
        lines.append(f"| {name} | {rate:g} | {rule} | {_range(top1[:, -1])} | {', '.join(other) or '-'} | {cost:.2f} |")
    return "\n".join(lines)


def _range(shares: NDArray[np.float64]) -> str:
    return f"{shares.mean():.1%} [{shares.min():.1%}, {shares.max():.1%}]"


def _way(curves: Mapping[str, Any]) -> str:
    (pictures, _, _), *_ = curves.values()
    lines = [
        "| pictures seen | " + " | ".join(f"{p:,.0f}" for p in pictures) + " |",
        "|---|" + "---:|" * len(pictures),
    ]
    for name, (_, seconds, top1) in curves.items():
        lines.append(f"| {name} | " + " | ".join(f"{share:.1%}" for share in top1.mean(axis=0)) + " |")
        lines.append("| its seconds | " + " | ".join(f"{s:.0f}" for s in seconds.mean(axis=0)) + " |")
    return "\n".join(lines)


def _reached(curves: Mapping[str, Any], chance: float, measured: int, seeds: int) -> str:
    """After how many pictures, and seconds, each came to where the last of them ended."""
    last = min(curves, key=lambda name: curves[name][2][:, -1].mean())
    level = curves[last][2][:, -1].mean()
    if level < chance + 3 * math.sqrt(chance / measured / seeds):
        return f"The {last} ended at {level:.2%}, which is not told apart from chance: no ratio is given."
    said = []
    for name, (pictures, seconds, top1) in curves.items():
        if name != last:
            mean = np.concatenate([[chance], top1.mean(axis=0)])
            where = int(np.argmax(mean >= level))  # the first point at that level
            share = (level - mean[where - 1]) / (mean[where] - mean[where - 1])
            p, s = (
                axis[where - 1] + share * (axis[where] - axis[where - 1])
                for axis in (np.concatenate([[0], pictures]), np.concatenate([[0], seconds.mean(axis=0)]))
            )
            fewer, less = curves[last][0][-1] / p, curves[last][1][:, -1].mean() / s
            said.append(f"{name} after {p:,.0f} pictures ({fewer:.1f} times fewer, {less:.1f} times less computing)")
    return f"The {last} ended at {level:.1%}; {' and '.join(said)} stood there, by straight lines between the points."
