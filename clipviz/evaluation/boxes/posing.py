"""What is asked of each picture, and what is there: labels, truth and questions put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, InputError, nearest
from ...sources import Source
from ...text import Prompt
from ..labels import Labels, Value, read_labels, value_of
from .tables import ASKED
from .truth import BoxTruth, read_boxes

if TYPE_CHECKING:
    import pandas as pd

TRUTH_ONLY, EVERYTHING = "truth", "all"


@dataclass(frozen=True, eq=False)
class Asked:
    """The pictures of a source with what is asked of each and what is there, all under the labels' ``keys``.

    ``truth`` and ``pairs`` are the tables that the metrics take; ``asks`` is id -> keys in the labels' order, also of
    those that are not judged, as labels compete with each other.
    """

    source: Source
    truth: pd.DataFrame
    pairs: pd.DataFrame
    asks: Mapping[str, tuple[str, ...]]
    sizes: Mapping[str, tuple[int, int]]
    bad: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def without(self, lost: Sequence[str]) -> Asked:
        """The same without pictures that could not be seen after all."""
        gone = set(lost)
        return Asked(
            self.source, self.truth[~self.truth["image"].isin(gone)].reset_index(drop=True),
            self.pairs[~self.pairs["image"].isin(gone)].reset_index(drop=True),
            {name: keys for name, keys in self.asks.items() if name not in gone}, self.sizes, self.bad, self.notes,
        )  # fmt: skip

    def groups(self) -> dict[tuple[str, ...], list[int]]:
        """The labels that are asked together -> the places of the pictures in the source."""
        found: dict[tuple[str, ...], list[int]] = {}
        for place, name in enumerate(self.source.ids):
            if self.asks.get(name):
                found.setdefault(self.asks[name], []).append(place)
        return found


def labels_for(given: Any, source: Source, column: str) -> Labels:
    """The labels of a source's column of one value or of lists of values; one alone is enough to look for it."""
    table = source.table()
    if column not in table.columns:
        hint = nearest(column, map(str, table.columns)) if len(table.columns) else "It has no columns."
        raise DataError(
            f"There is no column {column!r} in {source.where_from} with labels; name it with truth=. {hint}"
        )
    found: dict[str, Value] = {}
    for cell in table[column].tolist():
        for raw in cell if isinstance(cell, list | tuple | np.ndarray) else [cell]:
            if (value := value_of(raw)) is not None:
                found.setdefault(str(value), value)
    distinct = list(found.values())
    if given is None and len(distinct) == 1 and isinstance(distinct[0], str):
        given = [distinct[0]]
    if isinstance(given, Mapping | list | tuple) and len(given) == 1 and not isinstance(next(iter(given)), Mapping):
        ((key, said),) = given.items() if isinstance(given, Mapping) else [(given[0], given[0])]
        names = (said,) if isinstance(said, str) else tuple(said)
        for name in names:
            Prompt(name)  # PromptError for what is no text
        return Labels((found.get(str(key), str(key)),), (names,), column)
    return read_labels(given, distinct, column)


def keys_of(labels: Labels) -> dict[str, str]:
    """Value as text -> how the label is called in tables: its first name, with the value where two share it."""
    times = Counter(names[0] for names in labels.names)
    return {
        str(value): names[0] if times[names[0]] == 1 else f"{names[0]} ({value})"
        for value, names in zip(labels.values, labels.names, strict=True)
    }


def pose(
    source: Source, labels: Labels, *, box: str = "box", truth: str = "label", inclusive: bool = False,
    ask: str = TRUTH_ONLY,
) -> Asked:  # fmt: skip
    """Read the truth of ``source`` and say what is asked: "truth", the labels that are there; "all"; or a column.

    A column holds a list of values or names of labels a picture. A pair of picture and label whose truth cannot be
    used is asked where others are, and not judged; a picture that cannot be opened is left out. Raises DataError.
    """
    import pandas as pd

    there = read_boxes(source, box=box, truth=truth, inclusive=inclusive)
    keys = keys_of(labels)
    known = there.table[there.table["label"].isin(keys)]
    asks = _asks(source, there, keys, labels, ask, truth)
    unjudged = {(name, None if value is None else keys.get(value)) for name, value in there.unjudged}
    pairs = [
        (name, key)
        for name, wanted in asks.items()
        if (name, None) not in there.unjudged
        for key in wanted
        if (name, key) not in unjudged
    ]
    if not pairs:
        raise DataError(f"Nothing can be asked of the pictures of {source.where_from}: {_why(there, keys, ask)}")
    notes = []
    if len(known) < len(there.table):
        others = len(there.table) - len(known)
        notes.append(f"{others} of {len(there.table)} boxes are of labels that are not among those asked.")
    if there.clipped:
        notes.append(f"{there.clipped} boxes reach beyond their picture and were cut at its edge.")
    table = known.assign(label=[keys[value] for value in known["label"]]).reset_index(drop=True)
    return Asked(source, table, pd.DataFrame(pairs, columns=list(ASKED)), asks, there.sizes, there.bad, tuple(notes))


def _asks(
    source: Source, there: BoxTruth, keys: Mapping[str, str], labels: Labels, ask: str, column: str
) -> dict[str, tuple[str, ...]]:
    order = {key: i for i, key in enumerate(keys.values())}
    if ask == EVERYTHING:
        return dict.fromkeys(there.sizes, tuple(order))
    if ask == TRUTH_ONLY:
        wanted = {name: [keys[value] for value in values if value in keys] for name, values in there.labels_of.items()}
        return {name: tuple(sorted(set(of_picture), key=order.__getitem__)) for name, of_picture in wanted.items()}
    table = source.table()
    if ask not in table.columns:
        known = ["truth", "all", *map(str, table.columns)]
        raise InputError(f"ask={ask!r} is not 'truth', 'all' or a column of {source.where_from}. {nearest(ask, known)}")
    names = {name: keys[str(value)] for value, of_label in zip(labels.values, labels.names, strict=True)
             for name in of_label}  # fmt: skip
    found = {}
    for name, cell in zip(source.ids, table[ask].tolist(), strict=True):
        if name not in there.sizes:
            continue
        listed = list(cell) if isinstance(cell, list | tuple | np.ndarray) else [] if value_of(cell) is None else [cell]
        strange = [one for one in listed if str(value_of(one)) not in keys and str(one) not in names]
        if strange:
            raise DataError(
                f"The column {ask!r} asks {strange[0]!r} of {name!r}, which is no label of {column!r}. "
                f"{nearest(str(strange[0]), [*names, *keys])}"
            )
        chosen = {keys.get(str(value_of(one))) or names[str(one)] for one in listed}
        found[name] = tuple(sorted(chosen, key=order.__getitem__))
    return found


def _why(there: BoxTruth, keys: Mapping[str, str], ask: str) -> str:
    if ask == TRUTH_ONLY and not set(there.values) & set(keys):
        return f"the labels there are {', '.join(map(repr, list(there.values)[:3]))}, and none of them is asked."
    return "no picture with a label that is asked can be opened and has a box that can be used."
