"""The one registry of explainers: ours, and anyone else's."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, ModelError, nearest
from ..model import Model

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

# What a method must be able to look into: nothing but vectors, either reference tower, or one of the two.
NEEDS = {"vectors": ("vit", "resnet", "other"), "any": ("vit", "resnet"), "vit": ("vit",), "resnet": ("resnet",)}


@dataclass(frozen=True)
class Explainer:
    """A way to ask where a text is: ``function(model, look, target, **options)`` -> maps [N, P, h, w], or `Found`.

    ``look.pixels`` is [N, 3, S, S]; ``target`` is the `Target` that is explained: P scores of a unit vector.
    ``uses_text``: the map depends on the text. ``signed``: below zero speaks against it. ``additive``: the cells, with
    a remainder that the method tells, add up to the score. ``nonnegative``: it assumes that activations are not below
    zero. ``passes``: its cost in passes over the picture, in words. ``per_tile``: each tile's map has a size of its
    own, so that tiles cannot be compared. ``notes`` go with every map.
    """

    name: str
    function: Callable[..., Tensor | Found]
    family: str
    paper: str
    needs: str = "any"
    uses_text: bool = True
    signed: bool = True
    additive: bool = False
    nonnegative: bool = False
    passes: str = ""
    per_tile: bool = False
    notes: tuple[str, ...] = ()

    def serves(self, model: Model) -> bool:
        return model.kind in NEEDS[self.needs]


@dataclass(frozen=True)
class Found:
    """Maps [N, P, h, w] with what else a method has to tell: ``details``, one mapping a text, of plain values.

    They stand in ``heatmap.details``. Keys in use: ``baseline``, ``baseline_score``, ``remainder``,
    ``completeness_error``, ``sampling_error``, ``subtracted``, ``layer``, ``blocks``, ``of``, ``flat``;
    ``uses_text`` is told where an option decides it.
    """

    maps: Tensor
    details: Sequence[Mapping[str, Any]] = ()


# What `explain` itself takes, for whoever misspells it.
COMMON = ("model", "method", "against", "contrast", "baseline", "view", "strict", "fail", "progress")

_REGISTRY: dict[str, Explainer] = {}
_BRIDGES: dict[str, Callable[[str], Explainer]] = {}


def register_bridge(prefix: str, make: Callable[[str], Explainer]) -> None:
    """Let ``method="prefix:name"`` run ``make(name)``: the methods of another library, made when asked for."""
    _BRIDGES[prefix] = make


def register_explainer(
    name: str,
    function: Callable[..., Tensor | Found],
    *,
    family: str = "own",
    paper: str = "",
    needs: str = "any",
    uses_text: bool = True,
    signed: bool = True,
    additive: bool = False,
    nonnegative: bool = False,
    passes: str = "",
    per_tile: bool = False,
    notes: Sequence[str] = (),
    replace: bool = False,
) -> None:
    """Make ``explain(..., method=name)`` run ``function(model, look, target, **options)``.

    The function gets a `Model`, a `Look` with ``pixels`` [N, 3, S, S] and ``trace(want)``, and a `Target`: called with
    unit vectors [..., E] it gives scores [..., P], and ``target.directions`` [P, E] are the texts' vectors. It returns
    maps [N, P, h, w], signed, as they come, alone or in a `Found`. ``needs`` is "any" (a network that can be looked
    into), "vit", "resnet", or "vectors", which a model run by open_clip gives too. The rest is told by `Explainer`.
    Raises InputError where the name is taken, unless ``replace``, and for a function that does not take those three.

        >>> register_explainer("mine", lambda model, look, target: ...)  # doctest: +SKIP
    """
    if name in _REGISTRY and not replace:
        raise InputError(f"An explainer called {name!r} is registered already: take another name or replace=True.")
    if not callable(function):
        raise InputError(f"An explainer is a function (model, look, target) -> maps; got {type(function).__name__}.")
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError as error:
        raise InputError(
            f"An explainer takes (model, look, target), and options by name; {name!r}: {error}."
        ) from error
    except ValueError:  # a builtin, which does not tell what it takes
        pass
    if needs not in NEEDS:
        raise InputError(f"needs={needs!r} is not known; it is one of {', '.join(NEEDS)}.")
    _REGISTRY[name] = Explainer(
        name, function, family, paper, needs, uses_text, signed, additive, nonnegative, passes, per_tile, tuple(notes)
    )


def find_explainer(name: str, model: Model) -> Explainer:
    """The explainer of this name, if it can serve ``model``; else an error that lists those that can."""
    if not isinstance(name, str):
        raise InputError(f"A method is one name, such as 'gradcam'; got {name!r}: clipviz.compare takes several.")
    prefix, colon, rest = name.partition(":")
    if colon and prefix in _BRIDGES:
        explainer = _BRIDGES[prefix](rest)
    elif name in _REGISTRY:
        explainer = _REGISTRY[name]
    else:
        raise InputError(f"There is no explainer {name!r}. {nearest(str(name), _REGISTRY)}")
    if not explainer.serves(model):
        fit = ", ".join(sorted(n for n, e in _REGISTRY.items() if e.serves(model))) or "none of those registered"
        needs = {"vectors": "model", "any": "network to look into", "vit": "ViT", "resnet": "ResNet"}[explainer.needs]
        raise ModelError(f"{name!r} needs a {needs}, which {model.name} ({model.kind}) is not. It can serve: {fit}.")
    return explainer


def list_explainers(model: Model | None = None) -> pd.DataFrame:
    """The registered explainers, those that can serve ``model`` where one is given, one a row.

    ``mosaic_peak``, ``mosaic_tile`` and ``pointing`` are shares that were measured on the model ``measured_on``, by
    ``benchmarks/explainers_league.py``; NaN where a method was not measured.

    >>> "gradcam" in set(list_explainers()["name"])
    True
    """
    import pandas as pd

    from .scores import measured_scores

    if model is not None and not isinstance(model, Model):
        raise InputError(f"model is a clipviz.Model; got {type(model).__name__}: use clipviz.load(...).")
    columns = ("name", "family", "needs", "uses_text", "signed", "additive", "nonnegative", "passes", "paper")
    fit = [e for e in _REGISTRY.values() if model is None or e.serves(model)]
    table = pd.DataFrame([{c: getattr(e, c) for c in columns} for e in fit], columns=list(columns))
    return table.join(measured_scores(), on="name")


def check_options(explainer: Explainer, options: Mapping[str, Any]) -> None:
    """InputError, with the nearest names, for an option that the explainer does not take."""
    known = options_of(explainer)
    for name in options:
        if known is not None and name not in known:
            hint = nearest(name, [*known, *COMMON])
            raise InputError(f"explain with method={explainer.name!r} takes no option {name!r}. {hint}")


def options_of(explainer: Explainer) -> list[str] | None:
    """The names of what it takes beside model, look and target; None where it takes any."""
    takes = list(inspect.signature(explainer.function).parameters.values())[3:]
    return None if any(p.kind is p.VAR_KEYWORD for p in takes) else [p.name for p in takes]


def taking(option: str, model: Model) -> list[str]:
    """The registered methods that serve ``model`` and have this option."""
    fit = (e for e in _REGISTRY.values() if e.serves(model))
    return [e.name for e in fit if option in (options_of(e) or ())]


def unwrapped(found: Any, explainer: Explainer, pictures: int, prompts: int) -> Found:
    """What a method gave, alone or in a `Found`, as `Found`; an error that names the method for anything else."""
    import torch

    maps, details = (found.maps, found.details) if isinstance(found, Found) else (found, ())
    if isinstance(maps, np.ndarray) and maps.dtype.kind in "fiub":
        maps = torch.as_tensor(maps)
    if not isinstance(maps, torch.Tensor):
        raise InputError(
            f"The explainer {explainer.name!r} returned {type(maps).__name__}; it must return a tensor or an array of "
            f"numbers, maps [{pictures}, {prompts}, h, w]."
        )
    shape = tuple(getattr(maps, "shape", ()))
    if len(shape) != 4 or shape[:2] != (pictures, prompts):
        raise InputError(
            f"The explainer {explainer.name!r} returned {type(maps).__name__} of shape {shape}; "
            f"it must return maps [{pictures}, {prompts}, h, w]."
        )
    if len(details) not in (0, prompts):
        raise InputError(
            f"The explainer {explainer.name!r} told details of {len(details)} texts; it was asked for {prompts}."
        )
    try:
        json.dumps([dict(one) for one in details])
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The explainer {explainer.name!r} told details that cannot be saved ({error}): one mapping a text, of "
            "numbers, strings and lists."
        ) from error
    return Found(maps, details or [{}] * prompts)


def check_maps(found: Any, explainer: Explainer, pictures: int, prompts: int) -> Found:
    """The same with maps on the host in float32."""
    given = unwrapped(found, explainer, pictures, prompts)
    return Found(given.maps.detach().float().cpu(), given.details)
