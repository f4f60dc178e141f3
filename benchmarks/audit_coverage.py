"""How often the audits' intervals cover: exactly, by enumeration, beside others; clusters and gaps by simulation.

    python benchmarks/audit_coverage.py [--parts shares differences sweep tail clusters gaps] [--seed 8]

Writes docs/audit_statistics.csv, a row a cell, and by audit_coverage_page.py docs/audit_statistics.md and .png; a part
that is not asked for keeps its rows. Every count with a chance above 1e-12 takes part in an enumeration. Some minutes.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import audit_coverage_page
import numpy as np
import pandas as pd
from scipy import special, stats

from clipviz.files import write
from clipviz.stats import combined_limits, difference_limits, gap_limits, independence_test, korn_graubard, share_limits
from clipviz.stats.shares import beta_limits

DOCS = Path(__file__).resolve().parents[1] / "docs"
SIZES = (30, 100, 300, 1000, 3000, 10_000)
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
SETS, RESAMPLES = 200, 500  # for the rivals that resample differences
REPEATS = 4000  # of simulated clusters and gaps
Row = dict[str, Any]


def likely(n: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The counts of ``n`` whose chance is above 1e-12, and their chances."""
    first, last = stats.binom.ppf([1e-12, 1 - 1e-12], n, rate).astype(int)
    k = np.arange(max(0, first - 1), min(n, last + 1) + 1)
    return k, stats.binom.pmf(k, n, rate)


def judged(low: np.ndarray, high: np.ndarray, truth: float, chance: np.ndarray) -> tuple[float, float]:
    """(coverage, mean width); the tails that are left out do not count as covered."""
    return float((chance * ((low <= truth) & (truth <= high))).sum()), float((chance * (high - low)).sum())


def row(figure: str, how: str, cell: Row, **found: tuple[float, float]) -> Row:
    """One line of the table: the cell, and coverage and width of each method."""
    judgements = {f"{what} {name}": value for name, pair in found.items()
                  for what, value in zip(("coverage", "width"), pair, strict=True)}  # fmt: skip
    return {"figure": figure, "how": how, **cell, **judgements}


def shares(rng: np.random.Generator) -> Iterator[Row]:
    """A share: all counts. The percentile bootstrap is of endless resamples; of one group it is fairlearn's too."""
    for n, rate in itertools.product(SIZES, RATES):
        k, chance = likely(n, rate)
        boot = [stats.binom.ppf(q, n, k / n) / n for q in (0.025, 0.975)]
        yield row("share", "enumerated", {"n": n, "rate": rate},
                  ours=judged(*share_limits(k, n), rate, chance),
                  wilson=judged(*share_limits(k, n, method="wilson"), rate, chance),
                  bootstrap=judged(*boot, rate, chance), fairlearn=judged(*boot, rate, chance))  # fmt: skip


def both(n: int, rate: float, n0: int, rate0: float, method: str) -> tuple[float, float]:
    """A difference of all pairs of counts, in blocks of rows."""
    (k, chance), (k0, chance0) = likely(n, rate), likely(n0, rate0)
    coverage = width = 0.0
    for part in np.array_split(np.arange(len(k)), len(k) * len(k0) // 200_000 + 1):
        low, high = difference_limits(k[part, None], n, k0, n0, method=method)
        found = judged(low, high, rate - rate0, chance[part, None] * chance0)
        coverage, width = coverage + found[0], width + found[1]
    return coverage, width


def resampled(n: int, rate: float, n0: int, rate0: float, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap of the difference (each group resampled), and fairlearn's (all rows; the absolute gap)."""
    k, k0 = rng.binomial(n, rate, SETS)[:, None], rng.binomial(n0, rate0, SETS)[:, None]
    gap = rng.binomial(n, k / n, (SETS, RESAMPLES)) / n - rng.binomial(n0, k0 / n0, (SETS, RESAMPLES)) / n0
    even = np.full(SETS, 1 / SETS)
    low, high = np.quantile(gap, [0.025, 0.975], axis=1)
    lower, upper = fairlearns(k, n, k0, n0, rng)
    return {
        "bootstrap": judged(low, high, rate - rate0, even),
        "fairlearn": judged(lower, upper, abs(rate - rate0), even),
    }


def fairlearns(k: np.ndarray, n: int, k0: np.ndarray, n0: int, rng: np.random.Generator) -> np.ndarray:
    """MetricFrame.difference_ci of fairlearn 0.15 for counts [sets, 1] -> [2, sets], by the law of its resamples."""
    size = rng.binomial(n + n0, n / (n + n0), (len(k), RESAMPLES))
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = rng.binomial(size, k / n) / size - rng.binomial(n + n0 - size, k0 / n0) / (n + n0 - size)
    return np.nanquantile(np.abs(gap), [0.025, 0.975], axis=1)


def differences(rng: np.random.Generator) -> Iterator[Row]:
    """A difference: every pair of sizes and of rates, once."""
    for n, n0 in itertools.combinations_with_replacement(SIZES, 2):
        for rate, rate0 in itertools.product(RATES, RATES):
            if n == n0 and rate > rate0:
                continue
            cell = n, rate, n0, rate0
            yield row("difference", f"enumerated; resampled {SETS} x {RESAMPLES}",
                      {"n": n, "n0": n0, "rate": rate, "rate0": rate0},
                      ours=both(*cell, "square-and-add"), newcombe=both(*cell, "newcombe"),
                      **resampled(*cell, rng))  # fmt: skip
        print("differences", n, n0, time.strftime("%X"), flush=True)


def sweep(rng: np.random.Generator) -> Iterator[Row]:
    """The least coverage between the cells: equal rates on a fine grid, sizes in between."""
    rates = np.geomspace(0.001, 0.5, 120)
    for n, n0 in [(30, 30), (30, 50), (40, 400), (30, 1000), (30, 10_000), (70, 70), (150, 10_000), (1000, 1000)]:
        found = {name: min((both(n, r, n0, r, method) for r in rates), key=lambda pair: pair[0])
                 for name, method in (("ours", "square-and-add"), ("newcombe", "newcombe"))}  # fmt: skip
        yield row("difference, least of 120 equal rates", "enumerated", {"n": n, "n0": n0}, **found)


def tail(rng: np.random.Generator) -> Iterator[Row]:
    """How often the test across two equal groups errs, as a multiple of what it says: chi-squared, and ours."""
    for n, n0 in ((1000, 1000), (300, 10_000)):
        for tests, expected in itertools.product((1, 21, 147), (2, 5, 10, 20, 40, 80)):
            alpha, rate = 0.05 / tests, expected / n
            (k, chance), (k0, chance0) = likely(n, rate), likely(n0, rate)
            hits = np.stack(np.broadcast_arrays(k[:, None], k0), axis=-1)
            weight, cell = chance[:, None] * chance0, {"n": n, "n0": n0, "rate": rate, "tests": tests}
            for name, options in (
                ("chi", {"smallest_expected": 0}),
                ("ours", {"permutations": max(2000, 200 * tests)}),
            ):
                p, _ = independence_test(hits, [n, n0], seed=8, **options)
                cell[f"errors/alpha {name}"] = float(weight[p <= alpha].sum()) / alpha
            yield row("test of two equal groups", "enumerated", cell)


def plain_korn_graubard(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without our mends: the linearised variance, persons - 1 degrees of freedom, n at 0 hits."""
    total, persons = n.sum(), len(n)
    share = k.sum(axis=1) / total
    variance = ((k - share[:, None] * n) ** 2).sum(axis=1) / total**2 * persons / (persons - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = share * (1 - share) / variance
        size *= (special.stdtrit(total - 1, 0.025) / special.stdtrit(persons - 1, 0.025)) ** 2
        size = np.where(variance > 0, np.minimum(size, total), total)
    return beta_limits(share * size, size, 0.025)


def people(persons: int, pictures: str) -> np.ndarray:
    """How many pictures each person has; "skewed" is lognormal, a few persons with most of them."""
    if pictures != "skewed":
        return np.full(persons, int(pictures))
    middle = (np.arange(persons) + 0.5) / persons
    return np.maximum(1, np.round(np.exp(1.5 + special.ndtri(middle)))).astype(int)


def drawn(n: np.ndarray, rate: float, alike: float, rng: np.random.Generator) -> np.ndarray:
    """Hits by person, [REPEATS, P]: each person's own rate is of a beta distribution with intra-class correlation."""
    if not alike:
        return rng.binomial(n, rate, (REPEATS, len(n)))
    own = rng.beta(rate * (1 - alike) / alike, (1 - rate) * (1 - alike) / alike, (REPEATS, len(n)))
    return rng.binomial(n, np.minimum(own, 1))


def clusters(rng: np.random.Generator) -> Iterator[Row]:
    """Shares of clusters, and their differences by square-and-add, from 20 persons and 10 expected events."""
    even, how = np.full(REPEATS, 1 / REPEATS), f"simulated {REPEATS}"
    kinds = list(itertools.product(("1", "5", "20", "skewed"), (0.0, 0.05, 0.2, 0.5, 0.9)))
    rates = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
    for persons, (pictures, alike), rate in itertools.product((20, 30, 50, 100, 300), kinds, rates):
        n = people(persons, pictures)
        if n.sum() * rate < 10:
            continue
        k = drawn(n, rate, alike, rng)
        found = korn_graubard(k, n)
        cell = {"n": int(n.sum()), "rate": rate, "persons": persons, "pictures": pictures, "alike": alike}
        yield row("clustered share", how, cell | {"enough": found.enough.mean()},
                  ours=judged(found.low, found.high, rate, even),
                  plain=judged(*plain_korn_graubard(k, n), rate, even))  # fmt: skip
    for (persons, persons0), (pictures, alike) in itertools.product(((20, 20), (20, 200), (60, 60)), kinds):
        for rate, rate0 in ((0.1, 0.1), (0.35, 0.35), (0.35, 0.1), (0.5, 0.2)):
            n, n0 = people(persons, pictures), people(persons0, pictures)
            if n.sum() * rate < 10 or n0.sum() * rate0 < 10:
                continue
            one = korn_graubard(drawn(n, rate, alike, rng), n)
            other = korn_graubard(drawn(n0, rate0, alike, rng), n0)
            cell = {"n": int(n.sum()), "n0": int(n0.sum()), "rate": rate, "rate0": rate0, "persons": persons,
                    "persons0": persons0, "pictures": pictures, "alike": alike}  # fmt: skip
            yield row("clustered difference", how, cell,
                      ours=judged(*combined_limits(*one[:3], *other[:3]), rate - rate0, even))  # fmt: skip


def gaps(rng: np.random.Generator) -> Iterator[Row]:
    """The gap of the extremes of seven groups, beside that of the extreme pair as if named before."""
    even = np.full(REPEATS, 1 / REPEATS)
    worlds = {"none": (0,) * 7, "one against six": (1,) + (0,) * 6, "three against four": (1, 1, 1, 0, 0, 0, 0)}
    sizes = {
        "300 each": (300,) * 7,
        "3000 each": (3000,) * 7,
        "30 to 10,000": (30, 100, 300, 1000, 3000, 10_000, 10_000),
    }
    for (size, n), (world, up), rate in itertools.product(sizes.items(), worlds.items(), (0.01, 0.1, 0.4)):
        for gap in (0.0,) if world == "none" else (0.02, 0.1):
            k = rng.binomial(n, rate + gap * np.array(up), (REPEATS, 7))
            found = gap_limits(k, n)
            at = [np.take_along_axis(k, place[:, None], 1)[:, 0] for place in (found.top, found.bottom)]
            naive = difference_limits(at[0], np.array(n)[found.top], at[1], np.array(n)[found.bottom])
            yield row("gap of seven groups", f"simulated {REPEATS}",
                      {"pictures": size, "world": world, "rate": rate, "gap": gap},
                      ours=judged(found.low, found.high, gap, even), naive=judged(*naive, gap, even))  # fmt: skip


def beside_fairlearn(rng: np.random.Generator) -> None:
    """The law above against fairlearn itself, on three sets of data: printed."""
    from fairlearn.metrics import MetricFrame, selection_rate

    for k, n, k0, n0 in ((3, 30, 20, 100), (30, 100, 90, 300), (0, 30, 10, 300)):
        answer = np.repeat([1, 0, 1, 0], [k, n - k, k0, n0 - k0])
        frame = MetricFrame(metrics=selection_rate, y_true=answer, y_pred=answer, n_boot=RESAMPLES,
                            sensitive_features=np.repeat(["a", "b"], [n, n0]), ci_quantiles=[0.025, 0.975],
                            random_state=8)  # fmt: skip
        ours = fairlearns(np.full((20, 1), k), n, np.full((20, 1), k0), n0, rng)
        theirs = np.array(frame.difference_ci(method="between_groups"))
        print(f"fairlearn {k}/{n} - {k0}/{n0}: {theirs.round(3)}, by its law {ours.mean(1).round(3)}"
              f" +- {ours.std(1).round(3)}", flush=True)  # fmt: skip


PARTS: dict[str, Callable[[np.random.Generator], Iterator[Row]]] = {
    "shares": shares, "differences": differences, "sweep": sweep, "tail": tail, "clusters": clusters, "gaps": gaps,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seed", type=int, default=8)
    arguments = parser.parse_args()
    path, kept = DOCS / "audit_statistics.csv", []
    if path.exists() and set(arguments.parts) != set(PARTS):
        old = pd.read_csv(path, dtype={"pictures": str})
        kept = old[~old["part"].isin(arguments.parts)].to_dict("records")
    for part in arguments.parts:
        start, rng = time.perf_counter(), np.random.default_rng([arguments.seed, list(PARTS).index(part)])
        if part == "differences":
            beside_fairlearn(rng)
        found = [{"part": part, **line} for line in PARTS[part](rng)]
        kept += found
        print(f"{part}: {len(found)} cells in {time.perf_counter() - start:.0f} s", flush=True)
    table = pd.DataFrame(kept)
    table["order"] = table["part"].map(list(PARTS).index)
    table = table.sort_values("order", kind="stable").drop(columns="order")
    write(path, table.to_csv(index=False, float_format="%.4g", lineterminator="\n"))
    audit_coverage_page.pages(pd.read_csv(path, dtype={"pictures": str}), DOCS, arguments.seed)


if __name__ == "__main__":
    main()
