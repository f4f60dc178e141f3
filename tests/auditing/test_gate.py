"""The gate against tables whose figures are known."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from clipviz.auditing.gate import gate, hold
from clipviz.errors import SpecError

sys.path.insert(0, str(Path(__file__).parent))
from handmade import make_audit

CRIME = "crime-related.race"


@pytest.fixture(scope="module")
def audit():
    return make_audit()


def figure(audit, metric, group=None):
    table = audit.table
    found = table[(table["metric"] == metric) & (table["name"] == "crime-related") & (table["by"] == "race")]
    found = found[found["variant"] == "as written"]
    return (found if group is None else found[found["group"] == group]).iloc[0]


@pytest.mark.parametrize("side", ["value", "ci_low", "ci_high"])
def test_the_named_side_decides_at_its_very_figure(audit, side) -> None:
    at = float(figure(audit, "share_gap")[side])
    for limit, wanted in ((at - 1e-9, True), (at, False), (at + 1e-9, False)):
        result = hold([f"{CRIME}.gap.{side} > {limit!r}"], audit.table)
        assert result.broken is wanted
        assert result.bounds[0].value == at
    assert hold([f"{CRIME}.gap.{side} >= {at!r}"], audit.table).broken


def test_a_group_is_named_where_there_are_several(audit) -> None:
    got = hold([f"{CRIME}.difference.Black.value > 0.1", f"{CRIME}.share.Indian.ci_high > 0.5"], audit.table).bounds
    assert got[0].value == pytest.approx(0.2) and got[0].broken and not got[1].broken
    assert got[1].value == figure(audit, "share", "Indian")["ci_high"]
    with pytest.raises(SpecError, match="name one before"):
        hold([f"{CRIME}.difference.value > 0.1"], audit.table)
    with pytest.raises(SpecError, match="'Black'"):
        hold([f"{CRIME}.difference.Blak.value > 0.1"], audit.table)
    with pytest.raises(SpecError, match="could mean 'race', 'gender'"):
        hold(["crime-related.gap.value > 0.1"], audit.table)
    with pytest.raises(SpecError, match="share_gap"):
        hold([f"{CRIME}.accuracy_gap.value > 0.1"], audit.table)
    with pytest.raises(SpecError, match="no figure"):
        hold(["thieves.race.gap.value > 0.1"], audit.table)


def test_words_that_the_model_does_not_know_have_no_gate() -> None:
    audit = make_audit(fail_if=("alien.race.gap.ci_high > 0.0001", f"{CRIME}.gap.ci_low > 0.9"))
    result = gate(audit)
    assert not result.broken and not result.bounds[0].applicable and math.isnan(result.bounds[0].value)
    assert "not applicable" in result.bounds[0].sentence and "never saw" in result.bounds[0].sentence
    assert "1 not applicable" in result.sentence
    known = gate(make_audit(fail_if=("alien.race.gap.ci_high > 0.0001",), unknown=()))
    assert known.broken and "broken" in repr(known)


def test_what_is_undefined_breaks_the_bound_that_asks_for_proof_alone(audit) -> None:
    table = audit.table.copy()
    table.loc[table["metric"] == "share_gap", ["value", "ci_low", "ci_high"]] = math.nan
    proof, shown = hold([f"{CRIME}.gap.ci_high > 0.05", f"{CRIME}.gap.ci_low > 0.05"], table).bounds
    assert proof.broken and proof.applicable
    assert not shown.broken and not shown.applicable


def test_too_few_people_show_nothing_to_a_gate(audit) -> None:
    table = audit.table.copy()
    table.loc[table["metric"] == "share_gap", "method"] += "; too few people to say"
    proof, shown = hold([f"{CRIME}.gap.ci_high > 0.99", f"{CRIME}.gap.ci_low > 0.0001"], table).bounds
    assert proof.broken and not shown.broken and not shown.applicable
    assert "too few people" in proof.sentence and "not applicable" in shown.sentence


def test_a_limit_that_there_is_not_is_above_every_bound(audit) -> None:
    table = audit.table.copy()
    table.loc[table["metric"] == "share_ratio", "ci_high"] = math.inf
    assert hold([f"{CRIME}.ratio.Black.ci_high > 5"], table).broken
    assert not hold([f"{CRIME}.ratio.Black.ci_low > 5"], table).broken


def test_no_bounds_no_gate(audit) -> None:
    assert not gate(audit).broken and "no gate" in gate(audit).sentence
