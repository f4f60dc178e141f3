"""Tables and provenance as text, and what a block refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clipviz.errors import InputError
from clipviz.reporting import Details, Item, Listing, Notice, Picture, Section, Table, Text
from clipviz.reporting.blocks import table_text, value_text


def test_rows_of_dicts_keep_the_order_of_their_keys() -> None:
    grid = table_text(Table([{"b": 1, "a": "x"}, {"c": 2.5, "a": None}], "t"))
    assert grid.columns == ("b", "a", "c")
    assert grid.rows == (("1", "x", "–"), ("–", "–", "2.5"))
    assert grid.numeric == (True, False, True)


def test_a_data_frame_shows_an_index_only_where_it_says_something() -> None:
    frame = pd.DataFrame({"n": [1, 2]})
    assert table_text(Table(frame, "t")).columns == ("n",)
    assert table_text(Table(frame.rename_axis("row"), "t")).columns == ("row", "n")
    named = table_text(Table(pd.DataFrame({"n": [1, 2]}, index=["a", "b"]), "t"))
    assert named.rows == (("a", "1"), ("b", "2"))
    double = frame.set_index(pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", "q"]))
    assert table_text(Table(double, "t")).columns == ("p", "q", "n")
    wide = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "low"), ("a", "high")]))
    assert table_text(Table(wide, "t")).columns == ("a · low", "a · high")


@pytest.mark.parametrize(
    ("value", "spec", "wanted"),
    [
        (0.123456, "", "0.1235"),
        (np.float32(0.5), ".1%", "50.0%"),
        (-3, "", "\u22123"),
        (np.int64(1234), ",", "1,234"),
        (float("nan"), ".3f", "–"),
        (None, "", "–"),
        (pd.NA, "", "–"),
        (pd.NaT, "", "–"),
        (True, "", "yes"),
        (np.bool_(False), "", "no"),
        (["a", 1], "", "a, 1"),
        ([], "", "–"),
        ("text", "", "text"),
    ],
)
def test_cells(value: Any, spec: str, wanted: str) -> None:
    assert table_text(Table([{"v": value}], "t", formats={"v": spec})).rows == ((wanted,),)


def test_figures_in_words_stand_as_numbers_do() -> None:
    grid = table_text(Table([{"what": "a", "value": "1.0 points"}], "t", figures=("value",)))
    assert grid.numeric == (False, True)
    with pytest.raises(InputError, match="figures names the column 'n'"):
        table_text(Table([{"value": "1"}], "t", figures=("n",)))


def test_an_empty_table_is_a_table() -> None:
    assert table_text(Table([], "t")).rows == ()
    assert table_text(Table(pd.DataFrame({"a": []}), "t")).columns == ("a",)


def test_provenance_keeps_numbers_whole() -> None:
    assert value_text(0.1 + 0.2) == "0.30000000000000004"
    assert value_text([0.48145466, 2]) == "0.48145466, 2"
    assert value_text({"a": {"b": 1}}) == "a: b: 1"
    assert value_text(np.int64(-7)) == "-7"


@pytest.mark.parametrize("rows", ["text", 7, [1, 2], {"a": 1}])
def test_what_is_no_table_is_refused(rows: object) -> None:
    with pytest.raises(InputError, match="DataFrame or a list of dicts"):
        table_text(Table(rows, "t"))


def test_formats_must_fit() -> None:
    with pytest.raises(InputError, match="'accurracy'"):
        table_text(Table([{"accuracy": 1.0}], "t", formats={"accurracy": ".1%"}))
    with pytest.raises(InputError, match="'zz' cannot format"):
        table_text(Table([{"a": 1.0}], "t", formats={"a": "zz"}))


def test_what_a_reader_needs_is_demanded() -> None:
    with pytest.raises(InputError, match="alt="):
        Picture(b"")
    with pytest.raises(InputError, match="caption="):
        Table([], " ")
    with pytest.raises(InputError, match="'info' or 'warning'"):
        Notice("x", "error")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'loud'"):
        Item("x", tone="loud")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="holds Items"):
        Listing("x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="summary"):
        Details(" ")
    with pytest.raises(InputError, match="cannot fold Section"):
        Details("x", Section("y"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cannot hold str"):
        Section("t", "text")  # type: ignore[arg-type]


def test_blocks_are_frozen_values() -> None:
    assert Section("t", Text("x")) == Section("t", Text("x"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Section("t").title = "u"  # type: ignore[misc]
