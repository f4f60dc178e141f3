"""`Way`: one method of one model, with its options, among those that are compared."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..clip import ViTConfig
from ..errors import InputError
from ..model import Model
from .defaults import LAYERED, default_method, default_options, representatives
from .registry import find_explainer, taking


@dataclass(frozen=True)
class Way:
    """What it is called here, the model, the method and its options; ``named`` by the caller, or taken by default."""

    name: str
    model: Model
    method: str
    options: Mapping[str, Any]
    named: bool = True


def by_method(model: Model, methods: Any) -> list[Way]:
    """A way for each name, or pair of a name and its options; the representatives where None."""
    if methods is None:
        return [Way(name, model, name, {}, named=False) for name in representatives(model)]
    if isinstance(methods, str):
        raise InputError(f"methods is a list of names; got {methods!r}: write methods=[{methods!r}, ...].")
    if not isinstance(methods, Iterable):
        raise InputError(f"methods is a list of names; got {methods!r}: write methods=['gradcam', 'legrad'].")
    ways = []
    for one in methods:
        pair = (one, {}) if isinstance(one, str) else one
        named = isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)
        if not named or not isinstance(pair[1], Mapping):
            raise InputError(f"A method is a name, or a pair such as ('gradcam', {{'layer': 2}}); got {one!r}.")
        said = ", ".join(f"{key}={value}" for key, value in pair[1].items())
        ways.append(Way(f"{pair[0]}({said})" if said else str(pair[0]), model, *pair))
    return ways


def by_model(models: Any, methods: Any) -> list[Way]:
    """A way for each model, by the one method in ``methods``, or by each model's default where None."""
    single = isinstance(models, Model | str) or not isinstance(models, Iterable)
    if single or not all(isinstance(model, Model) for model in models):
        raise InputError("models is a list of clipviz.Model: use clipviz.load(...) or Model.wrap(...) for each.")
    ways: list[Way] = []
    for model in models:
        if methods is None:
            method, options = default_method(model), default_options(model)
        else:
            chosen = by_method(model, methods)
            if len(chosen) != 1:
                raise InputError(f"Several models are compared by one method, got {len(chosen)}: name one of them.")
            method, options = chosen[0].method, dict(chosen[0].options)
        same = sum(way.model.name == model.name for way in ways)
        ways.append(Way(f"{model.name} ({same + 1})" if same else model.name, model, method, options))
    return ways


def by_layer(model: Model, method: str | None, layers: Any, options: Mapping[str, Any]) -> list[Way]:
    """A way for each layer, all of them where None. InputError for a method that has none to choose."""
    if "layer" in options:
        raise InputError(f"through_depth goes from layer to layer: write layers=[{options['layer']!r}].")
    name = LAYERED if method is None else method
    if not has_layer(name, model):
        fit = taking("layer", model)
        raise InputError(f"{name!r} has no layer to choose; these have: {', '.join(fit) or 'none for this model'}.")
    if isinstance(layers, str | int):
        raise InputError(f"layers is a list, got {layers!r} alone: write layers=[{layers!r}].")
    if layers is None:
        vision = model.clip.config.vision
        layers = range(vision.layers) if isinstance(vision, ViTConfig) else range(1, 5)
    return [Way(str(layer), model, name, {**options, "layer": layer}) for layer in layers]


def has_layer(method: str, model: Model) -> bool:
    """Whether ``layer=`` is an option of the method."""
    return "layer" in inspect.signature(find_explainer(method, model).function).parameters


def check_ways(ways: Sequence[Way], by: str) -> None:
    """InputError where there is nothing to compare, or two of a name."""
    names = [way.name for way in ways]
    if not names or len(set(names)) < len(names):
        raise InputError(f"A comparison needs {by}s that differ, at least one; got {', '.join(names) or 'none'}.")
