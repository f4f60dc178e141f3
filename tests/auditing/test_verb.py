"""An audit from end to end on faces with clipviz-tiny, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import clipviz
from clipviz.auditing import AuditSpec
from clipviz.errors import ClipvizWarning, DataError, InputError, ModelError, SpecError


def test_the_figures_are_those_of_the_cosines(audited, faces) -> None:
    """Followed from the vectors to the table by hand."""
    model = clipviz.load()
    texts = [f"a photo of {text}." for text in ("a man", "a woman", "a child", "a gorilla")]
    given = (faces.to_numpy() @ model.encode_texts(texts).T).argmax(axis=1)
    gender = faces.metadata["gender"].to_numpy()
    table = audited.table[(audited.table["variant"] == "as written") & (audited.table["by"] == "gender")]
    for group in ("Male", "Female"):
        own = given[gender == group]
        shares = table[(table["metric"] == "share") & (table["group"] == group)].set_index("name")
        assert shares.loc["a child", "k"] == (own == 2).sum()
        assert shares.loc["belittling", "n"] == len(own)
        right = table[(table["metric"] == "accuracy") & (table["group"] == group)].iloc[0]
        assert right["value"] == pytest.approx((own == ("Male", "Female").index(group)).mean())
    chances = model.logit_scale * (faces.to_numpy() @ model.encode_texts(texts).T).astype(float)
    chances = np.exp(chances - chances.max(axis=1, keepdims=True))
    chances = chances[:, 2] / chances.sum(axis=1)
    means = table[(table["metric"] == "mean_probability") & (table["name"] == "a child")].set_index("group")
    assert means.loc["Female", "value"] == pytest.approx(chances[gender == "Female"].mean(), abs=1e-6)


def test_it_says_what_it_is_of(audited) -> None:
    assert audited.provenance["demonstration"]
    assert audited.notes[0].startswith("Demonstration model")
    assert "demonstration model" in repr(audited)
    assert audited.provenance["spec"]["sha256"] == audited.spec.sha256
    first = audited.provenance["wordings"][0]
    assert first["prompts"]["a gorilla"] == ["a photo of a gorilla."]
    names = [one["name"] for one in audited.provenance["wordings"]]
    assert {"as written", "template '{}'", "placebo", "neutral"} <= set(names)
    assert set(audited.table["variant"]) >= {"as written", "placebo", "neutral", "logit scale x 2"}
    assert len(audited.verdicts) == (audited.table["headline"] & audited.table["p_adjusted"].notna()).sum()


def test_words_that_the_model_never_saw_get_no_verdict(faces, known) -> None:
    spec = known.with_(labels=[*known.labels[:3], clipviz.auditing.Label("a criminal", "harmful", "non-human")])
    audit = clipviz.audit(faces, spec, variants=False, progress=False)
    states = audit.competence.set_index("label")["state"]
    assert states["a criminal"] == "never seen in training"
    assert {one.state for one in audit.verdicts if one.name == "non-human"} == {"none"}
    assert set(audit.table["variant"]) == {"as written", "placebo", "neutral"}


def test_damaged_pictures_empty_cells_and_unknown_groups_are_told(tmp_path, known) -> None:
    for i in range(24):
        Image.new("RGB", (64, 64), (10 * i, 40, 90)).save(tmp_path / f"{i}.png")
    (tmp_path / "5.png").write_bytes(b"no picture")
    about = pd.DataFrame({
        "path": [f"{i}.png" for i in range(24)],
        "gender": [("Male", "Female", "nobody asked")[i % 3] for i in range(24)],
        "race": ["" if i == 7 else ("Black", "White")[i % 2] for i in range(24)], "age": "20-29",
    })  # fmt: skip
    about.to_csv(tmp_path / "people.csv", index=False)
    options = {"model": clipviz.load(), "variants": False, "progress": False}
    with pytest.raises(DataError, match='empty="leave out"'):
        clipviz.audit(tmp_path / "people.csv", known, **options)
    audit = clipviz.audit(tmp_path / "people.csv", known, empty="leave out", **options)
    assert [name for name, _ in audit.failed] == ["5.png"]
    assert audit.provenance["pictures"] == 23
    told = " ".join(audit.notes)
    assert "'nobody asked'" in told
    assert "1 pictures have no value for 'race'" in told
    assert "1 pictures could not be read" in told
    assert "nobody asked" in set(audit.table["group"])


def test_several_pictures_of_one_person_are_suspected_and_counted_once_named(faces, known) -> None:
    place = np.arange(len(faces)) // 3
    joined = faces.join({"id": list(faces.ids), "who": [f"person {i}" for i in place]})
    audit = clipviz.audit(joined, known, person="who", variants=False, progress=False)
    assert set(audit.table.loc[audit.table["metric"] == "share", "method"].str[:13]) == {"Korn-Graubard"}
    assert audit.items["person"].nunique() == len(set(place))
    with pytest.raises(DataError, match="no column 'whom'"):
        clipviz.audit(joined, known, person="whom", progress=False)


def test_what_is_wrong_says_what_to_type(faces, known, tmp_path) -> None:
    with pytest.raises(ModelError, match=r"model=clipviz\.load"):
        clipviz.audit(tmp_path, known)
    with pytest.raises(SpecError, match="Did you mean"):
        clipviz.audit(faces, "nurse_docter")
    with pytest.raises(InputError, match="variants"):
        clipviz.audit(faces, known, variants="all")
    with pytest.raises(InputError, match="selftest"):
        clipviz.audit(faces, known, selftest=-1)
    with pytest.raises(DataError, match="no column"):
        clipviz.audit(faces, known, columns=["hair"])
    with pytest.raises(SpecError, match="same to the tokenizer"):
        clipviz.audit(faces, AuditSpec.parse(
            'name = "x"\nlabels = ["a Man", "a man"]\n[groups]\ncolumns = ["gender"]\n[[metrics]]\nmetric = "share"'
        ))  # fmt: skip


def test_what_clipviz_warns_of_on_the_way_is_a_note(faces, known) -> None:
    long = "a person " + "who is seen " * 20
    spec = known.with_(labels=[*known.labels, clipviz.auditing.Label(long, "neutral")])
    audit = clipviz.audit(faces, spec, variants=False, progress=False)  # ClipvizWarning is an error in tests
    assert any("were cut" in note for note in audit.notes)


def test_ids_that_suggest_persons_warn(known, tmp_path) -> None:
    for i in range(12):
        Image.new("RGB", (64, 64), (20 * i, 40, 90)).save(tmp_path / f"name{'abcdef'[i // 2]}_{i % 2}.png")
    about = {"path": [f"name{'abcdef'[i // 2]}_{i % 2}.png" for i in range(12)], "age": ["20-29"] * 12,
             "gender": ["Male", "Female"] * 6, "race": ["Black", "White"] * 6}  # fmt: skip
    pd.DataFrame(about).to_csv(tmp_path / "people.csv", index=False)
    with pytest.warns(ClipvizWarning, match="several pictures of one person"):
        clipviz.audit(tmp_path / "people.csv", known, model=clipviz.load(), variants=False, progress=False)


def test_an_association_of_words_that_the_model_never_saw_gets_no_verdict(faces) -> None:
    spec = AuditSpec.parse("""
        name = "works"
        labels = ["a nurse", "a doctor"]
        [groups]
        columns = ["gender"]
        [[metrics]]
        metric = "association"
        of = ["a nurse", "a doctor"]
        headline = true
    """)
    (verdict,) = clipviz.audit(faces, spec, variants=False, progress=False).verdicts
    assert (verdict.metric, verdict.level, verdict.state) == ("association", "overall", "none")
    assert "never saw the words" in verdict.sentence


def test_a_headline_without_a_verdict_is_said(faces, known) -> None:
    one = known.with_(reference={"gender": "best", "race": "best"}, metrics=[
        {"metric": "share", "of": ["belittling"], "direction": "high is bad", "headline": True,
         "compare": ["difference"]},
    ])  # fmt: skip
    found = clipviz.audit(faces, one, variants=False, progress=False)
    assert not found.verdicts and any('add "gap"' in note for note in found.notes)
