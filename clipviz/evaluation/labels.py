"""What the labels are called: truth values of a data set -> one name or several, matched by value, never by place."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..errors import DataError, InputError, PromptError, nearest
from ..text import Prompt

Value: TypeAlias = str | int | float | bool
Synonyms = Literal["all", "first"]
NAME_COLUMNS = ("names", "name")  # of a JSON table of classes
_SHOWN = 8


@dataclass(frozen=True)
class Labels:
    """Truth values and the names of each, in a fixed order; ``key`` says where the values came from.

    >>> Labels((0, 1), (("tench", "Tinca tinca"), ("goldfish",)), "class_id").names[0]
    ('tench', 'Tinca tinca')
    """

    values: tuple[Value, ...]
    names: tuple[tuple[str, ...], ...]
    key: str

    def __len__(self) -> int:
        return len(self.values)

    def places(self) -> dict[str, int]:
        """Where the label of a truth value is, as text: a JSON's key "0" means the number 0."""
        return {str(value): i for i, value in enumerate(self.values)}

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over values and names in order."""
        said = json.dumps([[str(v), list(n)] for v, n in zip(self.values, self.names, strict=True)])
        return hashlib.sha256(said.encode()).hexdigest()


def value_of(raw: Any) -> Value | None:
    """A cell as a plain value; None where it is empty. 3.0 is 3: a column with gaps turns whole numbers into floats.

    Raises DataError for lists and the like, which are no single truth.
    """
    if hasattr(raw, "item") and getattr(raw, "shape", None) == ():
        raw = raw.item()
    if raw is None or type(raw).__name__ in ("NAType", "NaTType") or (isinstance(raw, float) and raw != raw):
        return None
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    if isinstance(raw, str | int | float | bool):
        return raw
    raise DataError(f"A truth is a text or a number, got {type(raw).__name__} ({str(raw)[:60]}); name another column.")


def read_labels(labels: Any, truths: Sequence[Value], column: str, synonyms: Synonyms = "all") -> Labels:
    """``labels`` as the caller gave them, for a data set whose ``column`` holds the distinct ``truths``.

    None (the truths themselves), a list of names, a mapping value -> name or names, a JSON file of either, or a table
    of dicts with the names under ``names`` or ``name``: its key column is the one that holds the truths. With
    ``synonyms="first"`` only the first name of each counts. Raises InputError, PromptError or DataError.
    """
    if synonyms not in ("all", "first"):
        raise InputError(f"synonyms={synonyms!r} is not 'all' or 'first'; take one of them.")
    if isinstance(labels, str | os.PathLike):
        labels = _from_json(Path(labels))
    if labels is None:
        found = _own_names(truths, column)
    elif isinstance(labels, Mapping):
        found = _mapped([(key, names) for key, names in labels.items()], "the mapping's keys")
    elif isinstance(labels, Iterable) and not isinstance(labels, bytes):
        rows = list(labels)
        found = _table(rows, truths, column) if rows and isinstance(rows[0], Mapping) else _listed(rows)
    else:
        raise InputError(
            f"labels is a list of names, a mapping value -> names or the path of a JSON; got {type(labels).__name__}."
        )
    if synonyms == "first":
        found = Labels(found.values, tuple(names[:1] for names in found.names), found.key)
    _check_distinct(found)
    return replace(found, values=_as_in_data(found.values, truths))


def shared_names(labels: Labels) -> list[tuple[str, list[Value]]]:
    """The names that two labels or more have in common, with those labels' values."""
    owners: dict[str, list[Value]] = {}
    for value, names in zip(labels.values, labels.names, strict=True):
        for name in {_folded(name): None for name in names}:
            owners.setdefault(name, []).append(value)
    return [(name, values) for name, values in owners.items() if len(values) > 1]


def listed(values: Iterable[Any]) -> str:
    """The first few, quoted, and how many more there are."""
    values = list(values)
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(repr(v) for v in values[:_SHOWN]) + more


def _as_in_data(values: Sequence[Value], truths: Sequence[Value]) -> tuple[Value, ...]:
    """The data's own values: the keys of a JSON object are texts, and the column may hold numbers."""
    own = {str(value): value for value in truths}
    if own and all(type(value) is int for value in truths):
        return tuple(int(value) if str(value).lstrip("-").isdecimal() else value for value in values)
    return tuple(own.get(str(value), value) for value in values)


def _own_names(truths: Sequence[Value], column: str) -> Labels:
    wrong = [value for value in truths if not isinstance(value, str)]
    if wrong:
        raise DataError(
            f"The truth column {column!r} holds {listed(wrong)}, which are no names: pass labels={{{wrong[0]!r}: "
            "'a name', ...}, or the path of a JSON with the names."
        )
    names = sorted(str(value) for value in truths)
    return _mapped([(name, name) for name in names], f"the values of {column!r}")


def _listed(rows: Sequence[Any]) -> Labels:
    for name in rows:
        if not isinstance(name, str):
            raise InputError(f"A list of labels holds names, got {name!r}; for values pass a mapping value -> name.")
    return _mapped([(name, name) for name in rows], "the names")


def _mapped(pairs: Sequence[tuple[Any, Any]], key: str) -> Labels:
    values: list[Value] = []
    names: list[tuple[str, ...]] = []
    for raw, given in pairs:
        value = value_of(raw)
        if value is None:
            raise InputError("A label has no value (None or NaN); pass the value that the truth column holds.")
        given = (given,) if isinstance(given, str) else given
        if isinstance(given, Mapping | bytes) or not isinstance(given, Iterable) or not (kept := tuple(given)):
            raise InputError(f"The label {value!r} has the names {given!r}; give a name or a list of names.")
        for name in kept:
            Prompt(name)  # PromptError for what is no text
        values.append(value)
        names.append(tuple(dict.fromkeys(kept)))
    if len(values) < 2:
        got = f"one label ({values[0]!r})" if values else "no labels"
        raise InputError(f"At least two labels are needed to tell apart, got {got}; pass more.")
    texts = [str(value) for value in values]
    if len(set(texts)) < len(texts):
        twice = next(text for text in texts if texts.count(text) > 1)
        raise InputError(f"The label {twice!r} is there twice; give each truth value once, with all of its names.")
    return Labels(tuple(values), tuple(names), key)


def _table(rows: Sequence[Any], truths: Sequence[Value], column: str) -> Labels:
    if not all(isinstance(row, Mapping) for row in rows):
        raise InputError("A table of labels is a list of dicts; some of these are none.")
    columns = [name for name in rows[0] if all(name in row for row in rows)]
    named = next((name for name in NAME_COLUMNS if name in columns), None)
    if named is None:
        raise InputError(
            f"The table of labels has the columns {listed(columns)}, and names are looked for under "
            f"{' or '.join(map(repr, NAME_COLUMNS))}; rename the column of the names."
        )
    key = _key_column(rows, columns, {str(value) for value in truths}, column)
    return _mapped([(row[key], row[named]) for row in rows], key)


def _key_column(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], wanted: set[str], column: str) -> str:
    """The column that holds the truths: by value, and by name only where several hold them."""
    cells = {
        name: {str(row[name]) for row in rows}
        for name in columns
        if all(isinstance(row[name], str | int | float | bool) for row in rows)
    }
    whole = [name for name, values in cells.items() if wanted <= values]
    fits = whole or [name for name, values in cells.items() if wanted & values]
    if len(fits) > 1 and column in fits:
        return column
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise DataError(
            f"The values of {column!r} are in the columns {listed(fits)} of the labels alike, and which is meant "
            "cannot be told; pass a mapping value -> names."
        )
    raise DataError(
        f"No column of the labels ({listed(columns)}) holds values of {column!r} such as {listed(sorted(wanted)[:3])}; "
        "name the truth column that they are keyed by."
    )


def _from_json(path: Path) -> Any:
    if not path.is_file():
        raise DataError(
            f"There is no file {str(path)!r}; labels is a list, a mapping, or the path of a JSON with them."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON ({error}).") from error
    if not isinstance(found, list | dict):
        raise DataError(f"{str(path)!r} holds {type(found).__name__}; a list or an object of labels is wanted.")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # json would keep the last in silence
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is there twice")
    return found


def _check_distinct(labels: Labels) -> None:
    owner: dict[frozenset[str], Value] = {}
    for value, names in zip(labels.values, labels.names, strict=True):
        said = frozenset(map(_folded, names))
        if said in owner:
            raise PromptError(
                f"The labels {owner[said]!r} and {value!r} are both called {names[0]!r}, and which of them wins would "
                "be chance; give one of them another name."
            )
        owner[said] = value


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())  # tokenizers read neither capitals nor double spaces


def truth_column(table: Any, column: str, where: str) -> list[Value | None]:
    """The cells of ``column`` of a source's ``table``; DataError with the nearest name where there is none."""
    if column not in table.columns:
        known = [str(name) for name in table.columns]
        hint = nearest(column, known) if known else "It has no columns; a folder's subfolders would become 'label'."
        raise DataError(
            f"There is no column {column!r} in {where} that could be the truth. {hint} Name it with truth=."
        )
    return [value_of(raw) for raw in table[column].tolist()]
