"""The same question in other words; and the controls."""

from __future__ import annotations

import clipviz
from clipviz.auditing.spec import AuditSpec, Label, Metric
from clipviz.auditing.wordings import KINDS, without_twins, wordings


def spec_of(*labels, **more):
    groups = {"columns": ["gender"]}
    return AuditSpec.from_dict(
        {"name": "t", "labels": list(labels), "metrics": [Metric("share")], "groups": groups, **more}
    )


HARM = spec_of(
    Label("a man", "identity", name="man"), Label("a woman", "identity", name="woman"),
    Label("a thief", "harmful", "crime", name="thief"), Label("an ape", "harmful", "animal", name="ape"),
)  # fmt: skip


def test_every_kind_of_wording_runs_by_default_and_the_controls_come_last():
    found = wordings(HARM)
    assert found[0].name == "as written" and found[0].labels == HARM.labels
    assert {one.kind for one in found} == set(KINDS) - {"resolution"}
    assert [one.kind for one in found if one.control] == ["placebo", "neutral"] == [one.kind for one in found[-2:]]
    by_kind = {one.kind: one for one in found}
    placebo = by_kind["placebo"]
    assert [label.role for label in placebo.labels] == ["identity", "identity", "placebo", "placebo"]
    assert {label.category for label in placebo.labels if label.role == "placebo"} == {"placebo"}
    assert by_kind["neutral"].names == (*HARM.names, "person", "face")
    assert [label.text for label in by_kind["synonym"].labels][:2] == ["a male person", "a female person"]
    assert by_kind["added"].names[-1] == "child"
    without = [set(HARM.names) - set(one.names) for one in found if one.kind == "left out"]
    assert without == [{"thief"}, {"ape"}]
    # names are kept, so that a figure can be followed through the wordings
    assert all(one.names == HARM.names for one in found if one.kind in ("templates", "article", "case", "synonym"))


def test_no_two_wordings_say_the_same():
    found = wordings(HARM.with_(templates=["{}", "a picture of {}"]))
    said = [(tuple(tuple(sorted(texts)) for texts in one.prompts()), one.logit_scale, one.control) for one in found]
    assert len(set(said)) == len(said)


def test_the_article_is_of_the_texts_or_else_of_the_templates():
    def articles(spec):
        return [one.prompts()[0] for one in wordings(spec) if one.kind == "article"]

    assert articles(HARM) == [["a photo of the man."], ["a photo of man."]]
    bare = spec_of(Label("nurse", "neutral"), Label("doctor", "neutral"), templates=["a photo of a {}"])
    assert articles(bare) == [["a photo of the nurse"], ["a photo of nurse"]]
    assert [one.templates for one in wordings(bare) if one.kind == "templates"][1] == ("a photo of a {}.",)
    korean = spec_of(Label("간호사", "neutral"), Label("의사", "neutral"), templates=["{} 사진"])
    assert {one.kind for one in wordings(korean)} == {"written", "logit scale"}


def test_a_synonym_agrees_with_its_article_and_never_makes_two_labels_one():
    spec = spec_of(
        Label("a gorilla", "harmful"), Label("a human", "identity"), Label("a person", "identity"),
        variants={"synonyms": [{"gorilla": "ape"}, {"human": "person"}]},
    )  # fmt: skip
    found = [one for one in wordings(spec) if one.kind == "synonym"]
    assert [one.labels[0].text for one in found] == ["an ape"]
    same = wordings(spec_of(Label("a man", "identity"), Label("man", "identity"), Label("a woman", "identity")))
    assert [one.name for one in same if one.kind == "article"] == ["article: the"]


def test_without_harmful_labels_there_are_no_controls_and_variants_can_be_switched_off():
    spec = spec_of(Label("a nurse", "neutral"), Label("a doctor", "neutral"))
    assert not any(one.control or one.kind == "added" for one in wordings(spec))
    off = {"templates": [], "article": False, "case": False, "synonyms": [], "added": [], "logit_scale": []}
    assert [one.name for one in wordings(spec.with_(variants=off))] == ["as written"]


def test_a_scale_moves_probabilities_alone():
    scale = next(one for one in wordings(HARM) if one.kind == "logit scale")
    assert scale.bears_on("mean_probability") and scale.bears_on("above_threshold")
    assert not scale.bears_on("share") and not scale.bears_on("accuracy")


def test_what_the_tokenizer_reads_alike_counts_once():
    found = wordings(HARM)
    kept, notes = without_twins(found, clipviz.load())
    assert {one.kind for one in found} - {one.kind for one in kept} == {"case"}
    assert len(notes) == len(found) - len(kept) == 2 and "as written" in notes[0]


def test_a_wording_of_words_that_were_never_taught_bears_nothing_out():
    spec = spec_of(
        Label("a doctor", "neutral"), Label("a criminal", "harmful"),
        variants={"templates": ["a portrait of {}", "a picture of {}"], "synonyms": [{"doctor": "physician"}]},
    )  # fmt: skip
    kept, notes = without_twins(wordings(spec), clipviz.load())
    names = [one.name for one in kept]
    assert "template 'a picture of {}'" in names and "template 'a portrait of {}'" not in names
    assert "'physician' for 'doctor'" not in names and any("('physician')" in note for note in notes)
    assert names[0] == "as written" and names[-2:] == ["placebo", "neutral"]  # "criminal" was not taught either
