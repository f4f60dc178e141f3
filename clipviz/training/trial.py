"""A few real steps, to tell what a whole run will take: seconds, and bytes of memory."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from .batches import Batch, Batches
from .network import build, on_meta
from .optim import make_optimizer
from .recipe import Recipe
from .step import Step
from .towers import Towers

LEAST, BUDGET, REPEATS = 8, 4.0, 3  # pairs of the first try; seconds that a step may take; steps that are timed
SIMILARITIES = 4  # matrices of batch x texts that the loss keeps at once


@dataclass(frozen=True)
class Trial:
    """What was measured of a recipe's steps, each on ``measured`` of the batch's pairs; times are of a whole step.

    ``share`` is how much of its threads' time the process was given; ``memory``: bytes by what they are for.
    """

    measured: int
    read_seconds: float
    compute_seconds: float
    share: float
    memory: dict[str, int]


def needed(recipe: Recipe) -> int:
    """Bytes that the weights, their gradients and Adam's statistics will take; 0 where only the weights tell."""
    if recipe.model.weights:
        return 0
    return sum(p.numel() for p in on_meta(recipe.model).parameters()) * (
        4 + 4 + (4 if recipe.memory.half_moments else 8)
    )


def available() -> int | None:
    """Bytes of memory that this machine has to give, or None where it does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def try_out(recipe: Recipe, batches: Batches, seen: Tensor | None) -> Trial:
    """Train a few steps on a network that is thrown away.

    A batch that would take longer than some seconds is tried in part (every so many rows of it), and its time and
    memory are counted up. Both kinds of step are tried where patches are dropped for a part of the run.
    """
    steps = _Steps(recipe, batches, seen)
    batch, full = recipe.optim.batch, recipe.steps - 1  # the last step drops no patches, the first does if any
    world = max(1, batch // LEAST)  # as if there were so many processes, of which this is one
    steps.take(0, world)
    world = min(world, math.ceil(world * sum(steps.take(0, world)) / BUDGET))
    kinds = [(0, 1.0)]
    if recipe.optim.keep_patches < 1:
        kinds = [(0, recipe.optim.full_from), (full, 1 - recipe.optim.full_from)]
    read = compute = 0.0
    began, worked = time.perf_counter(), time.process_time()
    for step, share in kinds:
        if share:
            steps.take(step, world)  # pictures that a cache will hold are decoded now, and not timed
            taken = [steps.take(step, world) for _ in range(REPEATS)]
            read += share * statistics.median(t[0] for t in taken)
            compute += share * statistics.median(t[1] for t in taken)
    pairs = math.ceil(batch / world)
    share = (time.process_time() - worked) / (time.perf_counter() - began) / torch.get_num_threads()
    return Trial(pairs, read * batch / pairs, compute * batch / pairs, share, steps.memory(pairs))


class _Steps:
    """The network of a trial, its optimizer, and the most that it kept for a backward pass."""

    def __init__(self, recipe: Recipe, batches: Batches, seen: Tensor | None):
        self.recipe, self.batches, self.seen = recipe, batches, seen
        memory, loss = recipe.memory, recipe.loss
        self.clip = build(recipe, seen).train()
        self.towers = Towers(
            self.clip, batches.shape.mean, batches.shape.std, local=loss.local_weight > 0, precision=memory.precision,
            recompute=memory.checkpoint_activations,
        )  # fmt: skip
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.towers.to(self.device)
        self.optimizer = make_optimizer(self.clip, recipe)
        self.step = Step(self.towers, memory.micro_batch, loss.multi_positive, loss.local_weight)
        self.kept = Kept(self.clip)
        self.texts = 0

    def take(self, number: int, world: int) -> tuple[float, float]:
        """(seconds to read, seconds to compute) of a step with every ``world``-th of its rows."""
        self.batches.world = world
        began = time.perf_counter()
        batch = self.batches[number]
        read = time.perf_counter() - began
        began = time.perf_counter()
        self._move(batch)
        self.optimizer.zero_grad(set_to_none=True)
        with saved_tensors_hooks(self.kept.pack, self.kept.unpack):
            self.step(batch)
        torch.nn.utils.clip_grad_norm_(self.clip.parameters(), self.recipe.optim.clip_norm or float("inf"))
        self.optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.texts = max(self.texts, len(batch.said) * world)
        return read, time.perf_counter() - began

    def _move(self, batch: Batch) -> None:
        if self.seen is not None:
            batch.tokens = torch.searchsorted(self.seen, batch.tokens).clamp(max=len(self.seen) - 1)
        for name in ("pixels", "true", "tokens", "said", "keep"):
            value = getattr(batch, name)
            setattr(batch, name, None if value is None else value.to(self.device))

    def memory(self, pairs: int) -> dict[str, int]:
        """Bytes of weights, gradients, Adam's statistics and what waits for the backward pass, for a whole step."""
        parameters = list(self.clip.parameters())
        trained = [p for p in parameters if p.requires_grad]
        moments = [v for state in self.optimizer.state.values() for v in state.values() if isinstance(v, Tensor)]
        batch, micro = self.recipe.optim.batch, self.recipe.memory.micro_batch
        at_once = micro or batch
        scale = max(1.0, at_once / min(pairs, at_once))
        found = {
            "weights": sum(p.numel() * p.element_size() for p in parameters),
            "gradients": sum(p.numel() * p.element_size() for p in trained),
            "Adam's statistics": sum(v.numel() * v.element_size() for v in moments),
            "kept for the backward pass": round(self.kept.peak * scale),
        }
        if pairs < batch:  # they grow with its square, and what was measured does not tell
            found["similarities of the whole batch"] = SIMILARITIES * 4 * batch * self.texts
        return found


class Kept:
    """The bytes that autograd keeps for the backward pass, and the most there were; weights do not count."""

    def __init__(self, clip: torch.nn.Module):
        self.weights = {p.untyped_storage().data_ptr() for p in clip.parameters()}
        self.holders: dict[int, int] = {}
        self.now = self.peak = 0

    def pack(self, tensor: Tensor) -> Any:
        place = tensor.untyped_storage().data_ptr()
        if place in self.weights:
            return lambda: tensor
        size = tensor.untyped_storage().nbytes()
        if self.holders.get(place, 0) == 0:
            self.now += size
            self.peak = max(self.peak, self.now)
        self.holders[place] = self.holders.get(place, 0) + 1
        return _Holder(tensor, lambda: self._release(place, size))

    def unpack(self, held: Any) -> Tensor:
        tensor: Tensor = held()
        return tensor

    def _release(self, place: int, size: int) -> None:
        self.holders[place] -= 1
        if self.holders[place] == 0:
            self.now -= size


class _Holder:
    """Holds a tensor for as long as the graph holds this."""

    def __init__(self, tensor: Tensor, release: Callable[[], None]):
        self.tensor, self.release = tensor, release

    def __call__(self) -> Tensor:
        return self.tensor

    def __del__(self) -> None:
        self.release()
