"""Counts by group and by person equal a loop over the pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from clipviz.auditing import counting
from clipviz.auditing.metrics import Pictures, tally

sys.path.insert(0, str(Path(__file__).parent))
from scenes import LABELS, scene, spec_of

SPEC = spec_of({"metric": "share"})


def test_labels_and_categories_are_counted_as_a_loop_counts_them() -> None:
    scored, grouping, _ = scene()
    found = tally(Pictures(scored), grouping, SPEC, SPEC.metrics[0])
    assert found.names == ("man", "woman", "thief", "criminal", "person", "crime")
    for k, name in enumerate(found.names):
        for g in range(3):
            loop = [
                name in (LABELS[d].name, LABELS[d].category)
                for d, code in zip(scored.decision, grouping.codes, strict=True)
                if code == g
            ]
            assert (found.hits[k, g], found.totals[k, g]) == (sum(loop), len(loop))
    assert (found.share[:4].sum(axis=0)).tolist() == pytest.approx([1, 1, 1])


def test_a_group_of_nobody_has_no_share() -> None:
    scored, grouping, _ = scene(groups=4)
    empty = type(grouping)("column", grouping.names, np.where(grouping.codes == 2, -1, grouping.codes))
    found = tally(Pictures(scored), empty, SPEC, SPEC.metrics[0])
    assert np.isnan(found.share[:, 2]).all()
    assert not np.isnan(found.share[:, [0, 1, 3]]).any()


def test_persons_are_counted_as_a_loop_counts_them() -> None:
    scored, grouping, _ = scene(300)
    person = np.random.default_rng(1).integers(0, 40, 300)
    found = tally(Pictures(scored, person=person), grouping, SPEC, SPEC.metrics[0])
    assert found.persons is not None
    for q, (who, group) in enumerate(zip(found.persons.person, found.persons.group, strict=True)):
        own = (person == who) & (grouping.codes == group)
        assert found.persons.n[q] == own.sum()
        assert found.persons.hits[2, q] == (own & (scored.decision == 2)).sum()
    assert found.persons.hits.sum(axis=1).tolist() == found.hits.sum(axis=1).tolist()


def test_means_over_persons_vary_as_a_bootstrap_of_persons_does() -> None:
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(60), rng.integers(1, 6, 60))
    values = rng.normal(0, 1, 60)[person] + rng.normal(0, 0.3, len(person))
    means, variances, n = counting.person_moments(values[:, None], np.zeros(len(person), np.int64), person, 1)
    assert means[0, 0] == pytest.approx(values.mean())
    assert n.tolist() == [60]
    sums, sizes = np.bincount(person, values), np.bincount(person)
    drawn = rng.integers(0, 60, (4000, 60))
    spread = (sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)).std()
    assert np.sqrt(variances[0, 0] / 60) == pytest.approx(spread, rel=0.1)
