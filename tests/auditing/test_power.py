"""Power: the smallest gap that is named is found as often as is said, by simulation through the audit's own tests."""

from __future__ import annotations

import numpy as np
import pytest

from clipviz.auditing.claims import adjusted
from clipviz.auditing.labels import Label
from clipviz.auditing.metric import Metric
from clipviz.auditing.parts import Groups
from clipviz.auditing.placebo import smallest_beyond
from clipviz.auditing.power import power
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.table import rows
from clipviz.auditing.tally import WRITTEN, Tally
from clipviz.stats import independence_test, smallest_gap

N = np.array([400, 900, 900, 900])
GROUPS = ("A", "B", "C", "D")


def spec(compare: str, reference: str, role: str = "neutral") -> AuditSpec:
    labels = (Label("x", role), Label("y", "neutral"))
    metric = Metric("share", ("labels",), "high is bad", (compare,), True)
    return AuditSpec(
        name="s", labels=labels, metrics=(metric,), groups=Groups(columns=("g",), reference={"g": reference})
    )


def tally(hits: np.ndarray, wording: str = WRITTEN, names: tuple[str, ...] = ("x", "y")) -> Tally:
    return Tally(wording, "g", GROUPS, names, ("label", "label"), np.stack([hits, N - hits]), N,
                 control=wording != WRITTEN)  # fmt: skip


def test_of_a_difference_it_is_that_of_two_shares_under_the_hardest_correction() -> None:
    asked = spec("difference", "D")
    found = power(asked, adjusted(rows(asked, [tally(N // 10)])))
    assert len(found) == 6  # two labels, three groups against the fourth
    one = found.iloc[0]
    assert (one["group"], one["reference"], one["n"], one["n_reference"], one["rate"]) == ("A", "D", 400, 900, 0.1)
    assert one["smallest_gap"] == pytest.approx(float(smallest_gap(0.1, 400, 900, alpha=0.05 / 6)))


def test_of_a_gap_it_is_found_in_four_of_five_reports() -> None:
    asked = spec("gap", "best")
    one = power(asked, adjusted(rows(asked, [tally(N // 10)]))).iloc[0]
    assert (one["n"], one["n_reference"], one["rate"]) == (400, 2700, 0.1)
    random = np.random.default_rng(0)
    rates = np.array([0.1 + one["smallest_gap"], 0.1, 0.1, 0.1])
    p, _ = independence_test(random.binomial(N, rates, size=(2000, 4)), np.broadcast_to(N, (2000, 4)))
    assert np.mean(p < 0.05 / 2) == pytest.approx(0.8, abs=0.05)


def test_a_harm_has_to_be_beyond_nonsense_too() -> None:
    asked = spec("difference", "D", "harmful")
    plain = power(asked, adjusted(rows(asked, [tally(N // 10)])))
    table = adjusted(rows(asked, [tally(N // 10), tally(N // 4, "placebo", ("blicket", "y"))]))
    held = power(asked, table)
    assert (held["smallest_gap"][:3] > plain["smallest_gap"][:3]).all()
    assert held["smallest_gap"][3:].tolist() == plain["smallest_gap"][3:].tolist()  # "y" does no harm


def test_what_is_beyond_nonsense_is_so_in_four_of_five_draws() -> None:
    from clipviz.auditing.claims import Figure
    from clipviz.auditing.placebo import beyond
    from clipviz.stats import share_limits

    def figure(k: int, n: int) -> Figure:
        low, high = share_limits(k, n)
        return Figure(k / n, float(low), float(high), n, k)

    n, pair = 1000, (figure(150, 1000), figure(150, 1000))
    gap = smallest_beyond(0.1, n, n, [pair, pair], power=0.8)
    random = np.random.default_rng(1)
    won = 0
    for _ in range(400):
        harm = figure(random.binomial(n, 0.1 + gap), n), figure(random.binomial(n, 0.1), n)
        rival = [(figure(random.binomial(n, 0.15), n), figure(random.binomial(n, 0.15), n)) for _ in range(2)]
        won += beyond(harm, rival)
    assert won / 400 == pytest.approx(0.8, abs=0.07)
    assert not beyond(harm, [])
