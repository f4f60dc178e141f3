"""TOML or plain values -> AuditSpec, with no key that is not understood."""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import assets
from ..errors import DataError, SpecError, nearest
from .labels import Label
from .parts import Groups
from .spec import AuditSpec

# What people type for what is meant, where the letters are far apart.
MEANT = {"prompts": "templates", "classes": "labels", "columns": "groups.columns", "crossings": "groups.crossings",
         "fail_if": "gate.fail_if", "description": "about", "question": "headline", "synonyms": "variants.synonyms",
         "metric": "metrics", "label": "labels", "person": "groups.person", "box": "groups.box"}  # fmt: skip


def load(source: str | os.PathLike[str] | AuditSpec | Mapping[str, Any]) -> AuditSpec:
    """See `AuditSpec.load`."""
    if isinstance(source, AuditSpec):
        return source
    if isinstance(source, Mapping):
        return read(source)
    if not isinstance(source, str | os.PathLike):
        raise SpecError(
            f"An audit's spec is a bundled name, the path of a TOML file or an AuditSpec; got {type(source).__name__}."
        )
    said = os.fspath(source)
    bundled = bundled_names()
    if said in bundled:
        path = assets.find("audits", f"{said}.toml")
    else:
        path = Path(said).expanduser()
        if path.suffix.lower() != ".toml" or not path.is_file():
            known = nearest(Path(said).stem, bundled)
            raise SpecError(f"There is no spec {said[:120]!r}, neither bundled nor as a TOML file. {known}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"The spec {str(path)!r} cannot be read ({error}); save it as UTF-8.") from error
    return parse(text, path.stem)


def bundled_names() -> list[str]:
    """The specs that travel with clipviz."""
    try:
        return [name.removesuffix(".toml") for name in assets.names("audits") if name.endswith(".toml")]
    except DataError:
        return []


def parse(text: str, name: str = "unnamed") -> AuditSpec:
    """See `AuditSpec.parse`."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"The spec {name!r} is no TOML ({error}); clipviz audit --new my.toml writes one.") from error
    return read({"name": name, **content})


def read(content: Mapping[str, Any]) -> AuditSpec:
    """See `AuditSpec.from_dict`."""
    if not isinstance(content, Mapping):
        raise SpecError(f"A spec is a table of keys; got {type(content).__name__}.")
    content = dict(content)
    if isinstance(labels := content.get("labels"), list | tuple):
        content["labels"] = [{"text": one, "role": "neutral"} if isinstance(one, str) else one for one in labels]
    content["metrics"] = _metrics_of(content)
    for key in ("labels", "metrics"):
        content.setdefault(key, [])
    content.setdefault("name", "unnamed")
    spec: AuditSpec = _fill(AuditSpec, content, "")
    return spec


def changed(spec: AuditSpec, changes: Mapping[str, Any]) -> AuditSpec:
    """See `AuditSpec.with_`."""
    own, of_groups = typing.get_type_hints(AuditSpec), typing.get_type_hints(Groups)
    at_top: dict[str, Any] = {}
    in_groups: dict[str, Any] = {}
    for key, value in changes.items():
        if key in own:
            at_top[key] = value
        elif key in of_groups:
            in_groups[key] = value
        else:
            raise SpecError(f"A spec has no {key!r} to change. {nearest(MEANT.get(key, key), [*own, *of_groups])}")
    if isinstance(labels := at_top.get("labels"), list | tuple):
        at_top["labels"] = [Label(one, "neutral") if isinstance(one, str) else one for one in labels]
    found = {key: _value(value, own[key], key) for key, value in at_top.items()}
    if in_groups:
        if isinstance(names := in_groups.get("columns"), Mapping):  # the spec's column -> the data's
            in_groups = {**in_groups, "names": {**spec.groups.names, **names}}
            del in_groups["columns"]
        given = {key: _value(value, of_groups[key], f"groups.{key}") for key, value in in_groups.items()}
        found["groups"] = dataclasses.replace(_without_lost(found.get("groups", spec.groups), given), **given)
    return dataclasses.replace(spec, **found)


def _without_lost(groups: Groups, given: Mapping[str, Any]) -> Groups:
    """Where the columns are changed, the crossings and references of those that are gone go with them."""
    if "columns" not in given:
        return groups
    left = set(given["columns"])
    crossings = tuple(one for one in groups.crossings if set(one) <= left)
    kept = left | {" x ".join(one) for one in crossings}
    reference = {column: group for column, group in groups.reference.items() if column in kept}
    return dataclasses.replace(groups, crossings=crossings, reference=reference)


def _metrics_of(content: Mapping[str, Any]) -> Any:
    """A metric "above_threshold" without a threshold of its own is computed at each of ``thresholds.levels``."""
    metrics, thresholds = content.get("metrics", []), content.get("thresholds", {})
    levels = thresholds.get("levels", []) if isinstance(thresholds, Mapping) else []
    if not isinstance(metrics, list | tuple) or not isinstance(levels, list | tuple):
        return metrics
    found: list[Any] = []
    for one in metrics:
        each = isinstance(one, Mapping) and one.get("metric") == "above_threshold" and "threshold" not in one
        found += [{**one, "threshold": level} for level in levels] if each and levels else [one]
    return found


def _fill(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, Mapping):
        raise SpecError(f"The spec's {where.rstrip('.')!r} is {_shown(content)}, and must be a table of keys.")
    hints = typing.get_type_hints(kind)
    for key in content:
        if key not in hints:
            meant = MEANT.get(str(key), str(key)) if kind is AuditSpec else str(key)
            hint = f"Did you mean {meant!r}?" if meant != key else nearest(str(key), [k for k in hints if k != "part"])
            raise SpecError(f"The spec has the unknown key {(where + str(key))[:80]!r}. {hint}")
    found = {key: _value(value, hints[key], where + key) for key, value in content.items()}
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
        and field.name not in found
    ]
    if missing:
        raise SpecError(f"The spec's {where.rstrip('.') or 'table'!r} lacks {missing[0]!r}; add {missing[0]} = ....")
    return kind(**found)


def _value(value: Any, kind: Any, name: str) -> Any:
    """``value`` as the type ``kind`` of a field, or SpecError."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inside:
            return None
        choices = [one for one in inside if one is not type(None)]
        plain = isinstance(value, Mapping)
        fitting = [one for one in choices if (typing.get_origin(one) or one) in (dict, Mapping) or _is_mapping(one)]
        return _value(value, (fitting if plain and fitting else choices)[0], name)
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, typing.cast(type, kind)) else _fill(kind, value, f"{name}.")
    if origin is tuple:
        if isinstance(value, str) and inside[0] is str:
            value = (value,)
        if isinstance(value, list | tuple):
            return tuple(_value(one, inside[0], f"{name}.{i}") for i, one in enumerate(value))
    elif _is_mapping(kind) and isinstance(value, Mapping):
        if name.endswith((".truth", ".shown_by")):  # these take one value or several; the label reads them
            return dict(value)
        return {str(key): _value(one, inside[1], f"{name}.{key}") for key, one in value.items()}
    elif kind is float and type(value) in (int, float):
        if math.isfinite(value):
            return float(value)
        raise SpecError(f"The spec's {name!r} is {value!r}, and must be a finite number.")
    elif origin is None and type(value) is kind:
        return value
    raise SpecError(f"The spec's {name!r} is {_shown(value)}, and must be {_WANTED.get(kind, 'a list or a table')}.")


_WANTED = {str: 'a text in quotes, "..."', int: "a whole number", float: "a number", bool: "true or false"}


def _is_mapping(kind: Any) -> bool:
    origin = typing.get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _shown(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 80 else said[:77] + "..."
