"""Who is compared: the columns of the data as groups, matched by name; and which label is right for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, nearest
from .cells import cells_of, listed, names_for, text_of
from .known_tables import in_order, known_name
from .labels import Label
from .parts import BEST, REST

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec

MOST = 200  # groups of one column: beyond, it is no column of groups but of ids or measurements
EMPTY = "(empty)"


@dataclass(frozen=True, eq=False)
class Grouping:
    """One way to group the pictures: ``codes`` [N] point into ``names``, -1 is in no group.

    ``unknown`` are the groups whose value no mapping and no known table names: they are kept under their own name.
    ``empty`` counts pictures without a value, ``left_out`` those that the spec leaves out by name.
    """

    by: str
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    unknown: tuple[str, ...] = ()
    empty: int = 0
    left_out: int = 0

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Pictures a group [G]."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names)).astype(np.int64)

    def __repr__(self) -> str:
        return f"Grouping({self.by}: {', '.join(self.names[:8])}{', ...' if len(self.names) > 8 else ''})"


def groupings(frame: pd.DataFrame, spec: AuditSpec) -> tuple[Grouping, ...]:
    """The columns of ``spec.groups``, then its crossings, for a table with a row a picture (indexed by id).

    Raises DataError for a column that is not there or has one value, an empty cell (unless ``groups.empty`` says what
    it means), a mapping that leaves groups out, and numbers where names are wanted.

    >>> [g.names for g in groupings(store.table, AuditSpec.load("nurse_doctor"))]  # doctest: +SKIP
    [('Male', 'Female')]
    """
    found = {column: grouping(frame, spec, column) for column in spec.groups.columns}
    for one in found.values():
        if len(one.names) < 2:
            what = f"one value ({one.names[0]!r})" if one.names else "no value"
            others = [column for column in spec.groups.columns if column != one.by]
            instead = f"columns={others}" if others else 'columns=["another column"]'
            raise DataError(
                f"The column {one.by!r} has {what} in these {len(frame)} pictures, and there is nobody to compare "
                f"with; pass more of the data, or {instead}."
            )
    crossings = [crossed([found[column] for column in one]) for one in spec.groups.crossings]
    return (*found.values(), *crossings)


def grouping(frame: pd.DataFrame, spec: AuditSpec, column: str) -> Grouping:
    """One column as a `Grouping`; it may be one of ``adjust`` too, and may have a single group."""
    import pandas as pd

    cells = cells_of(frame, spec, column)
    try:
        codes, values = pd.factorize(cells)  # an empty cell is -1
    except TypeError as error:
        raise DataError(
            f"The column {column!r} holds lists or tables, which are no groups; name a column of texts with columns=."
        ) from error
    texts = [text_of(value) for value in values]
    blank = [not text.strip() for text in texts]
    names, unknown = names_for(spec, column, [text for text, no in zip(texts, blank, strict=True) if not no])
    _refuse_too_many(column, names, len(frame))
    empty = (codes < 0) | np.asarray([*blank, False])[codes]
    if empty.any():
        _refuse_empty(spec, frame, column, empty)
    order = in_order(column, [name for name in dict.fromkeys(names.values()) if name])
    if spec.groups.empty == "a group" and empty.any():
        order.append(EMPTY)
    place = {name: at for at, name in enumerate(order)}
    of_value = [-1 if no else place.get(names[text], -1) for text, no in zip(texts, blank, strict=True)]
    found = np.asarray([*of_value, -1], np.int64)[codes]
    if spec.groups.empty == "a group":
        found = np.where(empty, place.get(EMPTY, -1), found)
    left_out = int(((found < 0) & ~empty).sum())
    kept = set(found[found >= 0].tolist())
    if len(kept) < len(order):  # a derived column may name groups that nobody is in
        order, found = _without_nobody(order, found, kept)
    return Grouping(column, tuple(order), found, tuple(unknown), int(empty.sum()), left_out)


def crossed(several: list[Grouping]) -> Grouping:
    """The crossing of some groupings, with the cells that somebody is in: "Black x Male"."""
    codes = np.zeros_like(several[0].codes)
    none = np.zeros(len(codes), bool)
    for one in several:
        codes = codes * len(one.names) + np.maximum(one.codes, 0)
        none |= one.codes < 0
    cells, found = np.unique(codes[~none], return_inverse=True)
    names = []
    for cell in cells.tolist():
        parts: list[str] = []
        for one in reversed(several):
            cell, at = divmod(cell, len(one.names))
            parts.append(one.names[at])
        names.append(" x ".join(reversed(parts)))
    placed = np.full(len(codes), -1, np.int64)
    placed[~none] = found
    by = " x ".join(one.by for one in several)
    unknown = tuple(name for one in several for name in one.unknown)
    empty = max(one.empty for one in several)
    return Grouping(by, tuple(names), placed, unknown, empty, int(none.sum()) - empty if none.any() else 0)


def reference_of(spec: AuditSpec, found: Grouping) -> str:
    """What the groups of ``found`` are compared to: the name of one of them, "rest" or "best". Raises DataError."""
    said = spec.groups.reference.get(found.by, REST)
    if said in (REST, BEST):
        return said
    name = known_name(found.by, said, spec.groups.known) or said
    for one in (said, name):
        if one in found.names:
            return one
    raise DataError(
        f"The reference of {found.by!r} is {said!r}, which no picture is. {nearest(said, found.names)} Pass "
        f'reference={{"{found.by}": "rest"}} to compare with all others.'
    )


# ---- which label is right, and which pictures show it


def right_labels(spec: AuditSpec, frame: pd.DataFrame) -> NDArray[np.int64]:
    """The label [N] whose ``truth`` a picture fulfils, in all its columns; -1 where none does.

    Raises DataError where a column of a truth is not there, or a picture fulfils two.
    """
    found = np.full(len(frame), -1, np.int64)
    known: dict[str, Grouping] = {}
    for at, label in enumerate(spec.labels):
        if not label.truth:
            continue
        mask = _fulfils(spec, frame, label.truth, known)
        twice = np.flatnonzero(mask & (found >= 0))
        if len(twice):
            other = spec.labels[int(found[twice[0]])].name
            raise DataError(
                f"The picture {str(frame.index[twice[0]])!r} is both {other!r} and {label.name!r} by their truth; "
                "narrow the truth of one of them."
            )
        found[mask] = at
    return found


def shown_in(
    spec: AuditSpec, label: Label, frame: pd.DataFrame, known: dict[str, Grouping] | None = None
) -> NDArray[np.bool_] | None:
    """Which pictures [N] are known to show a label, by ``shown_by``, else ``truth``; None where nothing tells.

    ``known`` keeps the columns that were read, for the next label.
    """
    wanted = label.shown_by or label.truth
    if not wanted:
        return None
    try:
        return _fulfils(spec, frame, wanted, {} if known is None else known)
    except DataError:
        return None  # the column is not in this data: the label is not testable here


def _fulfils(
    spec: AuditSpec, frame: pd.DataFrame, wanted: Mapping[str, tuple[str, ...]], known: dict[str, Grouping]
) -> NDArray[np.bool_]:
    mask = np.ones(len(frame), bool)
    for column, values in wanted.items():
        if column not in known:
            known[column] = _grouped(spec, frame, column)
        has = known[column]
        names, _ = names_for(spec, column, list(values), strict=False)
        codes = [at for at, name in enumerate(has.names) if name in {*names.values(), *values}]
        mask &= np.isin(has.codes, codes)
    return mask


def _grouped(spec: AuditSpec, frame: pd.DataFrame, column: str) -> Grouping:
    groups = replace(spec.groups, empty="leave out" if spec.groups.empty == "refuse" else spec.groups.empty)
    return grouping(frame, replace(spec, groups=groups), column)


# ---- refusals


def _refuse_empty(spec: AuditSpec, frame: pd.DataFrame, column: str, empty: NDArray[np.bool_]) -> None:
    if spec.groups.empty != "refuse":
        return
    ids = [str(frame.index[at]) for at in np.flatnonzero(empty)[:3]]
    raise DataError(
        f"{int(empty.sum())} of {len(frame)} pictures have no value in the column {column!r} ({listed(ids)}); fill "
        'them, or say what it means: empty="leave out", or empty="a group".'
    )


def _refuse_too_many(column: str, names: Mapping[str, str], pictures: int) -> None:
    distinct = len({name for name in names.values() if name})
    if distinct > MOST:
        raise DataError(
            f"The column {column!r} has {distinct} values in {pictures} pictures, which are no groups to compare; say "
            f'which belong together with mapping={{"{column}": {{"a value": "a group", ...}}}}.'
        )


def _without_nobody(order: list[str], codes: NDArray[np.int64], kept: set[int]) -> tuple[list[str], NDArray[np.int64]]:
    new = np.full(len(order) + 1, -1, np.int64)
    for to, at in enumerate(sorted(kept)):
        new[at] = to
    return [order[at] for at in sorted(kept)], new[codes]
