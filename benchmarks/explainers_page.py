"""The pages that benchmarks/explainers_league.py writes: the rule of the choice, the limits, and the tables."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import clipviz
from clipviz import files, plots
from clipviz.errors import DataError
from clipviz.evaluation.league import RIVALS, League
from clipviz.explanation.defaults import DEFAULTS
from clipviz.explanation.registry import list_explainers

CHOICE = "explainers_choice.csv"
MOSAICS, ALL, SMALL, SEEN = "mosaics 2 x 2", "photographs, all boxes", "photographs, small boxes", "scenes, seen pairs"
PARTS = ((MOSAICS, "mosaic peak"), (MOSAICS, "mosaic tile mean"), (ALL, "pointing"))
SCENES = f"{SEEN}, pointing"
RULE = (
    "the method with the highest mean of mosaic peak, mosaic tile mean, and pointing on all boxes on the dev half of "
    "the CLIP in ../shared/models (for a ResNet: on the dev half of that ResNet), among text-dependent methods costing "
    "at most {passes:g} passes"
)
# The default of each kind of network is chosen on this model of it.
CHOSEN_ON = {"vit": "oc-tiny", "resnet": "resnet"}


def chosen_of(name: str, league: League, passes: float) -> pd.DataFrame:
    """Methods by the rule's mean, the best first; DataError where the half is not the one for choices."""
    if league.provenance["half"] != "dev":
        raise DataError(f"The choice is made on the half 'dev', and this is {league.provenance['half']!r}.")
    wide = pd.DataFrame({
        f"{world}, {metric}": _figures(league, world, metric)["value"] for world, metric in PARTS
    })  # fmt: skip
    table = wide.assign(mean=wide.mean(axis=1, skipna=False), cost=_figures(league, *PARTS[0])["cost"], passes=passes)
    reads = list_explainers().set_index("name")["uses_text"]
    table = table[[m not in RIVALS for m in table.index]]
    table["eligible"] = [bool(reads.get(m.partition("(")[0], True)) for m in table.index]
    table["eligible"] &= (table["cost"] <= passes) & table["mean"].notna()
    table.insert(0, "model", name)
    table = table.sort_values(["eligible", "mean"], ascending=False)
    table[["behind", "behind_low", "behind_high"]] = _behind(league, list(table.index))
    for world, metric in PARTS[1:]:
        table[f"n, {world}"] = _figures(league, world, metric)["n"]
    seen = _figures(league, SEEN, "pointing")  # decides for clipviz-tiny alone
    table[SCENES], table["n, scenes"] = seen["value"], seen["n"]
    table["seed"], table["weights"] = league.provenance["seed"], league.provenance["model"]["weights_sha256"]
    return table.rename_axis("method").reset_index()


def _behind(league: League, methods: list[str], resamples: int = 10_000) -> np.ndarray:
    """[methods, 3]: the first one's mean of the rule minus each one's, and its 95 % limits.

    Mosaics and photographs are resampled each for themselves, and all methods on the same ones.
    """
    parts = []
    for world, measures in ((MOSAICS, ("peak", "tile")), ("photographs", ("pointing",))):
        items = league.items[league.items["world"] == world]
        wide = [items.pivot(index="id", columns="method", values=name)[methods].to_numpy() for name in measures]
        total = np.sum(wide, axis=0)  # [n, methods]
        parts.append(total[:, :1] - total)
    rng = np.random.default_rng(0)
    drawn = np.zeros((resamples, len(methods)))
    for part in parts:
        n = len(part)
        drawn += rng.multinomial(n, np.full(n, 1 / n), size=resamples) @ part / n / len(PARTS)
    mean = np.sum([part.mean(axis=0) for part in parts], axis=0) / len(PARTS)
    return np.stack([mean, *np.quantile(drawn, [0.025, 0.975], axis=0)], axis=1)


def write_pages(leagues: dict[str, League], arguments: argparse.Namespace) -> None:
    """docs/explainers.md, .csv and .png, and the scores that `list_explainers` shows; of the report half alone."""
    if any(league.provenance["half"] != "report" for league in leagues.values()):
        raise DataError("Figures are of the half 'report': the other one took part in the choice.")
    docs: Path = arguments.docs
    everything = pd.concat([league.to_pandas() for league in leagues.values()])
    files.write(docs / "explainers.csv", everything.to_csv(index=False, float_format="%.5f"))
    main = leagues.get("oc-tiny") or next(iter(leagues.values()))
    files.write(docs / "explainers.png", plots.png(main.plot(MOSAICS if MOSAICS in set(main.table["world"]) else None)))
    files.write(docs / "explainers.md", _page(leagues, arguments))
    if "oc-tiny" in leagues and {MOSAICS, ALL} <= set(main.table["world"]):
        names = ("mosaic_peak", "mosaic_tile", "pointing")
        scores = pd.DataFrame(
            {name: _full(main, world, metric) for name, (world, metric) in zip(names, PARTS, strict=True)}
        )
        scores = scores[[m not in RIVALS and "(" not in m for m in scores.index]].assign(measured_on=main.model)
        weights = main.provenance["model"]["weights_sha256"]
        head = f"# Half 'report', by benchmarks/explainers_league.py; weights {weights}\n"
        files.write(arguments.assets / "explainers.csv",
                    head + scores.rename_axis("name").to_csv(float_format="%.4f"))  # fmt: skip
    print(f"Wrote {docs / 'explainers.md'}, .csv and .png")


def _full(league: League, world: str, metric: str) -> pd.Series:
    """Values by method of those measured on all pictures: a mean of a dozen is no score to choose by."""
    rows = _figures(league, world, metric)
    return rows["value"].where(rows["n"] == rows["n"].max())


def _figures(league: League, world: str, metric: str) -> pd.DataFrame:
    """The rows of a world and metric by method; empty where it was not measured."""
    table = league.table
    return table[(table["world"] == world) & (table["metric"] == metric)].set_index("method")


def _page(leagues: dict[str, League], arguments: argparse.Namespace) -> str:
    parts = ["# Which explanation to believe\n", _made(leagues, arguments), "## How the default was chosen\n"]
    parts.append(f"The rule, which was stated before: {RULE.format(passes=arguments.passes)}. The figures of the "
                 "choice are no result; those further down are of the other half.\n")  # fmt: skip
    chosen, said = _choices(arguments.docs / CHOICE)
    parts.append(said)
    parts += ["## The limits that were set\n", _limits(leagues, chosen)]
    parts.append(f"![Accuracy against cost](explainers.png)\n\nAll numbers, with n and the paired difference to "
                 f"Grad-CAM of each: [explainers.csv](explainers.csv). In brackets are {LIMITS}.\n")  # fmt: skip
    for name, league in leagues.items():
        from clipviz.evaluation.league.pages import wide

        for world in dict.fromkeys(league.table["world"]):
            parts.append(f"## {league.model}, {world}\n\n{_markdown(wide(league, world))}")
        notes = [*league.notes, f"{len(league.failed)} maps could not be made." if league.failed else ""]
        parts.append("\n".join(f"- {note}" for note in notes if note) + "\n")
        del name
    return "\n".join(parts).rstrip() + "\n"


def _choices(path: Path) -> tuple[dict[str, str], str]:
    """The winner by model, and what is said of each; DataError where there is none, or the library has another."""
    if not path.is_file():
        raise DataError(f"There is no {path}: choose first, with --half dev.")
    table = pd.read_csv(path)
    chosen, said = {}, []
    for kind, name in CHOSEN_ON.items():
        fit = table[(table["model"] == name) & table["eligible"]]
        if len(fit) < 2:
            said.append(f"- {kind}: no trained network of this kind was at hand; the default is {DEFAULTS[kind]}.")
            continue
        best, second = fit.iloc[0], fit.iloc[1]
        if best["method"] != DEFAULTS[kind]:
            raise DataError(f"The rule chose {best['method']} for a {kind}, and clipviz has {DEFAULTS[kind]}: set it.")
        chosen[name] = str(best["method"])
        counts = " and ".join(
            f"{int(best[column])} {column.removeprefix('n, ').split(',')[0]}"
            for column in fit
            if column[:2] == "n," and fit[column].notna().all() and column != "n, scenes"
        )
        gap = 100 * second[["behind", "behind_low", "behind_high"]].astype(float)
        sure = "" if gap.iloc[1] > 0 else ", which does not tell the two apart: the rule takes the higher"
        said.append(
            f"- {kind}: **{chosen[name]}**, mean {best['mean']:.1%}, on {counts} (seed {int(best['seed'])}, weights "
            f"`{best['weights'][:8]}`). The next is {second['method']}, {gap.iloc[0]:.1f} points behind "
            f"[{gap.iloc[1]:.1f}, {gap.iloc[2]:.1f}]{sure}."
        )
    tiny = table[table["model"] == "tiny"]
    if len(tiny):
        own = clipviz.load().card["explainer"]
        scenes = tiny.set_index("method")[SCENES].sort_values(ascending=False)
        if scenes.index[0] != own:
            raise DataError(f"On scenes {scenes.index[0]} points best, and clipviz-tiny's card has {own}: set it.")
        chosen["tiny"] = own
        said.append(
            f"- clipviz-tiny, whose world are drawn scenes, has a default of its own, the method that points best at "
            f"them on the dev seed: **{own}**, {scenes.iloc[0]:.1%} of {int(tiny['n, scenes'].iloc[0])} (then "
            f"{scenes.index[1]}, {scenes.iloc[1]:.1%}; consensus {scenes['consensus']:.1%})."
        )
    said.append(
        f"\nWhat it was chosen from: [{CHOICE}]({CHOICE}). Which methods the consensus is made of was itself chosen on "
        "the dev half, on other mosaics and scenes.\n"
    )
    return chosen, "\n".join(said)


LIMITS = "95 % limits (bootstrap over pictures)"


def _made(leagues: dict[str, League], arguments: argparse.Namespace) -> str:
    first = next(iter(leagues.values())).provenance
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    models = "\n".join(
        f"- {league.model}: weights SHA-256 `{league.provenance['model']['weights_sha256']}`, input "
        f"{league.provenance['model']['image_size']} px"
        for league in leagues.values()
    )
    worlds = []
    for league in leagues.values():
        for world in dict.fromkeys(league.table["world"]):
            rows = league.table[league.table["world"] == world]
            counts = rows.groupby("method")["n"].max()
            few = f", those of hundreds of passes on {counts.min()} or more" if counts.min() < counts.max() else ""
            worlds.append(f"  - {league.model}, {world}: {counts.max()}{few}")
    return (
        "Made by `python benchmarks/explainers_league.py --half dev`, the same without `--half`, with smaller counts "
        "where a method needs hundreds of passes or a model stands beside, and `--pages` over what these saved. The "
        "number of pictures:\n\n" + "\n".join(worlds) + f"\n\n{models}\n"
        f"- photographs: `tiny-imagenet/val-00.parquet`, half `{first['half']}` (SHA-256 of the pictures "
        f'`{first["data"]["fingerprint"]}`), boxes name their last pixel, text "a photo of a {{first name}}."\n'
        f'- scenes: `clipviz.synth.scenes(n, seed={first["seed"]}, level="hard")`; the thresholds of IoU on seed '
        f"{first['seed'] + 1}, and on the dev half of the photographs\n"
        f"- mosaics of 2 x 2: each picture told right among the four, at twice the input size, seed {first['seed']}; "
        f"a picture may be in several\n"
        f"- insertion, deletion, randomisation, precision and IoU on the first pictures of the same seeded order; n "
        f"stands in explainers.csv\n"
        f"- intervals: 95 %, paired bootstrap over pictures (mosaics, scenes), {arguments.resamples:,} resamples, seed "
        f"{first['seed']}\n"
        f"- a peak on a border, where the map is even, is drawn by lot, where `Heatmap.peak` takes the most central\n"
        f"- cost: one picture and one text in forward passes of the same model, median of a few, on a busy machine\n"
        f"- {versions}\n"
    )


def _limits(leagues: dict[str, League], chosen: dict[str, str]) -> str:
    """Each limit, what the default reached, and whether that was enough."""
    wanted = (
        ("oc-tiny", MOSAICS, "mosaic peak", 0.58, True), ("oc-tiny", MOSAICS, "mosaic tile mean", 0.67, True),
        ("oc-tiny", ALL, "pointing", 0.62, False), ("oc-tiny", SMALL, "pointing", 0.30, False),
        ("tiny", SEEN, "pointing", 0.65, True),
    )  # fmt: skip
    rows = []
    for name, world, metric, least, above in wanted:
        figures = _figures(leagues[name], world, metric) if name in leagues else pd.DataFrame()
        default = chosen.get(name, DEFAULTS["vit"])
        row = {"model": name, "world": world, "metric": metric, "limit": f"{least:.0%}" + (
            ", paired interval against gradcam above 0" if above else "")}  # fmt: skip
        if default not in figures.index:
            rows.append(
                {**row, "default": default, "reached": "not measured", "gradcam": "-", "met": "-", "best method": "-"}
            )
            continue
        own = figures.loc[default]
        # Of those measured on as many pictures: a mean of fifty may be anything.
        full = figures[~figures.index.isin(RIVALS) & (figures["n"] == own["n"])]
        best = full.sort_values("value").iloc[-1]
        paired = (
            f"{100 * own['difference']:+.1f} [{100 * own['difference_low']:+.1f}, {100 * own['difference_high']:+.1f}]"
        )
        met = own["value"] >= least and (not above or own["difference_low"] > 0)
        rows.append({
            **row, "default": default,
            "reached": f"{own['value']:.1%} [{own['low']:.1%}, {own['high']:.1%}], minus gradcam {paired}",
            "gradcam": f"{figures.loc['gradcam', 'value']:.1%}" if "gradcam" in figures.index else "-",
            "met": "yes" if met else "**no**", "best method": f"{best.name} {best['value']:.1%}",
        })  # fmt: skip
    return _markdown(rows)


def _markdown(rows: list[dict[str, str]]) -> str:
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(row.get(name, "-")) for name in head) + " |" for row in rows]
    return "\n".join(lines) + "\n"
