"""What is said about the pictures of a source: concepts, and the wordings of each."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, SpecError, nearest
from .data_recipe import CaptionRecipe, SourceRecipe

COLUMN = re.compile(r"\{(\w*)\}")
FIRST = 0.5  # how often a value is called by its first name, where it has several

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Concept:
    """Templates with columns in braces, and for each column the names of this concept's value."""

    templates: tuple[str, ...]
    names: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def first(self) -> str:
        return _filled(self.templates[0], {column: names[0] for column, names in self.names})

    def wordings(self) -> Iterable[str]:
        """Every way to say it."""
        columns = [column for column, _ in self.names]
        for template in self.templates:
            for words in itertools.product(*(names for _, names in self.names)):
                yield _filled(template, dict(zip(columns, words, strict=True)))

    def say(self, rng: np.random.Generator) -> str:
        """One wording by chance."""
        words = {}
        for column, names in self.names:
            others = len(names) > 1 and rng.random() >= FIRST
            words[column] = names[1 + rng.integers(len(names) - 1)] if others else names[0]
        return _filled(self.templates[rng.integers(len(self.templates))], words)


@dataclass
class Concepts:
    """All concepts of a run, numbered; one that two sources name alike is one concept."""

    every: list[Concept] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, concept: Concept) -> int:
        if concept.first not in self.numbers:
            self.numbers[concept.first] = len(self.every)
            self.every.append(concept)
        return self.numbers[concept.first]


class Captions:
    """The concepts of each picture of a source.

    ``of`` [N, M] numbers what is true of each picture, -1 for none; ``own`` [N, groups] what its own caption may
    be, by caption of the recipe, -1 where that caption does not hold for it; ``weights`` [groups].
    """

    def __init__(self, source: SourceRecipe, rows: Sequence[Sequence[Row]], concepts: Concepts):
        """``rows``: for each picture its metadata, a row a thing in it; the first row's captions are its own."""
        self.source, self.concepts = source, concepts
        groups = source.captions or (CaptionRecipe(templates=("{" + source.caption + "}",)),)
        names = {**source.names, **_classes(source)} if source.classes else source.names
        say = [_sayer(source, group, names, rows) for group in groups]
        known: dict[tuple[int, tuple[Any, ...]], int] = {}

        def number(g: int, row: Row) -> int:
            columns, concept = say[g]
            key = (g, tuple(str(row.get(c)) for c in columns))
            if key not in known:
                made = concept(row)
                known[key] = concepts.number(made) if made else -1
            return known[key]

        self.weights = np.array([group.weight for group in groups])
        self.own = np.array([[number(g, things[0]) for g in range(len(groups))] for things in rows], dtype=np.int64)
        all_of = [sorted({number(g, t) for g in range(len(groups)) for t in things} - {-1}) for things in rows]
        width = max((len(numbers) for numbers in all_of), default=0)
        self.of = np.full((len(rows), max(1, width)), -1, dtype=np.int64)
        for i, numbers in enumerate(all_of):
            self.of[i, : len(numbers)] = numbers

    @property
    def useful(self) -> NDArray[np.bool_]:
        """Which pictures have a caption [N]; the others have an empty one and are dropped."""
        return np.asarray((self.own >= 0).any(axis=1))

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over what is said of each picture, and over every way to say it."""
        total = hashlib.sha256(self.own.tobytes() + self.of.tobytes())
        for number in np.unique(np.concatenate([self.own.ravel(), self.of.ravel()])):
            if number >= 0:
                concept = self.concepts.every[number]
                total.update(json.dumps([concept.templates, concept.names]).encode())
        return total.hexdigest()

    def draw(self, i: int, rng: np.random.Generator) -> int:
        """The concept that picture ``i`` is shown with this time."""
        may = self.own[i] >= 0
        weights = np.where(may, self.weights, 0.0)
        if weights.sum() == 0:
            weights = may.astype(float)
        return int(self.own[i][np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right")])


def _filled(template: str, words: Mapping[str, str]) -> str:
    # plain replacement: a name with braces of its own is text, and a template reaches no attribute of anything
    return COLUMN.sub(lambda match: words[match.group(1)], template).strip()


def _sayer(
    source: SourceRecipe,
    group: CaptionRecipe,
    names: Mapping[str, Mapping[str, list[str]]],
    rows: Sequence[Sequence[Row]],
) -> tuple[list[str], Callable[[Row], Concept | None]]:
    """The columns that decide what a caption says, and what it says of a row; None for nothing."""
    used = sorted({column for template in group.templates for column in COLUMN.findall(template)})
    columns = sorted({*used, *group.only, *group.unless})
    for template in group.templates:
        if {"{", "}"} & set(COLUMN.sub("", template)):
            raise SpecError(
                f"The template {template!r} of {source.label!r} has a brace that encloses no column; write "
                '"a photo of a {column}".'
            )
    there = {column for things in rows[:1000] for row in things for column in row}
    for column in columns:
        if column not in there:
            raise DataError(
                f"The captions of {source.label!r} name the column {column!r}, which its data have not. "
                f"{nearest(column, there)}"
            )
    for template in group.templates:
        missing = set(used) - set(COLUMN.findall(template))
        if missing:
            raise SpecError(
                f"The template {template!r} of {source.label!r} lacks {{{sorted(missing)[0]}}}, which another of the "
                "same caption has; templates of one caption say the same thing, so give it a caption of its own."
            )

    def concept(row: Row) -> Concept | None:
        if any(str(row.get(c)) not in values for c, values in group.only.items()):
            return None
        if any(str(row.get(c)) in values for c, values in group.unless.items()):
            return None
        said = []
        for column in used:
            value = row.get(column)
            words = names[column].get(str(value)) if column in names else [value]
            if words is None:
                raise DataError(
                    f"The recipe names the values of {column!r} of {source.label!r}, but not {value!r}. "
                    f"{nearest(str(value), names[column])}"
                )
            clean = tuple(
                str(word).strip() for word in words if word is not None and str(word).strip() not in ("", "nan")
            )
            if not clean:
                return None
            said.append((column, clean))
        return Concept(tuple(group.templates), tuple(said))

    return columns, concept


def _classes(source: SourceRecipe) -> dict[str, dict[str, list[str]]]:
    """A JSON list of {column: value, "names": [...]} as names of the values of each such column that captions use."""
    path = Path(source.classes)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        used = {c for group in source.captions for t in group.templates for c in COLUMN.findall(t)}
        columns = [key for key in entries[0] if key in used]
        return {c: {str(entry[c]): list(entry["names"]) for entry in entries} for c in columns}
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise SpecError(
            f'classes={str(path)!r} cannot be read as a JSON list of {{column: value, "names": [...]}} ({error!r}).'
        ) from error
