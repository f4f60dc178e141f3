"""AdamW that keeps its statistics, or the weights themselves, in bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .rounding import stochastic_round

Rounding = Callable[[Tensor, torch.Generator], Tensor]
MOMENTS = ("exp_avg", "exp_avg_sq")


class AdamW(torch.optim.Optimizer):
    """`torch.optim.AdamW`, step for step, computed in float32 whatever is stored.

    With ``half_moments`` both moments are kept in bfloat16: 4 bytes a weight instead of 8. Weights that are bfloat16
    have no float32 copy beside them. What is stored in bfloat16 is rounded by ``rounding``, stochastically: Adam's
    second moment changes by a thousandth of itself a step, less than half the distance to the next bfloat16.

    The chances of a step are drawn from ``seed`` and the number of the step, both of which are in `state_dict`: a
    run that goes on does so bit for bit, and processes that hold the same weights round them alike.

    >>> AdamW([torch.nn.Parameter(torch.zeros(3))], half_moments=True).defaults["lr"]
    0.001
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        half_moments: bool = False,
        seed: int = 0,
        rounding: Rounding = stochastic_round,
    ):
        self.half_moments, self.rounding = half_moments, rounding
        self._generators: dict[torch.device, torch.Generator] = {}
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "seed": seed, "steps": 0}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every weight that has a gradient; ``closure`` is called first, as torch's optimizers do."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            group["steps"] += 1
            # mixed, since generators that begin at neighbouring seeds begin alike
            mixed = np.random.SeedSequence([group["seed"], number, group["steps"]]).generate_state(1, np.uint64)
            for device in {p.device for p in group["params"]}:
                self._generators.setdefault(device, torch.Generator(device)).manual_seed(int(mixed[0]))
            for p in group["params"]:
                if p.grad is not None:
                    self._one(p, p.grad, group)
        return loss

    def _one(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
        state = self.state[p]
        if not state:
            state["step"] = torch.tensor(0.0)
            for name in MOMENTS:
                state[name] = torch.zeros_like(p, dtype=self._kept(p), memory_format=torch.preserve_format)
        state["step"] += 1
        n = state["step"].item()
        weight, gradient = _local(p), _exact(_local(grad))
        first, second = (_exact(_local(state[name])) for name in MOMENTS)
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        moved = _exact(weight)
        moved.mul_(1 - lr * group["weight_decay"])
        scale = (second.sqrt() / (1 - beta2**n) ** 0.5).add_(eps)
        moved.addcdiv_(first, scale, value=-lr / (1 - beta1**n))
        self._store(weight, moved)
        self._store(_local(state["exp_avg"]), first)
        self._store(_local(state["exp_avg_sq"]), second)

    def _store(self, place: Tensor, value: Tensor) -> None:
        if place is value:
            return  # computed in place
        place.copy_(self.rounding(value, self._generators[place.device]) if place.dtype == torch.bfloat16 else value)

    def _kept(self, p: Tensor) -> torch.dtype:
        if self.half_moments:
            return torch.bfloat16
        return p.dtype if p.dtype == torch.float64 else torch.float32

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what `state_dict` gave; the moments keep their own precision, not that of their weights."""
        super().load_state_dict(state_dict)
        numbers = [n for group in state_dict["param_groups"] for n in group["params"]]
        weights = [p for group in self.param_groups for p in group["params"]]
        for number, p in zip(numbers, weights, strict=True):
            held = state_dict["state"].get(number, {})
            for name in (name for name in MOMENTS if name in held):
                # torch's own way casts them to the type of the weight
                self.state[p][name] = held[name].to(device=p.device, dtype=self._kept(p), copy=True)


def _exact(value: Tensor) -> Tensor:
    """As float32 to compute in; itself where it is (or is float64), so that what is computed is stored by that."""
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def _local(value: Tensor) -> Tensor:
    """This process's part of a tensor that several hold (FSDP2), or the tensor."""
    return value.to_local() if hasattr(value, "to_local") else value
