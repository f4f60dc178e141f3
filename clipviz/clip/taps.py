"""How a forward pass is looked into: by an argument of the call, so that nothing outlives it.

Each tower calls ``see(name, tensor)`` at every point that has a name. `Taps` is what stands behind
``see``: it records the tensors that were asked for, and puts a given tensor in the place of one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor

from ..errors import ModelError

# (queries, keys, values), each [N, heads, length, head width] -> [N, heads, queries' length, head width]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Taps:
    """Records the tensors named in ``want`` into ``seen``; gives ``instead[name]`` in place of ``name``."""

    def __init__(self, want: Collection[str] = (), instead: Mapping[str, Tensor] | None = None):
        self.want = frozenset(want)
        self.instead = dict(instead or {})
        self.seen: dict[str, Tensor] = {}

    def __call__(self, name: str, tensor: Tensor) -> Tensor:
        tensor = self.instead.get(name, tensor)
        if name in self.want:
            self.seen[name] = tensor
        return tensor

    def looks_at(self, *names: str) -> bool:
        """Whether any of these tensors is asked for or replaced, so that it has to exist."""
        return any(name in self.want or name in self.instead for name in names)


BLIND = Taps()


def check_attend(attend: Mapping[Any, Attend] | None, known: Collection[Any]) -> Mapping[Any, Attend]:
    """``attend`` itself, ``{}`` for None; ModelError for a key that is none of ``known``."""
    for key in attend or {}:
        if key not in known:
            there = f"they are {', '.join(map(repr, known))}" if known else "this encoder has no attention"
            raise ModelError(f"attend={{{key!r}: ...}} names no attention that could be replaced: {there}.")
    return attend or {}
