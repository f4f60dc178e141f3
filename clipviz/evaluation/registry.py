"""The one registry of tasks: ours, and anyone else's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError, nearest
from ..sources import Source, open_source

if TYPE_CHECKING:
    import pandas as pd

    from ..model import Model
    from .result import Evaluation


@dataclass(frozen=True)
class Question:
    """What every task is asked: a model, the pictures of the chosen half, and the labels as they were given.

    ``whole`` holds the other half too: which labels there are must not depend on the half.
    """

    model: Model
    source: Source
    whole: Source
    labels: Any
    truth: str
    batch_size: int
    seed: int
    progress: bool


@dataclass(frozen=True)
class Task:
    """A way to judge a model: ``function(question, **options)`` -> `Evaluation`; its options are keyword-only.

    ``open`` makes a `Source` of what the caller gave as data.
    """

    name: str
    function: Callable[..., Evaluation]
    about: str
    paper: str = ""
    open: Callable[[Any], Source] = open_source


# What `evaluate` itself takes, for whoever misspells it.
COMMON = ("task", "model", "truth", "half", "batch_size", "seed", "progress")

_REGISTRY: dict[str, Task] = {}


def register_task(
    name: str, function: Callable[..., Evaluation], *, about: str, paper: str = "",
    open: Callable[[Any], Source] = open_source, replace: bool = False,
) -> None:  # fmt: skip
    """Make ``evaluate(..., task=name)`` run ``function(question, **options)``, which returns an `Evaluation`.

    ``open`` reads the data where a task knows formats that `open_source` does not. Raises InputError where the name is
    taken, unless ``replace``.

        >>> register_task("mine", lambda question, *, k=1: ..., about="k nearest")  # doctest: +SKIP
    """
    if name in _REGISTRY and not replace:
        raise InputError(f"A task called {name!r} is registered already: take another name or replace=True.")
    if not callable(function):
        raise InputError(f"A task is a function (question, **options) -> Evaluation; got {type(function).__name__}.")
    _REGISTRY[name] = Task(name, function, about, paper, open)


def find_task(name: str, options: Mapping[str, Any]) -> Task:
    """The task of this name; InputError, with the nearest names, for it or for an option that it does not take."""
    if name not in _REGISTRY:
        raise InputError(f"There is no task {name!r}. {nearest(str(name), _REGISTRY)}")
    task = _REGISTRY[name]
    takes = list(inspect.signature(task.function).parameters.values())
    if not any(p.kind is p.VAR_KEYWORD for p in takes):
        known = [p.name for p in takes if p.kind is p.KEYWORD_ONLY]
        for option in options:
            if option not in known:
                raise InputError(
                    f"evaluate with task={name!r} takes no option {option!r}. {nearest(option, [*known, *COMMON])}"
                )
    return task


def list_tasks() -> pd.DataFrame:
    """The registered tasks, one a row.

    >>> "zero_shot" in set(list_tasks()["name"])
    True
    """
    import pandas as pd

    columns = ("name", "about", "paper")
    return pd.DataFrame([{c: getattr(t, c) for c in columns} for t in _REGISTRY.values()], columns=list(columns))
