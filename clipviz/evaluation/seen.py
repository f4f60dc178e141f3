"""May a figure be called zero-shot? Only where the model's card lists what it was trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

CARD_KEY = "training_classes"  # on a model's card: the names of every class whose name or pictures it was trained on
SEEN = "prompt accuracy, classes seen in training"
ZERO_SHOT = "zero-shot"
NOT_KNOWN = "not known whether the classes were seen in training"


def seen_claim(card: Mapping[str, Any], names: Sequence[Sequence[str]]) -> str:
    """What accuracy on these labels (the names of each) may be called, by the model's ``card``.

    A label was seen where one of its names is among the card's ``training_classes``. "zero-shot" is only said where
    none was, nor a name of which one is a part of the other ("bus", "school bus"). That all tokens of a name occurred
    in training proves nothing either way, and is not asked.

    >>> seen_claim({"training_classes": ["dog"]}, [["cat"], ["lemon"]])
    'zero-shot'
    >>> seen_claim({}, [["cat"], ["lemon"]])
    'not known whether the classes were seen in training'
    """
    listed = card.get(CARD_KEY)
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(name, str) for name in listed):
        return NOT_KNOWN
    trained = {_words(name): name for name in listed}
    seen = [of_label for of_label in names if any(_words(name) in trained for name in of_label)]
    if len(seen) == len(names):
        return SEEN
    if seen:
        return f"prompt accuracy, {len(seen)} of {len(names)} classes seen in training"
    for of_label in names:
        for name in of_label:
            near = next((full for words, full in trained.items() if _overlap(words, _words(name))), None)
            if near is not None:
                return f"{NOT_KNOWN}: {name!r} is near {near!r}, which was"
    return ZERO_SHOT


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", name.casefold()))


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the shorter stands within the longer, word by word."""
    short, long = sorted((one, other), key=len)
    return any(long[i : i + len(short)] == short for i in range(len(long) - len(short) + 1)) if short else False
