"""Claims: which rows count, Holm against statsmodels over the whole report, and limits of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from clipviz.auditing.claims import Figures, adjusted, claimed, corrected_level, pair_limits
from clipviz.stats import combined_limits, difference_limits, korn_graubard, share_limits


def line(metric: str = "share_gap", variant: str = "as written", headline: bool = True, **more: Any) -> dict[str, Any]:
    given = {"metric": metric, "level": "label", "by": "race", "name": "thief", "group": "A", "reference": "B",
             "variant": variant, "headline": headline, "value": 0.1, "ci_low": 0.05, "ci_high": 0.15, "n": 10.0,
             "k": np.nan, "p": np.nan, "method": ""}  # fmt: skip
    return {**given, **more}


def test_holm_over_the_whole_report_and_over_nothing_else() -> None:
    random = np.random.default_rng(0)
    p = random.random(40) ** 4
    rows = [line(name=f"l{i}", metric=("share_gap", "accuracy_difference")[i % 2], p=one) for i, one in enumerate(p)]
    others = [
        line(p=1e-9, variant="template '{}'"), line(p=1e-9, headline=False), line("share", p=1e-9),
        line("share_ratio", p=1e-9), line("share_difference_mh", p=1e-9), line(name="no test"),
    ]  # fmt: skip
    table = pd.DataFrame([*rows[:20], *others, *rows[20:]])
    found = adjusted(table)
    ours = found["name"].str.startswith("l")
    assert np.allclose(found.loc[ours, "p_adjusted"], multipletests(p, method="holm")[1])
    assert np.allclose(found.loc[ours, "q"], multipletests(p, method="fdr_bh")[1])
    assert found.loc[~ours, ["p_adjusted", "q"]].isna().all(axis=None)
    assert claimed(table).sum() == 41  # the one without a test is a claim too, and gets no verdict
    assert corrected_level(table) == pytest.approx(1 - 0.05 / 40)
    assert "p_adjusted" not in table  # what is given stays as it is


def test_skew_and_association_are_claims_by_themselves() -> None:
    rows = [line("skew@10", reference=""), line("association"), line("skew@10_random"), line("share", reference="")]
    assert claimed(pd.DataFrame(rows)).tolist() == [True, True, False, False]


def figures(hits: list[int], n: list[int]) -> Figures:
    low, high = share_limits(hits, n)
    return Figures.of(pd.DataFrame([
        line("share", group=group, reference="", k=float(k), n=float(m), value=k / m, ci_low=a, ci_high=b)
        for group, k, m, a, b in zip("ABC", hits, n, low, high, strict=True)
    ]))  # fmt: skip


def test_counts_have_the_limits_of_counts_at_any_level() -> None:
    pair = figures([30, 10, 7], [100, 90, 50]).pair("share", "label", "race", "thief", "A", "B")
    assert pair is not None
    for level in (0.95, 0.999):
        value, low, high = pair_limits([pair], level=level)
        assert value[0] == pytest.approx(0.3 - 1 / 9)
        assert (low[0], high[0]) == pytest.approx(difference_limits(30, 100, 10, 90, level=level))


def test_the_rest_is_put_together() -> None:
    known = figures([30, 10, 7], [100, 90, 50])
    pair = known.pair("share", "label", "race", "thief", "A", "rest")
    assert pair is not None
    assert (pair[1].k, pair[1].n) == (17, 140)
    assert known.pair("share", "label", "race", "thief", "A", "nobody") is None


def test_figures_of_persons_are_not_taken_for_counts_of_pictures() -> None:
    hits, n = np.arange(40) % 5 // 4 * 4, np.full(40, 5)
    share = korn_graubard(hits, n)
    one = line("share", reference="", k=float(hits.sum()), n=200.0, value=float(share.value),
               ci_low=float(share.low), ci_high=float(share.high))  # fmt: skip
    known = Figures.of(pd.DataFrame([one, {**one, "group": "B"}]))
    pair = known.pair("share", "label", "race", "thief", "A", "B")
    assert pair is not None
    _, low, high = pair_limits([pair], level=0.95)
    values = float(share.value), float(share.low), float(share.high)
    assert (low[0], high[0]) == pytest.approx(combined_limits(*values, *values))
    assert high[0] - low[0] > np.diff(difference_limits(hits.sum(), 200, hits.sum(), 200))  # wider than of pictures
