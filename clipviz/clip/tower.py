"""What all encoders have in common: they can be looked into, and run on from any point inside."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import ModelError, nearest
from .taps import Attend, Taps


class Tower(nn.Module):
    """An encoder [N, ...] -> [N, E] with named points inside ("taps"), in the order of computation:

    - vision transformer and text: ``embed`` [N, L, D]; ``block.{i}`` [N, L, D], the output of block i, and
      inside it ``ln_1``, ``attn``, ``ln_2``, ``mlp`` [N, L, D], ``q``, ``k``, ``v``, ``heads`` [N, H, L, D/H],
      ``probs`` [N, H, L, L]; ``features`` [N, D], before the projection;
    - ResNet: ``stem``, ``stage.1`` to ``stage.4`` [N, C, h, w]; ``pool.q``, ``pool.k``, ``pool.v``,
      ``pool.probs`` of the attention pooling; ``features`` [N, C].

    A vision transformer's L is 1 + h*w: the class token, then the patches row by row.
    ``attend`` maps a block's index (``"pool"`` in a ResNet) to a function (q, k, v) -> out that takes the
    place of its attention; in a text tower that function masks for itself.
    """

    def taps(self) -> list[str]:
        """Every name that `trace` and `tail` know."""
        raise NotImplementedError

    def beside(self, tap: str) -> list[str]:
        """The names that a trace keeps so that `tail` can run on from ``tap``."""
        raise NotImplementedError

    def resume(
        self, tap: str, value: Tensor, held: Mapping[str, Tensor], attend: Mapping[Any, Attend] | None
    ) -> Tensor:
        """From ``tap``, holding ``value``, to the embedding; ``held`` has what `beside` named."""
        raise NotImplementedError

    def trace(self, x: Tensor, want: Collection[str], attend: Mapping[Any, Attend] | None = None) -> dict[str, Tensor]:
        """Run ``x`` and return the tensors named in ``want``, what `tail` needs beside them, and ``embedding``."""
        self._check(want)
        see = Taps(want={*want, *(name for tap in want for name in self.beside(tap))})
        embedding = self(x, see=see, attend=attend)
        return {**see.seen, "embedding": embedding}

    def tail(
        self, tap: str, value: Tensor, given: Mapping[str, Tensor], attend: Mapping[Any, Attend] | None = None
    ) -> Tensor:
        """The embedding [N, E] that follows when ``tap`` holds ``value``; differentiable in ``value``.

        What ``tap`` alone does not hold (the residual stream beside an attention, where a text ends) comes
        from the trace ``given`` and is held constant. ``given`` of one input serves a ``value`` of many rows.
        """
        self._check([tap])
        held = {}
        for name in self.beside(tap):
            if name not in given:
                raise ModelError(
                    f"tail({tap!r}) needs {name!r} beside it, and the trace holds only {sorted(given)}: "
                    f"trace with want=[{tap!r}], which keeps it."
                )
            kept = given[name].detach()
            held[name] = kept.expand(value.shape[0], *kept.shape[1:]) if kept.shape[0] == 1 else kept
        return self.resume(tap, value, held, attend)

    def _check(self, taps: Collection[str]) -> None:
        known = self.taps()
        for tap in taps:
            if tap not in known:
                raise ModelError(f"{tap!r} is no point inside this {type(self).__name__}. {nearest(tap, known)}")
