"""Labels: roles, names, and the columns that tell where a label is right."""

from __future__ import annotations

import pickle

import pytest

from clipviz.auditing.labels import Label, categories_of
from clipviz.errors import SpecError


def test_a_label_is_called_by_its_text_unless_named():
    label = Label("a thief", "harmful", "crime-related", truth={"gender": "Male", "age": [3, "10-19"]})
    assert label.name == "a thief"
    assert label.truth == {"gender": ("Male",), "age": ("3", "10-19")}
    assert pickle.loads(pickle.dumps(label)) == label
    assert categories_of([label, Label("x", "neutral"), Label("y", "neutral", "other")]) == ("crime-related", "other")


@pytest.mark.parametrize(
    "given,said",
    [
        ({"text": "", "role": "neutral"}, "is empty"),
        ({"text": "x", "role": "victim"}, "identity, harmful, neutral, placebo"),
        ({"text": "x", "role": "neutral", "near": "x"}, "near itself"),
        ({"text": "x", "role": "neutral", "truth": "Male"}, "write it as truth = "),
        ({"text": "x", "role": "neutral", "shown_by": {"gender": []}}, "one value of the column"),
    ],
)
def test_a_label_that_cannot_be_is_refused(given, said):
    with pytest.raises(SpecError, match=said):
        Label(**given)
