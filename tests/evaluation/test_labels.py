"""Labels are matched by value, and what is ambiguous is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from clipviz.errors import ClipvizError, DataError, InputError, PromptError
from clipviz.evaluation.labels import read_labels, shared_names, value_of

ROWS = [
    {"class_id": 7, "wnid": "n01", "names": ["tench", "Tinca tinca"]},
    {"class_id": 3, "wnid": "n02", "names": ["goldfish"]},
]


def test_the_truths_themselves_sorted() -> None:
    found = read_labels(None, ["dog", "cat"], "label")
    assert found.values == ("cat", "dog")
    assert found.names == (("cat",), ("dog",))


def test_a_mapping_of_any_order_and_kind_of_key() -> None:
    one = read_labels({3: "goldfish", 7: ("tench", "Tinca tinca")}, [7, 3], "class_id")
    two = read_labels({"3": ["goldfish"], "7": ["tench", "Tinca tinca"]}, [7, 3], "class_id")
    assert one.values == two.values == (3, 7)
    assert all(type(value) is int for value in two.values)  # the data's own values, not the JSON's texts
    assert one.fingerprint == two.fingerprint
    assert read_labels({3: "goldfish", 7: "tench"}, [7, 3], "class_id").fingerprint != one.fingerprint


@pytest.mark.parametrize(("truths", "key"), [([3, 7], "class_id"), (["n02", "n01"], "wnid")])
def test_the_key_column_of_a_table_is_found_by_its_values(tmp_path: Path, truths: list, key: str) -> None:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(ROWS))
    for labels in (path, str(path), ROWS):
        found = read_labels(labels, truths, "anything")
        assert found.key == key
        assert dict(zip(found.values, found.names, strict=True))[truths[0]] == ("goldfish",)


def test_several_columns_that_hold_the_truths_are_refused_unless_one_has_its_name() -> None:
    rows = [{"class_id": i, "rank": 1 - i, "name": f"thing {i}"} for i in range(2)]
    with pytest.raises(DataError, match="'class_id', 'rank'"):
        read_labels(rows, [0, 1], "truth")
    assert read_labels(rows, [0, 1], "rank").names[0] == ("thing 0",)
    assert read_labels(rows, [0, 1], "rank").values == (1, 0)


def test_the_first_name_alone() -> None:
    assert read_labels(ROWS, [3, 7], "class_id", "first").names == (("tench",), ("goldfish",))


def test_shared_synonyms_are_told() -> None:
    labels = read_labels({"a": ["police van", "Wagon"], "b": ["estate car", "wagon"]}, ["a", "b"], "label")
    assert shared_names(labels) == [("wagon", ["a", "b"])]


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        ([], InputError, "no labels"),
        (["dog"], InputError, r"one label \('dog'\)"),
        ({}, InputError, "no labels"),
        (["dog", "cat", "dog"], InputError, "'dog' is there twice"),
        ({"a": "dog", "b": " Dog"}, PromptError, "'a' and 'b' are both called"),
        ({"a": ["x", "y"], "b": ["y", "x"]}, PromptError, "both called"),
        ({"a": "dog", "b": "  "}, PromptError, "blank"),
        ({"a": "dog", "b": []}, InputError, "'b' has the names"),
        ({"a": "dog", "b": 3}, InputError, "'b' has the names 3"),
        ({"a": "dog", None: "cat"}, InputError, "no value"),
        ([1, 2], InputError, "holds names, got 1"),
        (7, InputError, "got int"),
        (b"dog", InputError, "got bytes"),
        ("nowhere.json", DataError, "no file 'nowhere.json'"),
        ([{"id": "a", "title": "dog"}, {"id": "b", "title": "cat"}], InputError, "'id', 'title'"),
        ([{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}], DataError, "No column of the labels"),
        ([{"id": "a", "name": "dog"}, "cat"], InputError, "some of these are none"),
    ],
)
def test_bad_labels(labels: object, error: type[ClipvizError], says: str) -> None:
    with pytest.raises(error, match=says):
        read_labels(labels, ["a", "b"], "label")


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "cannot be read as JSON"), ("3", "holds int"), ('{"a": "x", "a": "y"}', "'a' is there twice")],
)
def test_bad_json(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        read_labels(path, ["a", "b"], "label")


def test_numbers_are_no_names() -> None:
    with pytest.raises(DataError, match=r"holds 3, 7, which are no names"):
        read_labels(None, [3, 7], "class_id")
    with pytest.raises(InputError, match="synonyms='some'"):
        read_labels(["a", "b"], ["a"], "label", "some")  # type: ignore[arg-type]


def test_cells() -> None:
    assert value_of(np.int16(3)) == 3 and value_of(3.0) == 3 and type(value_of(3.0)) is int
    assert value_of(None) is None and value_of(float("nan")) is None
    with pytest.raises(DataError, match="got list"):
        value_of([1, 2])
