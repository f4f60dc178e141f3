"""A loss that goes wrong: not a number stops the run before the weights are spoilt, divergence is reported."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ClipvizWarning, ModelError

SMOOTH = 50  # steps over which a loss is averaged: one batch's says little
TIMES, STEPS = 2.0, 200  # divergence: above so many times its best, for so many steps on end
NORMS = 5  # gradient norms that are told
MOST_OVERFLOWS = 50  # in a row; a scaler halves its scale at each, and 2**50 is more than any begins with


@dataclass
class Watch:
    """Looks at each step between its gradients and the change of the weights.

    ``newest`` gives the path of the last good checkpoint, or None. ``warns`` is False in all processes of a run
    but the first.
    """

    newest: Callable[[], Path | None] = lambda: None
    warns: bool = True
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=NORMS))
    mean: float = 0.0  # of the loss, exponentially
    seen: int = 0
    best: float = math.inf
    above: int = 0
    warned: bool = False
    overflows: int = 0

    def see(self, step: int, loss: float, norm: float, rate: float, *, scaled: bool = False) -> None:
        """Look at a step's loss and gradient norm; call it before the optimizer's step.

        Raises ModelError where one of them is not finite: the weights are then still those of the step before.
        With ``scaled=True`` (float16 with a loss scaler, which leaves such a step out and scales by less) only
        where that goes on. Warns once (ClipvizWarning) when the loss, averaged over some 50 steps, has been more
        than twice its best for 200 steps on end.

        >>> Watch().see(7, 2.5, 0.3, 1e-3)
        """
        if not math.isfinite(loss) or (not math.isfinite(norm) and not scaled):
            raise ModelError(self._stopped(step, loss, norm, rate))
        if not math.isfinite(norm):
            self.overflows += 1
            if self.overflows > MOST_OVERFLOWS:
                raise ModelError(self._stopped(step, loss, norm, rate))
            return
        self.overflows = 0
        self.norms.append(norm)
        self.seen += 1
        self.mean += (loss - self.mean) / min(self.seen, SMOOTH)
        if self.seen >= SMOOTH:
            self.best = min(self.best, self.mean)
        self.above = self.above + 1 if self.mean > TIMES * self.best else 0
        if self.above >= STEPS and not self.warned:
            self.warned = True
            if self.warns:
                warnings.warn(self._diverges(step, rate), ClipvizWarning, stacklevel=2)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, as plain values."""
        return {name: getattr(self, name) for name in PLAIN} | {"norms": list(self.norms)}

    def restore(self, state: dict[str, Any]) -> None:
        for name in PLAIN:
            setattr(self, name, state[name])
        self.norms = deque(state["norms"], maxlen=NORMS)

    def _stopped(self, step: int, loss: float, norm: float, rate: float) -> str:
        return (
            f"At step {step} the loss is {loss:.4g} and the gradient's norm {norm:.4g}, at a learning rate of "
            f"{rate:.3g}; {self._before()}. The step was not taken. {self._kept()} {_advice(rate)}"
        )

    def _diverges(self, step: int, rate: float) -> str:
        return (
            f"The loss diverges: at step {step} it is {self.mean:.4g} on average, and has been over {TIMES:g} times "
            f"its best, {self.best:.4g}, for {self.above} steps. The learning rate is {rate:.3g}; {self._before()}. "
            f"{_advice(rate)}"
        )

    def _before(self) -> str:
        if not self.norms:
            return "no gradient came before it"
        return f"the gradient norms before it are {', '.join(f'{norm:.4g}' for norm in self.norms)}"

    def _kept(self) -> str:
        path = self.newest()
        return f"The last good checkpoint is {str(path)!r}." if path else "No checkpoint was written before it."


PLAIN = ("mean", "seen", "best", "above", "warned", "overflows")


def _advice(rate: float) -> str:
    return (
        "Begin again with a lower rate and clipped gradients, as in --set optim.learning_rate="
        f"{rate / 3:.1g} --set optim.clip_norm=1, in another out."
    )
