"""The spread over wordings: limits of each, signs, and what of it is noise, by simulation and by a plain loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clipviz.auditing.claims import adjusted, corrected_level
from clipviz.auditing.groups import Grouping
from clipviz.auditing.labels import Label
from clipviz.auditing.metric import Metric
from clipviz.auditing.metrics import Pictures, tally
from clipviz.auditing.parts import Groups
from clipviz.auditing.retrieval import retrieval_rows
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.spread import spread, summary
from clipviz.auditing.table import rows
from clipviz.auditing.tally import Scored
from clipviz.auditing.verdicts import verdicts
from clipviz.auditing.wordings import WRITTEN, Wording
from clipviz.stats import difference_limits

LABELS = (Label("a", "neutral", "x"), Label("b", "neutral", "x"), Label("c", "neutral", "y"))
CODES = np.array([0, 1, 2] * 200)
GROUP = Grouping("race", ("A", "B", "C"), CODES)


def spec(compare: str = "difference", reference: str = "C") -> AuditSpec:
    metric = Metric("share", ("all",), "neither", (compare,), True)
    return AuditSpec(
        name="x", labels=LABELS, metrics=(metric,), groups=Groups(columns=("race",), reference={"race": reference})
    )


def scored(name: str, decision: np.ndarray, labels: tuple[Label, ...] = LABELS, control: bool = False) -> Scored:
    kind = "written" if name == WRITTEN else "placebo" if control else "logit scale" if "scale" in name else "templates"
    wording = Wording(name, kind, labels, ("{}",), control=control)
    return Scored(wording, np.zeros((len(decision), len(labels)), np.float32), decision.astype(np.int16), 100.0)


def wordings(seed: int = 0, wordings: int = 5, moved: float = 0.1) -> list[Scored]:
    """One decision a picture, and in every wording a tenth of them made anew: noise about one and the same truth."""
    random = np.random.default_rng(seed)
    first = random.choice(3, size=len(CODES), p=[0.2, 0.3, 0.5])
    found = []
    for w in range(wordings):
        again = random.choice(3, size=len(CODES), p=[0.2, 0.3, 0.5])
        decision = np.where(random.random(len(CODES)) < moved, again, first)
        found.append(scored(WRITTEN if w == 0 else f"w{w}", decision))
    return found


def table_of(asked: AuditSpec, every: list[Scored]):  # type: ignore[no-untyped-def]
    share = asked.metrics[0]
    return adjusted(rows(asked, [tally(Pictures(one), GROUP, asked, share) for one in every]))


def test_every_wording_has_its_own_limits_and_the_corrected_ones() -> None:
    every = wordings()
    table = table_of(spec(), every)
    found = spread(spec(), table, every, [GROUP])
    level = corrected_level(table)
    assert level == pytest.approx(1 - 0.05 / 10)
    assert len(found) == 10 * 5
    for row in found.itertuples():
        decision = next(one.decision for one in every if one.wording.name == row.wording)
        given = np.isin(decision, [i for i, label in enumerate(LABELS) if row.name in (label.text, label.category)])
        a, b = "ABC".index(row.group) == CODES, CODES == 2
        counts = given[a].sum(), a.sum(), given[b].sum(), b.sum()
        assert row.value == pytest.approx(counts[0] / counts[1] - counts[2] / counts[3])
        assert (row.ci_low, row.ci_high) == pytest.approx(difference_limits(*counts))
        assert (row.corrected_low, row.corrected_high) == pytest.approx(difference_limits(*counts, level=level))
    assert (found["corrected_low"] < found["ci_low"]).all()


def test_a_gap_is_followed_as_the_pair_that_was_written() -> None:
    first = np.where(CODES == 0, 0, 2)
    turned = np.where(CODES == 2, 0, 2)
    every = [scored(WRITTEN, first), scored("w1", first), scored("w2", turned)]
    asked = spec("gap", "best")
    found = spread(asked, table_of(asked, every), every, [GROUP])
    own = found[found["name"] == "a"].set_index("wording")
    assert own["group"].unique().tolist() == ["A"]
    reference = own["reference"].iloc[0]
    assert own["value"].tolist() == [1.0, 1.0, 0.0 if reference == "B" else -1.0]
    assert own["keeps_sign"].tolist() == [True, True, False]


def test_controls_scales_and_missing_labels_are_no_wordings() -> None:
    every = wordings(wordings=2)
    short = scored("without b", np.zeros(len(CODES)), (LABELS[0], LABELS[2]))
    control = scored("placebo", np.zeros(len(CODES)), LABELS, control=True)
    scale = scored("logit scale x 2", every[0].decision)  # moves no decision, and would count as one that agrees
    every += [short, control, scale]
    counts = spread(spec(), table_of(spec(), every), every, [GROUP]).groupby("name")["wording"].nunique()
    assert counts.to_dict() == {"a": 3, "b": 2, "c": 3, "x": 3, "y": 3}


def test_noise_is_paired_and_equals_a_plain_loop() -> None:
    every = wordings()
    found = spread(spec(), table_of(spec(), every), every, [GROUP])
    row = found[(found["name"] == "x") & (found["group"] == "B")].iloc[0]
    given = np.stack([np.isin(one.decision, [0, 1]) for one in every]).astype(float)
    noise = 0.0
    for group in (1, 2):
        own = given[:, group == CODES]  # [W, n]
        apart = own - own.mean(axis=0)
        noise += sum(np.var(one, ddof=1) / own.shape[1] for one in apart) / (len(every) - 1)
    values = given[:, CODES == 1].mean(axis=1) - given[:, CODES == 2].mean(axis=1)
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    assert row["noise"] == pytest.approx(np.sqrt(noise))
    assert row["sd_net"] == pytest.approx(np.sqrt(max(0, values.var(ddof=1) - noise)))


def test_wordings_that_only_toss_coins_have_no_net_spread_and_others_have_theirs() -> None:
    variances, noises, planted = [], [], []
    for seed in range(60):
        every = wordings(seed)
        own = summary(spread(spec(), table_of(spec(), every), every, [GROUP])).query("name == 'y' and group == 'A'")
        variances.append(own["sd"].iloc[0] ** 2)
        noises.append(own["noise"].iloc[0] ** 2)
        moved = wordings(seed)
        for w in (3, 4):  # two wordings by which a third of group A is given "c" instead
            decision = moved[w].decision.copy()
            decision[(CODES == 0) & (np.arange(len(CODES)) % 9 < 3)] = 2
            moved[w] = scored(f"w{w}", decision)
        own = summary(spread(spec(), table_of(spec(), moved), moved, [GROUP])).query("name == 'y' and group == 'A'")
        planted.append(own["sd_net"].iloc[0])
    assert np.mean(noises) == pytest.approx(np.mean(variances), rel=0.2)  # nothing but noise is there
    assert np.mean(planted) > 5 * np.sqrt(max(0.0, np.mean(variances) - np.mean(noises)) + 1e-6)
    assert own["wordings"].iloc[0] == 5


def test_persons_and_tables_alone_have_no_noise() -> None:
    every = wordings(wordings=2)
    asked = spec().with_(person="who")
    assert spread(asked, table_of(spec(), every), every, [GROUP])["sd_net"].isna().all()
    assert spread(spec(), table_of(spec(), every))["sd_net"].isna().all()
    assert spread(spec(), table_of(spec(), every))["sd"].notna().all()


def test_a_ranking_stays_where_the_same_group_leads_beyond_chance() -> None:
    skew = Metric("skew", ("a",), compare=(), headline=True, k=(100,))
    asked = AuditSpec(name="x", labels=(Label("a", "neutral"),), metrics=(skew,), groups=Groups(columns=("race",)))
    codes = np.repeat([0, 1, 2], 300)

    def table_of_leads(*leads: int | None) -> pd.DataFrame:
        parts = []
        for w, lead in enumerate(leads):
            cosines = np.random.default_rng(w).normal(size=(900, 1)) + 2.0 * (codes == lead)[:, None]
            grouping, name = Grouping("race", ("A", "B", "C"), codes), WRITTEN if w == 0 else f"w{w}"
            parts.append(retrieval_rows(asked, ["a"], cosines.astype(np.float32), [grouping], [100], variant=name,
                                        headline=w == 0, tested=w == 0, draws=400))  # fmt: skip
        table = adjusted(pd.concat(parts, ignore_index=True))
        assert table.loc[table["variant"] != WRITTEN, "p"].isna().all()
        return table

    for leads, stays in (((0, 0, 0, None), [True, True, True, False]), ((0, 1, 2, 1), [True, False, False, False])):
        table = table_of_leads(*leads)
        found = spread(asked, table)
        assert found["keeps_sign"].tolist() == stays
        (verdict,) = verdicts(asked, table, found)
        assert verdict.state == "found" and verdict.fragile == (sum(stays) < 2)
        assert verdict.group == "A" and "first 100" in verdict.sentence
