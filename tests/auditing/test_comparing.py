"""Two audits of the same pictures are compared picture by picture, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

import clipviz
from clipviz.errors import DataError


@pytest.fixture(scope="module")
def other(faces, known):
    return clipviz.audit(faces, known.with_(templates=["{} with a hat"]), variants=False, progress=False)


def written(audit) -> pd.DataFrame:
    return audit.items[audit.items["variant"] == "as written"].set_index("id")


def test_differences_are_paired_and_equal_a_loop(audited, other) -> None:
    found = audited.compare(other)
    a, b = written(audited), written(other)
    given_a, given_b = a["decision"].astype(str) == "a child", b["decision"].astype(str) == "a child"
    for group in ("Male", "Female"):
        own = (a["gender"] == group).to_numpy()
        one, two = given_a[own].to_numpy(), given_b[own].to_numpy()
        row = found.table[(found.table["metric"] == "share") & (found.table["name"] == "a child")
                          & (found.table["group"] == group)].iloc[0]  # fmt: skip
        assert row["value"] == pytest.approx(one.mean() - two.mean())
        assert (row["only_a"], row["only_b"]) == ((one & ~two).sum(), (two & ~one).sum())
        changed = int(row["only_a"] + row["only_b"])
        exact = scipy_stats.binomtest(int(row["only_a"]), changed).pvalue if changed else 1.0
        assert row["p"] == pytest.approx(exact)
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
    gap = found.table[(found.table["metric"] == "mean_probability_difference") & (found.table["name"] == "belittling")
                      & (found.table["by"] == "gender")].iloc[0]  # fmt: skip
    assert (gap["group"], gap["reference"]) == ("Female", "Male")
    table_a, table_b = (
        audit.table[(audit.table["metric"] == "mean_probability_difference") & (audit.table["group"] == "Female")
                    & (audit.table["variant"] == "as written")].iloc[0]["value"]
        for audit in (audited, other)
    )  # fmt: skip
    assert gap["value"] == pytest.approx(table_a - table_b, abs=1e-6)


def test_an_audit_differs_from_itself_in_nothing(audited) -> None:
    found = audited.compare(audited)
    assert np.nan_to_num(found.table["value"]).tolist() == [0.0] * len(found.table)
    assert not len(found.found)


def test_the_order_of_the_pictures_does_not_matter(audited, other, faces) -> None:
    judged = other.judged
    turned = np.arange(len(faces))[::-1]
    scored = tuple(replace(one, cosines=one.cosines[turned], decision=one.decision[turned]) for one in judged.scored)
    groupings = tuple(replace(one, codes=one.codes[turned]) for one in judged.groupings)
    right = {name: values[turned] for name, values in judged.right.items()}
    backwards = replace(judged, ids=judged.ids[::-1], scored=scored, groupings=groupings, right=right)
    pd.testing.assert_frame_equal(
        audited.compare(other).table, audited.compare(replace(other, judged=backwards)).table, rtol=1e-9
    )


def test_what_cannot_be_paired_is_refused(audited, faces, known) -> None:
    with pytest.raises(DataError, match="has no items"):
        audited.compare(replace(audited, judged=None))
    fewer = clipviz.audit(faces.select(range(200)), known, variants=False, progress=False)
    with pytest.raises(DataError, match="40 are in the first audit alone"):
        audited.compare(fewer)
    same = dict.fromkeys(faces.metadata["race"])
    mapping = {"race": {**{name: name for name in same}, "Black": "White", "White": "Black"}}
    swapped = clipviz.audit(faces, known, mapping=mapping, variants=False, progress=False)
    with pytest.raises(DataError, match="different groups of 'race'"):
        audited.compare(swapped)


def test_it_is_saved_and_shown(audited, other, tmp_path) -> None:
    found = audited.compare(other)
    assert len(pd.read_csv(found.save(tmp_path / "x.csv"))) == len(found.table)
    assert "clipviz-tiny (known)" in found.save(tmp_path / "x.json").read_text()
    assert "figures differ" in repr(found)
    assert "<table>" in found._repr_html_()


def test_persons_change_their_answers_whole(faces, known) -> None:
    random = np.random.default_rng(0)
    people = np.array([f"p{i}" for i in random.integers(0, len(faces) // 4, len(faces))])
    people[(faces.metadata["gender"] == "Male").to_numpy()] = "he"  # one person is all of the men
    seen = faces.join(pd.DataFrame({"id": list(faces.ids), "person": people}))
    asked = known.with_(person="person")
    first = clipviz.audit(seen, asked, variants=False, progress=False)
    found = first.compare(clipviz.audit(seen, asked.with_(templates=["{} with a hat"]), variants=False, progress=False))
    own = found.table[(found.table["by"] == "gender") & (found.table["metric"] == "share")].set_index("group")
    assert own.loc[["Male"], "p"].isna().all() and own.loc[["Male"], "method"].str.contains("too few people").all()
    assert own.loc[["Female"], "p"].notna().all() and own.loc[["Female"], "method"].str.contains("persons moved").all()
