"""Which method answers where none is named: the winners of the rule that `benchmarks/` states, on the dev half."""

from __future__ import annotations

from typing import Any

from ..model import Model
from .registry import _REGISTRY, list_explainers

# One a kind of network, and the options that it won with.
DEFAULTS: dict[str, str] = {"vit": "consensus", "resnet": "maskclip", "other": "occlusion"}
DEFAULT_OPTIONS: dict[str, dict[str, Any]] = {"vit": {}, "resnet": {}, "other": {}}

# On a model's card: the registered method that was measured best on that model itself.
CARD_KEY = "explainer"

# Through the depth of a network, where the default has no layer to choose.
LAYERED = "gradcam"

# One or two of each family, so that those who agree agree for different reasons; none that takes many seconds.
REPRESENTATIVES = ("gradcam", "legrad", "grad_eclip", "relevance", "maskclip", "gem", "head_decomposition", "occlusion")


def default_method(model: Model) -> str:
    """The method that `explain` takes for this model where none is named: its card's own, else that of its kind.

    >>> default_method(clipviz.load())  # doctest: +SKIP
    'maskclip'
    """
    named = model.card.get(CARD_KEY)
    if isinstance(named, str) and named in _REGISTRY and _REGISTRY[named].serves(model):
        return named
    return DEFAULTS[model.kind]


def default_options(model: Model) -> dict[str, Any]:
    """The options that go with it; those that the caller gives come before them."""
    return dict(DEFAULT_OPTIONS[model.kind]) if default_method(model) == DEFAULTS[model.kind] else {}


def representatives(model: Model) -> tuple[str, ...]:
    """The methods that `compare` shows where none are named: those of `REPRESENTATIVES` that serve the model."""
    fit = set(list_explainers(model)["name"])
    return tuple(dict.fromkeys(name for name in (default_method(model), *REPRESENTATIVES) if name in fit))
