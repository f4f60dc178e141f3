"""docs/audit_statistics.md and .png from the table that audit_coverage.py writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
from matplotlib.figure import Figure

from clipviz.files import write
from clipviz.plots import png

NAMES = {
    "ours": "ours", "wilson": "Wilson", "newcombe": "Newcombe", "fairlearn": "fairlearn",
    "bootstrap": "percentile bootstrap", "plain": "Korn-Graubard as published",
    "naive": "as if the pair had been named before",
}  # fmt: skip
COLOURS = {
    "ours": "#0b6e99", "wilson": "#d1791f", "newcombe": "#d1791f", "fairlearn": "#8c4fa3", "bootstrap": "#7a8288",
    "plain": "#d1791f",
}  # fmt: skip


def pages(table: pd.DataFrame, docs: Path, seed: int) -> None:
    """Write the page and its figure from the rows of all parts."""
    lost = {"shares", "differences", "sweep", "tail", "clusters", "gaps"} - set(table["part"])
    if lost:
        print(f"no page: the table has no {', '.join(sorted(lost))}")
        return
    of = {str(figure): rows for figure, rows in table.groupby("figure", sort=False)}
    sections = [*(part(of) for part in (head, shares, differences, between, clusters, gaps, tail)), made(seed)]
    write(docs / "audit_statistics.md", "\n\n".join(sections) + "\n")
    write(docs / "audit_statistics.png", png(drawn(of)))


def grid(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    ruler = "|---|" + "---:|" * (len(titles) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" if cells else ruler for cells in (titles, [], *rows))


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def least(rows: pd.DataFrame, method: str, under: float) -> str:
    """The least coverage, and in how many of the cells it is below ``under``."""
    coverage = rows[f"coverage {method}"]
    return f"{percent(coverage.min())} ({(coverage < under).sum()} of {len(rows)})"


def head(of: dict[str, pd.DataFrame]) -> str:
    share, difference, cluster = of["share"], of["difference"], of["clustered share"]
    apart, gap = of["clustered difference"], of["gap of seven groups"]
    best = difference["coverage ours"].min()
    return f"""# How often the audits' intervals cover

![Coverage of shares at n = 30, of all cells of differences, and of shares of clustered pictures](audit_statistics.png)

Intervals of 95 %, in percent of all sets of pictures that could have been drawn. All rows are in
[audit_statistics.csv](audit_statistics.csv), made by

    python benchmarks/audit_coverage.py

| | aim | least coverage of ours |
|---|---:|---:|
| shares, {len(share)} cells, exact | 95 | {percent(share["coverage ours"].min())} |
| differences, {len(difference)} cells, exact | 94.5 | {percent(best)} |
| shares of clustered pictures, {len(cluster)} cells, simulated | 93 | {percent(cluster["coverage ours"].min())} |
| their differences, {len(apart)} cells, simulated | 93 | {percent(apart["coverage ours"].min())} |
| the gap of the extremes of seven groups, {len(gap)} cells, simulated | 95 | {percent(gap["coverage ours"].min())} |

Square-and-add from Clopper and Pearson's limits needed no mending: no cell is below {np.floor(best * 1000) / 10:.1f} %.
What was mended are shares of clustered pictures, and the test across groups where counts are small; both below."""


def shares(of: dict[str, pd.DataFrame]) -> str:
    rows, methods = of["share"], ("ours", "wilson", "bootstrap")
    lines = []
    for n, some in rows.groupby("n"):
        wide = some[some["rate"].isin([0.01, 0.1, 0.5])]
        width = [" / ".join(percent(w) for w in wide[f"width {m}"]) for m in methods]
        lines.append([f"{n:,.0f}", *(least(some, m, 0.95) for m in methods), *width])
    titles = ["n", *(f"{NAMES[m]}: least (cells below 95)" for m in methods), *(f"{NAMES[m]}: width" for m in methods)]
    return f"""## Shares

Every count with a chance above 1e-12, at true rates of 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30 and 50 %. Mean widths are in
points, at 1 / 10 / 50 %. fairlearn's limits of one group are the percentile bootstrap's; here of endless resamples.
Where no hit was seen they are [0, 0].

{grid(titles, lines)}"""


def differences(of: dict[str, pd.DataFrame]) -> str:
    rows, methods = of["difference"], ("ours", "newcombe", "fairlearn", "bootstrap")
    lines = []
    for (n, n0), some in rows.groupby(["n", "n0"]):
        width = [percent(some[f"width {m}"].mean()) for m in methods]
        lines.append([f"{n:,.0f} against {n0:,.0f}", *(least(some, m, 0.945) for m in methods), *width])
    titles = [
        "pictures",
        *(f"{NAMES[m]}: least (cells below 94.5)" for m in methods),
        *(f"{NAMES[m]}: width" for m in methods),
    ]
    every = [f"{NAMES[m]} {least(rows, m, 0.945)}" for m in methods]
    same = rows[rows["rate"] == rows["rate0"]]
    equal = percent(same["coverage fairlearn"].median())
    return f"""## Differences

All pairs of these rates; both groups' counts enumerated for square-and-add from Clopper and Pearson's limits (ours) and
from Wilson's (Newcombe), 200 sets x 500 resamples for the two that resample (standard error of their coverage up to 3.5
points, 1.5 at 95 %). Mean widths over the cells, in points. Over all cells: {"; ".join(every)}.

{grid(titles, lines)}

fairlearn's `difference_ci` is of the absolute gap, and judged here by that: where the rates are
equal it covers 0 in {equal} % of the sets (median over {len(same)} cells). It describes, and does not test."""


def between(of: dict[str, pd.DataFrame]) -> str:
    rows = of["difference, least of 120 equal rates"]
    lines = [
        [f"{r['n']:,.0f} against {r['n0']:,.0f}", percent(r["coverage ours"]), percent(r["coverage newcombe"])]
        for _, r in rows.iterrows()
    ]
    return f"""Between those cells: the least over 120 equal rates from 0.1 to 50 %, enumerated.

{grid(["pictures", "ours", "Newcombe"], lines)}"""


def clusters(of: dict[str, pd.DataFrame]) -> str:
    rows, lines = of["clustered share"], []
    for pictures, some in rows.groupby("pictures", sort=False):
        cells = [pictures, str(len(some))]
        for method in ("ours", "plain"):
            cells += [least(some, method, 0.93), percent(some[f"coverage {method}"].mean())]
        lines.append([*cells, f"{(some['width ours'] / some['width plain']).median():.2f}"])
    worst = rows.loc[rows["coverage plain"].idxmin()]
    cell = f"{worst['persons']:.0f} persons, {worst['pictures']} pictures, correlation {worst['alike']:g}, "
    cell += f"rate {worst['rate']:.0%}"
    titles = ["pictures a person", "cells", "ours: least (cells below 93)", "mean",
              "as published: least (cells below 93)",
              "mean", "width, ours / as published (median)"]  # fmt: skip
    return f"""## Several pictures of a person

Simulated, {rows["how"].iloc[0].split()[1]} sets a cell (standard error 0.4 points): 20 to 300 persons with 1, 5, 20
or a skewed number of pictures (lognormal: a few persons have most), each with a rate of their own from a beta
distribution with intra-class correlation 0, 0.05, 0.2, 0.5 and 0.9; rates of 1 to 50 % with 10 expected hits or more.

{grid(titles, lines)}

Korn and Graubard's limits as published fall to {percent(worst["coverage plain"])} % ({cell}): where a few persons have
most hits, the variance between persons is itself unknown, and often far too small. Ours

- divide each person's square by 1 - their part of the pictures (HC2): who has many draws the mean to their side;
- take the degrees of freedom from the kurtosis of the persons' squares, 2 P / (kurtosis - 1) - 1, not P - 1: when one
  person has all hits, there is one;
- never count fewer pictures than if all of a person's were alike (Kish's n), and that many where no hit was seen (as
  published: all pictures).

Below 20 persons, 10 hits or 10 misses an audit says "too few people to say"."""


def gaps(of: dict[str, pd.DataFrame]) -> str:
    rows, lines = of["gap of seven groups"], []
    for (size, world), some in rows.groupby(["pictures", "world"], sort=False):
        lines.append([f"{size}, {world}", *(percent(some[f"coverage {m}"].min()) for m in ("ours", "naive")),
                      *(percent(some[f"width {m}"].mean()) for m in ("ours", "naive"))])  # fmt: skip
    return f"""## The gap of the extremes

Seven groups, rates of 1, 10 and 40 %, none, one or three of them 2 or 10 points higher. Least coverage of the true gap,
mean width in points; beside it the 95 % interval of the two extreme groups as if they had been named before.

{grid(["groups", "ours", NAMES["naive"], "ours: width", "its width"], lines)}"""


def tail(of: dict[str, pd.DataFrame]) -> str:
    rows, lines = of["test of two equal groups"], []
    for (n, n0, tests), some in rows.groupby(["n", "n0", "tests"], sort=False):
        both = zip(some["errors/alpha chi"], some["errors/alpha ours"], strict=True)
        lines.append(
            [f"{n:,.0f} against {n0:,.0f}, 0.05 / {tests:.0f}", *(f"{chi:.2f} / {own:.2f}" for chi, own in both)]
        )
    expected = [f"{e:.0f}" for e in sorted({round(r["rate"] * r["n"]) for _, r in rows.iterrows()})]
    return f"""## The test across groups, far in the tail

Verdicts are corrected for all comparisons of a report, so that it is at 0.05 / 21 or 0.05 / 147 that a test must not
err. How often it errs for two groups of one rate, as a multiple of that level (exact), for chi-squared / ours, by
the smallest expected count:

{grid(["pictures, level", *expected], lines)}

Chi-squared errs up to sixfold for a small group against a large one. So tables are permuted not only where an
expected count is below 5, but below 50 as well where chi-squared says less than 0.05. That they err less often than
they might is the price of few possible tables."""


def made(seed: int) -> str:
    return f"""## How it was made

Seed {seed} with the part's number; enumerated figures have no seed. Every count whose chance is above 1e-12 takes part,
and the tails that are left out do not count as covered. fairlearn's interval is drawn by the law of its resamples
(all rows together); the script prints it beside `MetricFrame(n_boot=500).difference_ci()` of fairlearn 0.15 on three
sets of data. numpy {np.__version__}, scipy {scipy.__version__}. `tests/stats/` recomputes some cells, and compares
each formula with statsmodels 0.15, scipy or a naive loop. For score limits of differences statsmodels 0.15 is no
oracle: its cubic has a count where Miettinen and Nurminen's has a size, and its limits differ from those that
Newcombe published, which ours give."""


def drawn(of: dict[str, pd.DataFrame]) -> Figure:
    figure = Figure(figsize=(12, 3.8), dpi=120, facecolor="white", layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    some = of["share"][of["share"]["n"] == 30]
    for method, mark in (("ours", "o"), ("wilson", "s"), ("bootstrap", "^")):
        left.plot(
            100 * some["rate"],
            100 * some[f"coverage {method}"],
            marker=mark,
            color=COLOURS[method],
            label=NAMES[method],
        )
    left.set(xscale="log", title="A share of 30 pictures", xlabel="true rate, %", ylabel="coverage, %")
    for method in ("ours", "newcombe", "fairlearn", "bootstrap"):
        ordered = np.sort(100 * of["difference"][f"coverage {method}"])
        middle.plot(
            100 * np.arange(1, len(ordered) + 1) / len(ordered), ordered, color=COLOURS[method], label=NAMES[method]
        )
    middle.set(title=f"Differences: {len(of['difference'])} cells, in order", xlabel="cells, %", ylim=(60, 100.5))
    cells = of["clustered share"].sort_values("coverage plain")
    for method, mark in (("plain", "s"), ("ours", "o")):
        right.plot(
            np.arange(len(cells)),
            100 * cells[f"coverage {method}"],
            mark,
            ms=2.5,
            color=COLOURS[method],
            label=NAMES[method],
        )
    right.axhline(93, color="#1d2330", lw=0.8, ls=":")
    right.set(title="Several pictures of a person", xlabel="cells, by the published one's coverage")
    for axes in (left, middle):
        axes.axhline(95, color="#1d2330", lw=0.8, ls=":")
    for axes in (left, middle, right):
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
    return figure
