"""What all encoders have in common: they can be looked into, and run on from any point inside."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import ModelError, nearest
from .taps import Attend, Taps, check_attend


class Tower(nn.Module):
    """An encoder [N, ...] -> [N, E] with named points inside ("taps"). In the order of computation they are, in

    a transformer (vision or text):
        ``embed`` [N, L, D], the first residual stream; then for each block i from 0
        ``block.{i}.ln_1`` [N, L, D]; ``block.{i}.q``, ``block.{i}.k``, ``block.{i}.v`` [N, H, L, D/H];
        ``block.{i}.probs`` [N, H, L, L]; ``block.{i}.heads`` [N, H, L, D/H], before the output projection;
        ``block.{i}.attn``, ``block.{i}.ln_2``, ``block.{i}.mlp`` [N, L, D]; ``block.{i}`` [N, L, D], its output;
        ``features`` [N, D], before the projection to E;
    a ResNet:
        ``stem`` and ``stage.{i}``, i from 1 to 4 [N, C, h, w]; of the attention pooling ``pool.q`` [N, H, 1, C/H],
        ``pool.k``, ``pool.v`` [N, H, 1 + h*w, C/H], ``pool.probs`` [N, H, 1, 1 + h*w]; ``features`` [N, C];
    a bag of words:
        ``embed`` [N, L, D], ``features`` [N, D], their mean.

    A vision transformer's L is 1 + h*w: the class token, then the patches row by row.
    ``attend`` maps a block's index (``"pool"`` in a ResNet) to a function (q, k, v) -> out that takes the
    place of its attention, which then has no ``probs``; in a text tower that function masks for itself.
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
        """Run ``x`` and return the tensors named in ``want``, what `tail` needs beside them, and ``embedding``.

        Nothing is recorded that was not asked for, and nothing stays in the module. Raises ModelError for a
        name that is no tap of this tower, with the nearest ones.

        >>> sorted(clip.visual.trace(pixels, want=["block.1.probs"]))
        ['block.0', 'block.1.probs', 'embedding']
        """
        self._check(want, attend)
        see = Taps(want={*want, *(name for tap in want for name in self.beside(tap))})
        embedding = self(x, see=see, attend=attend)
        return {**see.seen, "embedding": embedding}

    def tail(
        self, tap: str, value: Tensor, given: Mapping[str, Tensor], attend: Mapping[Any, Attend] | None = None
    ) -> Tensor:
        """The embedding [N, E] that follows when ``tap`` holds ``value``; differentiable in ``value``.

        What ``tap`` alone does not hold (the residual stream beside an attention, where a text ends) comes
        from the trace ``given`` and is held constant. ``given`` of one input serves a ``value`` of many rows.
        ``tail(t, given[t], given)`` with ``given = trace(x, want=[t])`` is the embedding of ``x``.
        """
        self._check([tap], attend)
        held = {}
        for name in self.beside(tap):
            if name not in given:
                raise ModelError(
                    f"tail({tap!r}) needs {name!r} beside it, and the trace holds only {sorted(given)}: "
                    f"trace with want=[{tap!r}], which keeps it."
                )
            kept, rows = given[name].detach(), value.shape[0]
            if kept.shape[0] not in (1, rows):
                raise ModelError(
                    f"tail({tap!r}) got a value of {rows} rows beside a trace of {kept.shape[0]}: "
                    "trace those inputs alone, or a single one, which serves any number."
                )
            held[name] = kept.expand(rows, *kept.shape[1:])
        return self.resume(tap, value, held, attend)

    def _check(self, taps: Collection[str], attend: Mapping[Any, Attend] | None) -> None:
        known = self.taps()
        layers = [name.removesuffix(".probs").removeprefix("block.") for name in known if name.endswith(".probs")]
        check_attend(attend, [int(layer) if layer.isdigit() else layer for layer in layers])
        replaced = {"pool.probs" if key == "pool" else f"block.{key}.probs" for key in attend or {}}
        for tap in taps:
            if tap not in known:
                raise ModelError(f"{tap!r} is no point inside this {type(self).__name__}. {nearest(tap, known)}")
            if tap in replaced:
                raise ModelError(
                    f"There is no {tap!r} where attend= replaces its attention: leave out the one or other."
                )
