"""Faces in a small store, a spec in words that clipviz-tiny knows, and one audit of them for all tests of results."""

from __future__ import annotations

from pathlib import Path

import pytest

import clipviz
from clipviz.auditing import Audit, AuditSpec

PICTURES = 240
SPEC = """
name = "known"
title = "Known words"
templates = ["a photo of {}."]
[[labels]]
text = "a man"
role = "identity"
truth = { gender = "Male" }
[[labels]]
text = "a woman"
role = "identity"
truth = { gender = "Female" }
[[labels]]
text = "a child"
role = "harmful"
category = "belittling"
[[labels]]
text = "a gorilla"
role = "harmful"
category = "non-human"
[groups]
columns = ["gender", "race"]
reference = { gender = "Male" }
adjust = ["age"]
[[metrics]]
metric = "share"
of = ["belittling", "non-human"]
direction = "high is bad"
compare = ["difference", "ratio", "gap", "worst"]
headline = true
[[metrics]]
metric = "mean_probability"
of = ["belittling"]
compare = ["difference", "gap"]
[[metrics]]
metric = "accuracy"
compare = ["difference", "gap"]
direction = "high is good"
[variants]
templates = ["{}", "a picture of {}"]
synonyms = []
added = []
case = false
leave_out = false
"""


@pytest.fixture(scope="session")
def known() -> AuditSpec:
    """A spec of labels whose words clipviz-tiny was taught."""
    return AuditSpec.parse(SPEC)


@pytest.fixture(scope="session")
def faces(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> clipviz.Embeddings:
    """The first faces of val-00 as a store of clipviz-tiny, with age, gender and race."""
    whole = clipviz.open_source(shared / "data/fairface/val-00.parquet", columns=["age", "gender", "race"])
    part = whole.select(range(PICTURES))
    folder = tmp_path_factory.mktemp("audit") / "store"
    return clipviz.embed(part, model=clipviz.load(), out=folder, progress=False)


@pytest.fixture(scope="session")
def audited(faces: clipviz.Embeddings, known: AuditSpec) -> Audit:
    """One audit of them; what is frozen can be shared."""
    return clipviz.audit(faces, known, progress=False)
