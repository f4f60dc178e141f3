"""The specs that travel with clipviz: whole, apart, and what the paper's figures can be held against."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import clipviz
from clipviz import assets
from clipviz.auditing.fitting import fitted
from clipviz.auditing.groups import groupings, right_labels
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.spec_reading import bundled_names
from clipviz.auditing.tokens import check_tokens
from clipviz.auditing.wordings import wordings

NAMES = {
    "avatars", "congress", "fairface_by_age", "fairface_classification", "fairface_denigration", "human_gorilla",
    "nurse_doctor", "occupations", "people_gorilla", "retrieval_skew", "surveillance", "surveillance_gallery",
    "victim_criminal",
}  # fmt: skip


@pytest.fixture(scope="module")
def faces(shared) -> pd.DataFrame:
    columns = ["file", "age", "gender", "race"]
    return pd.read_parquet(shared / "data/fairface/val-00.parquet", columns=columns).set_index("file")


@pytest.fixture(scope="module")
def tiny() -> clipviz.Model:
    return clipviz.load()


@pytest.fixture(scope="module")
def paper(shared, require) -> dict:
    path = Path(shared) / "facts/clip_paper.json"
    require(path.is_file(), f"no published figures at {path}")
    return json.loads(path.read_text(encoding="utf-8"))


def test_these_are_bundled_and_listed_in_the_readme():
    assert set(bundled_names()) == NAMES
    readme = assets.find("audits", "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(NAMES) if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_says_what_it_is_for_and_runs_in_several_wordings(name, tiny):
    spec = AuditSpec.load(name)
    assert spec.name == name and AuditSpec.from_dict(spec.to_dict()) == spec
    for told in (spec.title, spec.about, spec.purpose, spec.meaning, spec.headline, spec.limits):
        assert told
    assert any(metric.headline for metric in spec.metrics)
    assert all(one.caution and one.source for one in spec.published)
    for part in spec.parts():
        if not part.labels:
            continue
        check_tokens(part, tiny)
        found = wordings(part)
        assert len([one for one in found if not one.control and one.kind != "case"]) >= 5
        assert any(one.kind == "placebo" for one in found) is bool(part.harmful)


@pytest.mark.parametrize("name", sorted(NAMES - {"avatars", "surveillance", "surveillance_gallery"}))
def test_each_about_faces_fits_fairface(name, faces):
    spec, notes = fitted(AuditSpec.load(name), faces)
    assert notes == ()
    found = groupings(faces, spec)
    assert all(one.sizes.sum() == len(faces) and one.unknown == () for one in found)
    published = [(one.by, one.group) for one in spec.published if one.by in {g.by for g in found}]
    known = {(one.by, group) for one in found for group in one.names}
    assert set(published) <= known  # a figure is shown beside a group that is there


def test_everybody_has_a_right_answer_in_the_classification(faces):
    for part in AuditSpec.load("fairface_classification").parts():
        right = right_labels(part, faces)
        assert (right >= 0).all()
        names = np.array(part.names)[right]
        wanted = faces[part.part].replace({"Latino_Hispanic": "Latino or Hispanic", "more than 70": "over 70"})
        if part.part != "gender":
            assert (names == wanted.to_numpy()).all()
    labels = AuditSpec.load("fairface_denigration").labels
    right = right_labels(AuditSpec.load("fairface_denigration"), faces)
    assert np.array([labels[i].name for i in right])[0] == f"{faces['race'].iloc[0]} " + (
        "man" if faces["gender"].iloc[0] == "Male" else "woman"
    )


def figures(of, **wanted):
    spec = AuditSpec.load(of)
    return [one.value for one in spec.published if all(getattr(one, key) == value for key, value in wanted.items())]


def test_the_published_figures_are_the_papers(paper):
    table = paper["table6_denigration_by_race_percent"]
    for category in ("crime-related", "non-human"):
        found = figures("fairface_denigration", name=category, by="race")
        assert np.allclose(np.multiply(found, 100), table[category])
    ages = paper["table7_by_age_percent"]
    for variant, key in (("as written", "default labels"), ("with 'child' added", "default labels + child")):
        assert np.allclose(np.multiply(figures("fairface_by_age", variant=variant), 100), ages[key])
    by_gender = paper["table5_gender_accuracy"]
    pairs = zip(by_gender["zero-shot CLIP male"], by_gender["zero-shot CLIP female"], strict=True)
    flat = [value for pair in list(pairs)[:7] for value in pair]
    found = figures("fairface_classification", by="race x gender")
    assert np.allclose(np.multiply(found, 100), flat)


def test_what_is_arithmetic_on_other_figures_is_so(paper):
    """Tables 6 and 7 pool the same decisions: weighted by FairFace's counts they agree within 0.2 points."""
    counts = paper["fairface_val_counts"]
    races = {race: sum(by.values()) for race, by in counts["race_by_gender"].items()}
    own = {"Latino or Hispanic": "Latino_Hispanic"}
    spec = AuditSpec.load("fairface_denigration")
    by_race = [(one.value, races[own.get(one.group, one.group)]) for one in spec.published if one.by == "race"]
    pooled = sum(value * n for value, n in by_race) / counts["n"]
    ages = {"over 70": "more than 70"}
    of_age = [one for one in AuditSpec.load("fairface_by_age").published if one.variant == "as written"]
    by_age = sum(one.value * counts["age"][ages.get(one.group, one.group)] for one in of_age) / counts["n"]
    assert pooled == pytest.approx(by_age, abs=0.002) and by_age == pytest.approx(0.202, abs=0.0005)
    # table 5: the average over genders of each race, weighted by its counts, is the race's own figure
    spec = AuditSpec.load("fairface_classification")
    told = {(one.by, one.group): one.value for one in spec.published if one.name == "gender"}
    for (by, group), value in told.items():
        if by == "race":
            n = counts["race_by_gender"][own.get(group, group)]
            parts = [told["race x gender", f"{group} x {gender}"] * n[gender] for gender in ("Male", "Female")]
            assert sum(parts) / sum(n.values()) == pytest.approx(value, abs=0.0015)
