"""Groups are matched by name; what is unknown is kept and listed, what is missing is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clipviz.auditing.fitting import fitted
from clipviz.auditing.groups import crossed, grouping, groupings, reference_of, right_labels, shown_in
from clipviz.auditing.known_tables import celeba_table, known_name, utkface_table
from clipviz.auditing.persons import persons_suspected
from clipviz.auditing.spec import AuditSpec, Label, Metric
from clipviz.errors import DataError

LABELS = (
    Label("a man", "identity", name="man", truth={"gender": "Male"}),
    Label("a woman", "identity", name="woman", truth={"gender": "female"}),
    Label("a child", "identity", name="child", shown_by={"age": ["0-2", "3-9"]}),
)


def spec_of(**groups):
    groups.setdefault("columns", ["gender", "race"])
    return AuditSpec.from_dict({"name": "t", "labels": list(LABELS), "metrics": [Metric("share")], "groups": groups})


def faces(**columns):
    rows = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.Index([f"{i}.jpg" for i in range(rows)], name="id"))


FACES = faces(
    gender=["Female", "Male", "Male", "Female", "Male"],
    race=["Latino_Hispanic", "Black", "Martian", "Black", "White"],
    age=["more than 70", "3-9", "0-2", "20-29", "10-19"],
)


def test_fairface_is_known_by_name_in_any_order_of_rows():
    spec = spec_of(columns=["gender", "race", "age"], crossings=[["race", "gender"]])
    gender, race, age, cells = groupings(FACES, spec)
    assert gender.names == ("Male", "Female") and gender.codes.tolist() == [1, 0, 0, 1, 0]
    assert race.names == ("Black", "White", "Latino or Hispanic", "Martian")  # known first, the unknown kept
    assert race.unknown == ("Martian",)
    assert age.names == ("0-2", "3-9", "10-19", "20-29", "over 70")
    assert cells.by == "race x gender"
    # a naive loop over pictures
    wanted = [f"{race.names[r]} x {gender.names[g]}" for r, g in zip(race.codes, gender.codes, strict=True)]
    assert [cells.names[code] for code in cells.codes] == wanted
    back = FACES.iloc[::-1]
    assert groupings(back, spec)[1].names == race.names
    assert cells.sizes.sum() == len(FACES)


def test_three_columns_cross_as_a_loop_does():
    rng = np.random.default_rng(0)
    frame = faces(
        gender=rng.choice(["Male", "Female"], 300), race=rng.choice(["Black", "White", "Indian"], 300),
        age=rng.choice(["0-2", "3-9", "60-69", ""], 300),
    )  # fmt: skip
    spec = spec_of(columns=["race", "gender", "age"], crossings=[["race", "gender", "age"]], empty="leave out")
    *_, cells = groupings(frame, spec)
    for code, row in zip(cells.codes, frame.itertuples(), strict=True):
        assert (cells.names[code] if code >= 0 else None) == (
            f"{row.race} x {row.gender} x {row.age}" if row.age else None
        )
    assert cells.empty == (frame["age"] == "").sum() and cells.left_out == 0


@pytest.mark.parametrize(
    "change,groups,said",
    [
        (lambda f: f.drop(columns="gender"), {}, r'no column \'gender\'.*Pass columns=\{"gender"'),
        (lambda f: f.assign(gender="Male"), {}, r"one value \('Male'\).*columns=\['race'\]"),
        (lambda f: f.assign(gender=None), {}, "5 of 5 pictures have no value"),
        (
            lambda f: f.assign(race=["Black", None, float("nan"), "White", " "]), {},
            r"3 of 5 .*'1\.jpg', '2\.jpg', '4\.jpg'.*empty=",
        ),
        (
            lambda f: f, {"mapping": {"race": {"Black": "B", "White": "W"}}},
            r"leaves out 'Latino_Hispanic', 'Martian'.*to leave",
        ),
        (lambda f: f.assign(gender=[0, 1, 1, 0, 1]), {}, r"what they stand for is not guessed.*utkface"),
        (lambda f: f, {"reference": {"race": "Blak"}}, "Did you mean 'Black'"),
        (lambda f: f.assign(race=[[1, 2]] * 5), {}, "holds lists or tables"),
    ],
    ids=["no column", "one value", "nobody told", "NaN", "mapping", "numbers", "reference", "lists"],
)  # fmt: skip
def test_bad_metadata_says_what_to_type(change, groups, said):
    spec = spec_of(**groups)
    with pytest.raises(DataError, match=said):
        [reference_of(spec, one) for one in groupings(change(FACES), spec)]


def test_too_many_values_are_no_groups():
    frame = faces(gender=["Male", "Female"] * 150, race=[f"person {i}" for i in range(300)])
    with pytest.raises(DataError, match=r"300 values.*no groups to compare.*mapping="):
        groupings(frame, spec_of())


def test_a_mapping_names_leaves_out_and_may_be_derived():
    spec = spec_of(
        columns=["race", "White or not"], empty="a group",
        mapping={"race": {"B": "Black", "W": "White", "x": ""}},
        derived={"White or not": {"column": "race", "values": {"White": "White", "Black": "Non-White"}}},
    )  # fmt: skip
    frame = faces(race=["B", "W", "x", None, "B"])
    race, coarse = groupings(frame, spec)
    assert race.names == ("Black", "White", "(empty)") and race.codes.tolist() == [0, 1, -1, 2, 0]
    assert (race.left_out, race.empty) == (1, 1)
    assert [coarse.names[c] if c >= 0 else "" for c in coarse.codes] == [
        "Non-White",
        "White",
        "",
        "(empty)",
        "Non-White",
    ]


def test_codes_and_file_names_of_utkface_and_attributes_of_celeba(tmp_path):
    assert known_name("race", "2") is None and known_name("race", "2", "utkface") == "Asian"
    ids = ["part1/1_0_2_20161219140623097.jpg.chip.jpg", "61_1_20170109142408075.jpg", "portrait.jpg"]
    told = utkface_table(ids)
    assert told.iloc[0].tolist() == ["0-2", "Male", "Asian"]
    assert told.iloc[1].tolist()[:2] == ["60-69", "Female"] and pd.isna(told.iloc[1]["race"])
    assert told.iloc[2].isna().all()
    frame = pd.DataFrame(index=pd.Index([f"{a}_{a % 2}_{a % 4}_20170116174525125.jpg" for a in range(1, 60)]))
    assert groupings(frame, spec_of())[0].sizes.tolist() == [29, 30]

    attributes = tmp_path / "list_attr_celeba.txt"
    attributes.write_text("2\nEyeglasses Male Smiling Young\n000001.jpg -1 -1  1  1\n000002.jpg -1  1  1 -1\n")
    celeba = celeba_table(attributes).set_index("image_id")
    assert [groupings(celeba, spec_of(columns=["gender", "age"]))[i].codes.tolist() for i in (0, 1)] == [[1, 0], [0, 1]]
    with pytest.raises(DataError, match="read the attributes again"):
        groupings(celeba.assign(Male=[2, 1]), spec_of(columns=["gender"]))


def test_which_label_is_right_and_which_pictures_show_it():
    spec = spec_of()
    assert right_labels(spec, FACES).tolist() == [1, 0, 0, 1, 0]
    assert shown_in(spec, LABELS[2], FACES).tolist() == [False, True, True, False, False]
    assert shown_in(spec, LABELS[2], FACES.drop(columns="age")) is None
    assert shown_in(spec, Label("x", "neutral"), FACES) is None
    twice = spec.with_(labels=[LABELS[0], Label("a boy", "identity", truth={"gender": "Male", "age": "3-9"})])
    with pytest.raises(DataError, match=r"'1\.jpg' is both 'man' and 'a boy'"):
        right_labels(twice, FACES)


def test_a_spec_is_fitted_to_what_the_data_tell():
    spec, notes = fitted(spec_of(adjust=["age", "skin"]), FACES)
    assert spec.groups.adjust == ("age",) and "skin" in notes[0]
    two = spec_of().with_(
        labels=[*(Label(t, "identity", set="gender", truth={"gender": t}) for t in ("Male", "Female")),
                *(Label(t, "neutral", set="hat", truth={"hat": t}) for t in ("yes", "no"))],
        metrics=[Metric("accuracy")],
    )  # fmt: skip
    left, notes = fitted(two, FACES)
    assert left.sets == ("gender",) and "'hat'" in notes[0]
    with pytest.raises(DataError, match="no column 'gender', which says what is right"):
        fitted(left, FACES.drop(columns="gender"))


@pytest.mark.parametrize(
    "ids,suspected",
    [
        ([f"Person_{p}/{i:04}.jpg" for p in "abcd" for i in range(4)], True),
        ([f"n{p:06}_{i}.jpg" for p in range(30) for i in range(3)], True),
        ([f"train/{i}.jpg" for i in range(100)], False),
        ([f"IMG_{i:04}.jpg" for i in range(100)], False),
        ([f"{i % 90}_{i % 2}_{i % 5}_2017011617452{i:04}.jpg.chip.jpg" for i in range(500)], False),
        ([f"{word}/{i}.jpg" for word in ("nurse", "doctor", "judge") for i in range(400)], False),
    ],
    ids=["folders", "names", "fairface", "camera", "utkface", "classes"],
)
def test_several_pictures_of_one_person_are_suspected(ids, suspected):
    said = persons_suspected(ids)
    assert ('person="' in said) is suspected


def test_crossing_a_grouping_with_itself_changes_nothing():
    race = grouping(FACES, spec_of(), "race")
    assert crossed([race, race]).codes.tolist() == [sorted(set(race.codes)).index(c) for c in race.codes]
