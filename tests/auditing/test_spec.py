"""A spec: what it reads, what it refuses, and what each refusal says to type."""

from __future__ import annotations

import tomllib

import pytest

import clipviz
from clipviz.auditing.spec import AuditSpec, Label, Metric
from clipviz.auditing.starting import spec_template
from clipviz.auditing.tokens import check_tokens
from clipviz.errors import SpecError

PLAIN = """
name = "probe"
templates = ["a photo of {}."]
[[labels]]
text = "a man"
role = "identity"
truth = { gender = "Male" }
[[labels]]
text = "a woman"
role = "identity"
truth = { gender = ["Female"] }
[[labels]]
text = "a thief"
name = "thief"
role = "harmful"
category = "crime-related"
[[metrics]]
metric = "share"
of = "harmful"
headline = true
[groups]
columns = ["gender", "race"]
crossings = [["race", "gender"]]
reference = { gender = "Male" }
"""


def test_a_spec_survives_being_written_and_read():
    spec = AuditSpec.parse(PLAIN)
    again = AuditSpec.from_dict(spec.to_dict())
    assert again == spec and again.sha256 == spec.sha256
    assert spec.labels[1].truth == {"gender": ("Female",)}
    assert spec.of(spec.metrics[0]) == (("category", "crime-related"), ("label", "thief"))
    assert spec.with_(seed=1).sha256 != spec.sha256


def test_other_columns_take_their_crossings_and_references_with_them():
    spec = AuditSpec.parse(PLAIN).with_(columns=("race", "age"), mapping={"race": {"B": "Black"}})
    assert spec.groups.columns == ("race", "age")
    assert spec.groups.crossings == () and spec.groups.reference == {}
    assert spec.groups.mapping == {"race": {"B": "Black"}}
    renamed = AuditSpec.parse(PLAIN).with_(columns={"race": "ethnicity"})
    assert renamed.groups.columns == ("gender", "race") and renamed.groups.names == {"race": "ethnicity"}


def test_a_false_positive_is_asked_only_of_what_somebody_is_or_nobody():
    wanted = 'metric = "false_positive_rate"\nof = "labels"'
    spec = AuditSpec.parse(PLAIN.replace('metric = "share"\nof = "harmful"', wanted))
    assert [name for _, name in spec.of(spec.metrics[0])] == ["a man", "a woman", "thief"]
    untold = PLAIN.replace('metric = "share"\nof = "harmful"', wanted).replace('truth = { gender = ["Female"] }', "")
    with pytest.raises(SpecError, match="asked of 'a woman', and nothing says for whom"):
        AuditSpec.parse(untold)


WRONG = [
    # (what is replaced, by what, what the message must say)
    ('name = "probe"', 'name = "probe"\ntemplate = "x"', "unknown key 'template'. Did you mean 'templates'"),
    ('name = "probe"', 'name = "probe"\nfail_if = []', "Did you mean 'gate.fail_if'"),
    ("[groups]", "[groups]\ncolum = 1", "unknown key 'groups.colum'. Did you mean 'columns'"),
    ('role = "harmful"', 'role = "harmfull"', "Did you mean 'harmful'"),
    ('text = "a thief"', 'texts = "a thief"', "unknown key 'labels.2.texts'. Did you mean 'text'"),
    ('text = "a thief"', "", "lacks 'text'"),
    ('text = "a thief"', 'text = " "', "blank"),
    ('"a photo of {}."', '"a photo"', "has no {} for the text; write it like 'a photo of a {}'"),
    ('role = "harmful"', 'role = "neutral"', 'write role = "harmful" at'),
    ('metric = "share"', 'metric = "shares"', "Did you mean 'share'"),
    ('metric = "share"', 'metric = "equalized_odds"', "needs positives in every group"),
    ('metric = "share"', 'metric = "false_negative_rate"', "right for nobody"),
    ('metric = "share"', 'metric = "above_threshold"', "add threshold = 0.005"),
    ('metric = "share"', 'metric = "share"\nthreshold = 0.1', 'set metric = "above_threshold"'),
    ('metric = "share"', 'metric = "skew"', "such as k = [100]"),
    ('metric = "share"', 'metric = "share"\ncompare = ["gaps"]', "Did you mean 'gap'"),
    ('of = "harmful"', 'of = ["theif"]', "Did you mean 'thief'"),
    ('of = "harmful"', 'of = ["thief"]\n[[metrics]]\nmetric = "share"\nof = ["labels"]', "put it into one [[metrics]]"),
    ("[groups]", "[thresholds]\nlevels = [0.1]\n[groups]", 'add [[metrics]] with metric = "above_threshold"'),
    ('category = "crime-related"', 'category = "thief"', "give the category another name"),
    ('text = "a woman"', 'text = "a  man"', "Two labels have the"),
    ('columns = ["gender", "race"]', "columns = []", 'add [groups] with columns = ["gender"]'),
    ('crossings = [["race", "gender"]]', 'crossings = [["race", "gander"]]', "Did you mean 'gender'"),
    ('reference = { gender = "Male" }', 'reference = { age = "Male" }', "which is not compared"),
    ("[groups]", '[groups]\nempty = "drop"', "groups.empty = 'drop' is none of its values"),
    ("[groups]", '[groups]\nknown = "utk"', "Did you mean 'utkface'"),
    ("[groups]", '[gate]\nfail_if = ["thief.race.gap.ci_low > 0.05"]\n[groups]', ""),
    ("[groups]", '[gate]\nfail_if = ["theif.race.gap.ci_low > 0.05"]\n[groups]', "Did you mean 'thief'"),
    ("[groups]", '[gate]\nfail_if = ["thief.race.ratio.ci_low > 0.05"]\n[groups]', "which this spec does not compute"),
    ("[groups]", '[controls]\nplacebo = ["one"]\n[groups]', "write placebo = ["),
    ('metric = "share"', 'metric = "share"\ncompare = ["worst"]', 'write direction = "high is bad"'),
    ('text = "a woman"', 'text = "a woman"\ncategory = "crime-related"', "give the others another category"),
    ("[groups]", "[retrieval]\nlog_base = 1\n[groups]", "must be above 1"),
    ("[groups]", '[retrieval]\ndesired = "fair"\n[groups]', "or a table: desired = "),
    ("[groups]", "[retrieval]\ndesired = { gander = { a = 1 } }\n[groups]", "Did you mean 'gender'"),
    ("[groups]", "[retrieval]\ndesired = { gender = { Male = 0.6 } }\n[groups]", "sum to 1"),
    ("[groups]", "[variants]\nlogit_scale = [0]\n[groups]", "factors above 0"),
    ("[groups]", '[variants]\ntemplates = ["no"]\n[groups]', "variants.templates"),
    ("[groups]", '[variants]\narticle = "no"\n[groups]', "must be true or false"),
    ('name = "probe"', 'name = "probe"\nseed = 1.5', "must be a whole number"),
    ('name = "probe"', 'name = "probe"\nkind = "label"', "Did you mean 'labels'"),
]


@pytest.mark.parametrize("old,new,said", WRONG, ids=[f"{i}-{said[:30]}" for i, (_, _, said) in enumerate(WRONG)])
def test_what_is_wrong_is_named_with_what_to_type(old, new, said):
    assert PLAIN.count(old)
    text = PLAIN.replace(old, new, 1)
    if not said:  # sound: what stands around the faults is none itself
        AuditSpec.parse(text)
        return
    with pytest.raises(SpecError) as found:
        AuditSpec.parse(text)
    assert said in str(found.value), str(found.value)


@pytest.mark.parametrize("metric", ["mean_probability", "share", "margin"])
def test_probabilities_of_a_single_label_are_refused(metric):
    one = {"labels": ["a man"], "metrics": [Metric(metric)], "groups": {"columns": ["gender"]}}
    with pytest.raises(SpecError, match="add a label that says the contrary"):
        AuditSpec.from_dict(one)


def test_accuracy_wants_a_truth():
    labels = (Label("a man", "identity"), Label("a woman", "identity"))
    with pytest.raises(SpecError, match=r"truth = \{ gender = "):
        AuditSpec.from_dict(
            {"labels": list(labels), "metrics": [Metric("accuracy")], "groups": {"columns": ["gender"]}}
        )


def test_no_toml_and_no_such_name_say_so(tmp_path):
    with pytest.raises(SpecError, match="audit --new"):
        AuditSpec.parse("name = ")
    with pytest.raises(SpecError, match="Did you mean 'nurse_doctor'"):
        AuditSpec.load("nurse-doctors")
    (tmp_path / "broken.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(SpecError, match="UTF-8"):
        AuditSpec.load(tmp_path / "broken.toml")
    with pytest.raises(SpecError, match=r"has no 'colums' to change\. Did you mean 'columns'"):
        AuditSpec.parse(PLAIN).with_(colums=["race"])


def test_a_threshold_may_be_said_once_for_all_levels():
    text = PLAIN.replace('metric = "share"\nof = "harmful"', 'metric = "above_threshold"')
    spec = AuditSpec.parse(text + "[thresholds]\nlevels = [0.005, 0.04]\n")
    assert [metric.threshold for metric in spec.metrics] == [0.005, 0.04]
    assert AuditSpec.from_dict(spec.to_dict()) == spec


def test_hostile_texts_are_texts():
    hostile = ["<script>alert(1)</script>", 'a "quoted"\nline', "=SUM(A1)", "\u202egnirts", "가 나 다", "x" * 10_000]
    spec = AuditSpec.parse(PLAIN).with_(labels=hostile, metrics=[Metric("share", ("labels",))])
    assert spec.names == tuple(hostile)
    assert AuditSpec.from_dict(spec.to_dict()) == spec


def test_the_template_for_a_new_spec_is_one():
    text = spec_template('my "own" audit')
    assert AuditSpec.parse(text).name == "my_own_audit"
    # what is commented out is sound too: every key with a default may be switched on
    opened = "\n".join(
        line.removeprefix("# ") if line.startswith(("# seed", "# person")) else line for line in text.splitlines()
    )
    assert tomllib.loads(opened)["groups"]["person"] == "person"


def test_labels_that_the_tokenizer_reads_alike_are_refused():
    model = clipviz.load()
    spec = AuditSpec.parse(PLAIN)
    check_tokens(spec, model)
    with pytest.raises(SpecError, match="'a thief' and 'A Thief' are the same to the tokenizer"):
        check_tokens(spec.with_(labels=["a thief", "A Thief"], metrics=[Metric("share")]), model)
    long = [f"{'word ' * 40}{end}" for end in ("one", "two")]
    with pytest.raises(SpecError, match="in other, shorter words"):
        check_tokens(spec.with_(labels=long, metrics=[Metric("share")]), model)


def test_sets_of_labels_are_asked_apart():
    spec = AuditSpec.load("fairface_classification")
    race, gender, _ = spec.parts()
    assert (race.part, race.names[0], gender.names) == ("race", "Black", ("man", "woman"))
    assert race.parts() == (race,)
    accuracy = next(metric for metric in race.metrics if metric.metric == "accuracy")
    assert race.of(accuracy) == (("overall", "race"), ("category", "race, by category"))
    assert spec.of(accuracy) == race.of(accuracy)  # a gate may name it before the spec is split
    bound = "'race, by category'.gender.gap.ci_low > 0.05"
    assert spec.with_(gate={"fail_if": [bound]}).gate.fail_if == (bound,)
    alone = spec.with_(labels=race.labels, metrics=race.metrics)
    assert [one.part for one in alone.parts()] == ["race"]
    with pytest.raises(SpecError, match="Did you mean 'race'"):
        spec.with_(metrics=[Metric("share", set="rase")])
