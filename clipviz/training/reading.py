"""TOML or a mapping -> Recipe, with no key that is not understood."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import SpecError, nearest
from .recipe import ModelRecipe, Recipe, SourceRecipe


def read_recipe(source: str | Path | Mapping[str, Any], changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe from a TOML file, or from a mapping of the same form.

    ``changes`` are settings such as "optim.learning_rate=3e-4" (TOML values; a bare word is a string; a source by its
    number, "data.sources.0.weight=2"), which replace what the file says. Paths in a file are relative to the
    working directory, as in a command.

    Raises SpecError where a key is unknown (naming the nearest), where a value has another type than it must
    have, or where two keys contradict each other.

    >>> recipe = {"optim": {"batch": 32}, "data": {"sources": [{"kind": "scenes", "n": 64, "caption": "caption"}]}}
    >>> read_recipe(recipe, ["optim.batch=16"]).optim.batch
    16
    """
    if isinstance(source, Mapping):
        content: dict[str, Any] = _copy(source)
    else:
        content = _read(Path(source))
    for change in changes:
        _set(content, change)
    recipe: Recipe = _fill(Recipe, content, "")
    if not recipe.data.sources:
        raise SpecError("The recipe has no data; add at least one [[data.sources]].")
    return recipe


SHORT = {"lr": "learning_rate", "wd": "weight_decay", "batch_size": "batch", "epochs": "samples"}
SIZES = ("image_size", "patch_size", "width", "layers", "head_width", "embed_dim")
SIZES_OF_TEXT = ("text_width", "text_layers", "text_heads", "context_length")
FROM_FILES, DRAWN = ("path", "image", "id", "classes"), ("n", "level", "split", "draw_seed", "rates")


def _no_idle_keys(kind: Any, content: Mapping[str, Any], where: str) -> None:
    """SpecError for a key that another one makes idle, where it says something else than what is used."""
    idle: tuple[tuple[str, ...], str] = ((), "")
    if kind is ModelRecipe and (by := content.get("weights") or content.get("architecture")):
        idle = (*SIZES, *SIZES_OF_TEXT), f"{by!r} brings the shape of the network"
    elif kind is SourceRecipe and content.get("kind", "pictures") == "pictures":
        idle = DRAWN, 'a source of kind "pictures" draws none'
    elif kind is SourceRecipe:
        idle = FROM_FILES, f"a source of kind {content['kind']!r} reads no files"
    default = {
        f.name: f.default if f.default is not dataclasses.MISSING else f.default_factory()  # type: ignore[misc, operator]
        for f in dataclasses.fields(kind)
        if f.name in idle[0]
    }
    for key in idle[0]:
        if key in content and content[key] != default[key]:
            raise SpecError(
                f"The recipe's {where + key!r} is {content[key]!r} and is not used: {idle[1]}; leave it out."
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(
            f"The recipe {str(path)!r} cannot be read ({error.strerror}); give the path of a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"The recipe {str(path)!r} is no TOML ({error}).") from error


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list | tuple) else value


def _set(content: dict[str, Any], change: str) -> None:
    key, mark, text = change.partition("=")
    if not mark or not key.strip():
        raise SpecError(f"The change {change!r} is not of the form key=value, as in optim.learning_rate=3e-4.")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *path, last = key.strip().split(".")
    place: Any = content
    for part in path:
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise SpecError(f"The change {change!r} asks for number {part!r}, and there are {len(place)}, from 0.")
            place = place[int(part)]
        else:
            place = place.setdefault(part, {})
        if not isinstance(place, dict | list):
            raise SpecError(f"The change {change!r} reaches into {part!r}, which is a value and holds no keys.")
    if isinstance(place, list):
        raise SpecError(f"The change {change!r} would replace a whole entry; name the key in it to change.")
    place[last] = value


def _fill(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, Mapping):
        raise SpecError(f"The recipe's {where.rstrip('.')!r} is {content!r}, and must be a table of keys.")
    types = typing.get_type_hints(kind)
    _no_idle_keys(kind, content, where)
    for key in content:
        if key not in types:
            raise SpecError(
                f"The recipe has the unknown key {where + key!r}. {nearest(SHORT.get(str(key), str(key)), types)}"
            )
    return kind(**{key: _value(value, types[key], where + key) for key, value in content.items()})


def _value(value: Any, kind: Any, name: str) -> Any:
    """``value`` as the type ``kind`` of a field, or SpecError."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _fill(kind, value, f"{name}.")
    if origin in (tuple, list) and isinstance(value, list | tuple):
        open_ended = origin is list or inside[-1] is Ellipsis
        if open_ended or len(value) == len(inside):
            kinds = [inside[0]] * len(value) if open_ended else inside
            return origin(_value(v, k, f"{name}.{i}") for i, (v, k) in enumerate(zip(value, kinds, strict=True)))
    elif origin is dict and isinstance(value, Mapping):
        return {key: _value(v, inside[1], f"{name}.{key}") for key, v in value.items()}
    elif kind is float and type(value) is int:
        return float(value)
    elif origin is None and type(value) is kind:
        if kind is float and not math.isfinite(value):
            raise SpecError(f"The recipe's {name!r} is {value!r}, and must be a finite number.")
        return value
    wanted = getattr(kind, "__name__", str(kind)) if origin is None else str(kind).replace("typing.", "")
    raise SpecError(f"The recipe's {name!r} is {value!r}, and must be of type {wanted}.")
