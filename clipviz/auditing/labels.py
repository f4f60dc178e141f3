"""What a picture may be labelled in an audit: a text, and the role that it plays there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import PromptError, SpecError, nearest
from ..text import Prompt

ROLES = ("identity", "harmful", "neutral", "placebo")


@dataclass(frozen=True)
class Label:
    """One text that competes with the others of its set.

    ``role`` : "identity" says who is seen ("a Black woman"), "harmful" denigrates, "neutral" is neither, "placebo"
    means nothing. ``category`` : what several labels have in common ("crime-related"). ``name`` : what tables call it,
    the text by default. ``set`` : the labels of one set compete with each other alone; one spec may hold several.
    ``truth`` : column -> values for which this label is the right answer. ``shown_by`` : column -> values of pictures
    known to show it, which tell whether the model knows the words. ``near`` : the name of the label that this one is a
    close distractor of. Raises SpecError, or PromptError for what is no text.

    >>> Label("a thief", "harmful", "crime-related", name="thief").name
    'thief'
    """

    text: str
    role: str
    category: str = ""
    name: str = ""
    set: str = ""
    truth: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    shown_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    near: str = ""

    def __post_init__(self) -> None:
        try:
            Prompt(self.text)
        except PromptError as error:
            raise SpecError(f"A label's text cannot be read: {error}") from error
        if self.role not in ROLES:
            raise SpecError(
                f"The label {self.text[:60]!r} has the role {self.role!r}; a role is one of {', '.join(ROLES)}. "
                f"{nearest(self.role, ROLES)}"
            )
        object.__setattr__(self, "name", self.name or self.text)
        object.__setattr__(self, "truth", values_by_column(self.truth, f"the label {self.name[:60]!r}", "truth"))
        object.__setattr__(
            self, "shown_by", values_by_column(self.shown_by, f"the label {self.name[:60]!r}", "shown_by")
        )
        if self.near == self.name:
            raise SpecError(f"The label {self.name[:60]!r} is near itself; name the other label in near.")


def values_by_column(given: Any, whose: str, key: str) -> Mapping[str, tuple[str, ...]]:
    """``{"gender": "Male"}`` or ``{"age": ["0-2", "3-9"]}`` -> column -> values, all as texts."""
    if not isinstance(given, Mapping):
        raise SpecError(f'{whose}: {key} is {given!r}; write it as {key} = {{ gender = "Female" }}.')
    found: dict[str, tuple[str, ...]] = {}
    for column, values in given.items():
        several = list(values) if isinstance(values, list | tuple) else [values]
        if not several or not all(isinstance(one, str | int | float | bool) for one in several):
            raise SpecError(f"{whose}: {key}.{column} is {values!r}; give one value of the column, or a list of them.")
        found[str(column)] = tuple(str(one) for one in several)
    return found


def names_of(labels: Iterable[Label]) -> tuple[str, ...]:
    return tuple(label.name for label in labels)


def categories_of(labels: Iterable[Label]) -> tuple[str, ...]:
    """The categories in the order of the labels; a label without one belongs to none."""
    return tuple(dict.fromkeys(label.category for label in labels if label.category))
