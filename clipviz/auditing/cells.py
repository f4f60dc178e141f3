"""A column of the data as an audit reads it: where it stands, and what each of its values is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, nearest
from .known_tables import known_column, known_name

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec

_SHOWN = 12


def has_column(frame: pd.DataFrame, spec: AuditSpec, column: str) -> bool:
    """Whether the data tell of ``column``, under its name or as a known table has it."""
    try:
        cells_of(frame, spec, column)
    except DataError:
        return False
    return True


def cells_of(frame: pd.DataFrame, spec: AuditSpec, column: str) -> pd.Series:
    """The column as it stands in the data: under its name, the name that the spec gives, or as a known table has it."""
    groups = spec.groups
    if column in groups.derived:
        return cells_of(frame, spec, groups.derived[column].column)
    name = groups.names.get(column, column)
    if name in frame.columns:
        return frame[name]
    folded = [one for one in frame.columns if str(one).casefold() == name.casefold()]
    if len(folded) == 1:
        return frame[folded[0]]
    known = known_column(frame, column) if name == column else None
    if known is not None:
        return known
    there = [str(one) for one in frame.columns]
    hint = nearest(name, there) if there else "It has none."
    instead = f'columns={{"{column}": "the data\'s column"}}, or columns=[...] to compare by others'
    raise DataError(f"The data has no column {name!r}, by which the audit groups. {hint} Pass {instead}.")


def names_for(
    spec: AuditSpec, column: str, values: list[str], *, strict: bool = True
) -> tuple[dict[str, str], list[str]]:
    """Value -> name of its group ("" leaves it out), and the names that nothing is known of."""
    derived = spec.groups.derived.get(column)
    if derived is not None:
        inner, _ = names_for(spec, derived.column, values, strict=strict)
        coarse = _looked_up(derived.values, derived.column, spec)
        return _through(coarse, inner, column, f"groups.derived.{column}.values", strict), []
    mapping = spec.groups.mapping.get(column)
    if mapping is not None:
        same = {value: value for value in values}
        return _through(dict(mapping), same, column, f'mapping["{column}"]', strict), []
    names = {value: known_name(column, value, spec.groups.known) for value in values}
    kind = column.casefold()
    unknown = [value for value, name in names.items() if name is None]
    if kind in ("race", "gender") and unknown and all(_is_number(value) for value in unknown) and strict:
        example = ", ".join(f'"{value}": "..."' for value in sorted(unknown)[:3])
        raise DataError(
            f"The column {column!r} holds the numbers {listed(unknown)}, and what they stand for is not guessed; say "
            f'mapping={{"{column}": {{{example}}}}}, or known="utkface" for the codes of UTKFace.'
        )
    found = {value: name if name is not None else value for value, name in names.items()}
    return found, unknown if kind in ("race", "gender", "age") else []


def _looked_up(values: Mapping[str, str], column: str, spec: AuditSpec) -> dict[str, str]:
    """The keys of a derived column by the names that its own column's groups have here."""
    mapped = spec.groups.mapping.get(column, {})
    return {mapped.get(key) or known_name(column, key, spec.groups.known) or key: to for key, to in values.items()}


def _through(
    mapping: Mapping[str, str], inner: Mapping[str, str], column: str, where: str, strict: bool
) -> dict[str, str]:
    folded = {key.strip().casefold(): to for key, to in mapping.items()}
    found, lost = {}, []
    for value, name in inner.items():
        if name in mapping:
            found[value] = mapping[name]
        elif name.strip().casefold() in folded:
            found[value] = folded[name.strip().casefold()]
        elif name == "":
            found[value] = ""
        else:
            found[value] = value
            lost.append(name)
    if lost and strict:
        raise DataError(
            f"{where} leaves out {listed(lost)} of the column {column!r}; give each a group, such as "
            f'"{lost[0][:40]}" = "{lost[0][:40]}", or "" to leave those pictures out on purpose.'
        )
    return found


def text_of(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _is_number(value: str) -> bool:
    return value.lstrip("-").replace(".", "", 1).isdecimal()


def listed(values: list[str]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(repr(value[:60]) for value in values[:_SHOWN]) + more
