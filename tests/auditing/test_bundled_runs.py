"""Every bundled spec that faces can answer runs from end to end, and marks words that the model never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import clipviz
from clipviz.auditing.page_leaning import leaning_section
from clipviz.auditing.table import COLUMNS
from clipviz.errors import ClipvizError

FIT = ("nurse_doctor", "people_gorilla", "human_gorilla", "victim_criminal", "fairface_classification",
       "fairface_denigration", "fairface_by_age", "occupations", "congress")  # fmt: skip
UNSEEN = {"nurse", "criminal", "thief"}


def sound(audit: clipviz.Audit) -> None:
    """What holds for every audit, whatever it found."""
    table = audit.table
    assert not table.duplicated(list(COLUMNS[:7])).any()
    known = table[["value", "ci_low", "ci_high"]].dropna()
    assert (known["ci_low"] <= known["value"] + 1e-9).all()
    assert (known["value"] <= known["ci_high"] + 1e-9).all()
    claims = table["headline"] & table["p"].notna()
    assert (table.loc[claims, "p_adjusted"] >= table.loc[claims, "p"] - 1e-12).all()
    states = audit.competence.set_index("label")["state"]
    for label in UNSEEN & set(states.index):
        assert states[label] == "never seen in training"
        assert {one.state for one in audit.verdicts if one.name == label} <= {"none"}
    assert np.isfinite(audit.spread["value"]).all()


@pytest.mark.parametrize("name", FIT)
def test_clipviz_tiny_on_faces(faces, name) -> None:
    audit = clipviz.audit(faces, name, variants=name == "people_gorilla", progress=False)
    sound(audit)
    assert audit.provenance["demonstration"]


def test_a_search_beside_random_rankings(faces) -> None:
    spec = clipviz.AuditSpec.load("retrieval_skew")
    quick = spec.with_(retrieval={"rankings": 400}, columns=["gender"])
    table = clipviz.audit(faces, quick, variants=False, progress=False).table
    assert {"skew@10", "skew@10_random", "skew@10_excess"} <= set(table["metric"])
    skew = table[table["metric"] == "skew@10"]
    assert (skew["p"] >= 1 / 401).all()


def test_a_page_lists_the_labels_that_lean_most_to_each_side(faces) -> None:
    few = clipviz.AuditSpec.load("congress").with_(thresholds={"levels": [0.005, 0.04], "most": 3})
    audit = clipviz.audit(faces, few, variants=False, progress=False)
    section = leaning_section(audit)
    assert section is not None
    for block in section.blocks[1:]:
        (table,) = block.blocks
        first = [float(row["points"].split()[0]) for row in table.rows]
        assert first == sorted(first, reverse=True) and 1 <= len(first) <= 3
        own, other = (float(table.rows[0][name].rstrip("%")) for name in list(table.rows[0])[1:3])
        assert own - other == pytest.approx(first[0], abs=0.11)
    sides = {block.summary.split(",")[0] for block in section.blocks[1:]}
    assert sides == {"More for Male", "More for Female"}


@pytest.mark.parametrize("name", ["surveillance", "surveillance_gallery"])
def test_what_does_not_fit_says_what_to_type(faces, name) -> None:
    with pytest.raises(ClipvizError, match=r"columns=|consent"):
        clipviz.audit(faces, name, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fairface_classification", "fairface_denigration"])
def test_another_clip_on_faces_under_all_wordings(shared: Path, tmp_path, name) -> None:
    model = clipviz.load(shared / "models/oc-tiny")
    whole = clipviz.open_source(shared / "data/fairface/val-00.parquet", columns=["age", "gender", "race"])
    store = clipviz.embed(whole.select(range(600)), model=model, out=tmp_path / "store", progress=False)
    audit = clipviz.audit(store, name, model=model, progress=False)
    sound(audit)
    assert not audit.provenance["demonstration"]
    if name == "fairface_classification":
        table = audit.table[(audit.table["variant"] == "as written") & (audit.table["metric"] == "accuracy")]
        gender = table[(table["name"] == "gender") & (table["by"] == "gender")]
        assert (gender["value"] > 0.6).all()  # it was taught men and women: 78 % of val-00
    audit.save(tmp_path / "report.html")
