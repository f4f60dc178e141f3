"""What a figure may be called: the stronger word needs the card's own list."""

from __future__ import annotations

from typing import Any

import pytest

from clipviz.evaluation.seen import NOT_KNOWN, SEEN, ZERO_SHOT, seen_claim

PETS = [["cat", "Felis catus"], ["dog"]]


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ({}, NOT_KNOWN),
        ({"training_classes": []}, NOT_KNOWN),  # trained on nothing: nothing was told
        ({"training_classes": "cat, dog"}, NOT_KNOWN),
        ({"training_classes": ["Dog", "felis  catus", "lemon"]}, SEEN),
        ({"training_classes": ["dog", "lemon"]}, "prompt accuracy, 1 of 2 classes seen in training"),
        ({"training_classes": ["lemon", "school bus"]}, ZERO_SHOT),
        ({"training_classes": ["Egyptian cat"]}, NOT_KNOWN + ": 'cat' is near 'Egyptian cat', which was"),
        ({"training_classes": ["catalogue", "hot-dogs"]}, ZERO_SHOT),  # parts of words are no words
    ],
)
def test_claims(card: dict[str, Any], says: str) -> None:
    assert seen_claim(card, PETS) == says


def test_a_longer_name_than_the_one_that_was_trained_on_is_near_too() -> None:
    assert seen_claim({"training_classes": ["bus"]}, [["school bus"], ["dog"]]).startswith(NOT_KNOWN)
