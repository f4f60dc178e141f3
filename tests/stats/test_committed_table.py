"""docs/audit_statistics.csv holds what is promised in every cell, and its cells are those of the code as it is."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clipviz.stats import difference_limits, share_limits

SIZES = (30, 100, 300, 1000, 3000, 10_000)
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).resolve().parents[2] / "docs" / "audit_statistics.csv", dtype={"pictures": str})


def test_every_cell_covers(table: pd.DataFrame) -> None:
    shares, differences = table[table["figure"] == "share"], table[table["figure"] == "difference"]
    assert set(zip(shares["n"], shares["rate"], strict=True)) == set(itertools.product(SIZES, RATES))
    pairs = set(differences[["n", "n0", "rate", "rate0"]].itertuples(index=False, name=None))
    assert {
        (n, n0, *rates) for n in SIZES for n0 in SIZES if n < n0 for rates in itertools.product(RATES, RATES)
    } <= pairs
    assert {(n, n, a, b) for n in SIZES for a in RATES for b in RATES if a <= b} <= pairs
    assert shares["coverage ours"].min() >= 0.95
    assert differences["coverage ours"].min() >= 0.945
    assert table.loc[table["part"] == "sweep", "coverage ours"].min() >= 0.945
    assert table.loc[table["part"] == "clusters", "coverage ours"].min() >= 0.93
    assert table.loc[table["part"] == "gaps", "coverage ours"].min() >= 0.95
    for rival in ("newcombe", "fairlearn", "bootstrap"):
        assert differences[[f"coverage {rival}", f"width {rival}"]].notna().all(axis=None)


def test_cells_are_those_of_this_code(table: pd.DataFrame) -> None:
    """Four cells of each, anew, over all counts."""
    shares = table[table["figure"] == "share"].query("n <= 300").sample(4, random_state=1)
    for _, cell in shares.iterrows():
        k = np.arange(int(cell["n"]) + 1)
        low, high = share_limits(k, cell["n"])
        chance = stats.binom.pmf(k, cell["n"], cell["rate"])
        covered = chance[(low <= cell["rate"]) & (cell["rate"] <= high)].sum()
        assert (covered, (chance * (high - low)).sum()) == pytest.approx(
            (cell["coverage ours"], cell["width ours"]), abs=1e-4
        )
    differences = table[table["figure"] == "difference"].query("n <= 300 and n0 <= 300").sample(4, random_state=1)
    for _, cell in differences.iterrows():
        k, k0 = np.arange(int(cell["n"]) + 1)[:, None], np.arange(int(cell["n0"]) + 1)
        chance = stats.binom.pmf(k, cell["n"], cell["rate"]) * stats.binom.pmf(k0, cell["n0"], cell["rate0"])
        for name, method in (("ours", "square-and-add"), ("newcombe", "newcombe")):
            low, high = difference_limits(k, cell["n"], k0, cell["n0"], method=method)
            gap = cell["rate"] - cell["rate0"]
            covered = chance[(low <= gap) & (gap <= high)].sum()
            found = cell[f"coverage {name}"], cell[f"width {name}"]
            assert (covered, (chance * (high - low)).sum()) == pytest.approx(found, abs=1e-4)
