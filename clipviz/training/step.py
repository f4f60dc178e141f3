"""One step's loss and gradients: at once, or in micro-batches that give the same (gradient caching)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from ..errors import SpecError
from .batches import Batch
from .blocks import loss_in_blocks
from .loss import gathered, most, world_size
from .norms import looks_at_the_batch

Backward = Callable[[Tensor], None]
Piece = dict[str, Tensor]


@dataclass(frozen=True)
class Step:
    """How a batch becomes gradients.

    With ``micro_batch`` the features of all pieces are computed first without their graphs, the loss of the whole
    batch gives the gradient of each feature, and each piece runs again to carry its own to the weights: gradient
    caching (Gao et al. 2021, arXiv 2101.06983). Memory then holds the graph of one piece. The second run sees the
    random numbers of the first. Batch norm in training looks at the whole batch, which no piece shows: SpecError.
    """

    towers: Any  # Towers, or what torch.distributed wrapped around it
    micro_batch: int = 0
    multi_positive: bool = False
    local_weight: float = 0.0
    backward: Backward = field(default=lambda loss: loss.backward())

    def __post_init__(self) -> None:
        if self.micro_batch and looks_at_the_batch(self.towers):
            raise SpecError(
                f"memory.micro_batch={self.micro_batch} would show batch norm so many pictures instead of the batch, "
                "which changes what is learnt; for this ResNet take memory.checkpoint_activations, more "
                'processes, or model.frozen = ["visual"].'
            )

    def __call__(self, batch: Batch) -> Tensor:
        """Add the gradients of the global batch's loss to the weights, and give this process's share of the loss [].

        The shares of all processes add up to the loss. Gradients are what averaging over processes makes whole.
        """
        if not self.micro_batch:
            found = self.towers(batch.pixels, batch.keep, batch.tokens)
            loss = self.loss(batch, found)
            self.backward(loss * world_size())
            return loss.detach()
        pieces = _pieces(batch, self.micro_batch)
        dice, found = self._features(pieces)
        loss = self.loss(batch, found)
        self.backward(loss * world_size())
        self._carry(pieces, dice, {name: value.grad for name, value in found.items()})
        return loss.detach()

    def _features(self, pieces: list[Piece]) -> tuple[list[list[Tensor]], dict[str, Tensor]]:
        """The features of the whole batch as leaves of a new graph, and the state of chance before each piece."""
        dice, parts = [], []
        with torch.no_grad():
            for piece in pieces:
                dice.append(_dice())
                parts.append(self.towers(**piece))
        found = {}
        for name in ("images", "patches", "texts"):
            rows = [out[name] for out in parts if name in out]
            if rows:
                found[name] = torch.cat(rows).requires_grad_()
        found["scale"] = parts[0]["scale"].detach().clone().requires_grad_()
        return dice, found

    def _carry(self, pieces: list[Piece], dice: list[list[Tensor]], gradients: dict[str, Tensor | None]) -> None:
        """Run the pieces again, and take each feature's gradient (scaled already, where it is) to the weights."""
        plain = self.towers.module if hasattr(self.towers, "module") else self.towers
        vision, text = plain.trained
        place = dict.fromkeys(gradients, 0)
        for number, (piece, state) in enumerate(zip(pieces, dice, strict=True)):
            last = number == len(pieces) - 1
            # a frozen tower has nothing to learn from its features, and no use for chance
            asked = {name: rows for name, rows in piece.items() if (text if name == "tokens" else vision)}
            if not (asked or last):
                continue
            # processes exchange gradients once, with the last piece
            with _exchanging(self.towers, last), _replayed(state):
                out = self.towers(**asked)
                scale = out.pop("scale")
                carried = [scale * gradients["scale"]] if last else []
                for name, value in out.items():
                    gradient = gradients[name]
                    if gradient is None:
                        continue
                    here = slice(place[name], place[name] + len(value))
                    place[name] += len(value)
                    carried.append((value * gradient[here]).sum())
                torch.stack([c.to(scale.dtype) for c in carried]).sum().backward()

    def loss(self, batch: Batch, found: dict[str, Tensor]) -> Tensor:
        """This process's share of the loss, from the features of its pictures and texts."""
        texts, said = gathered(found["texts"]), gathered(batch.said)
        scale = found["scale"]
        sizes = gathered(torch.tensor([len(batch.said)], device=said.device))
        rank = torch.distributed.get_rank() if world_size() > 1 else 0
        first, numbers = int(sizes[:rank].sum()), torch.arange(len(said), device=said.device)

        def true(at: slice) -> Tensor:  # [some, K]
            if self.multi_positive:
                return (batch.true[at][:, :, None] == said).any(dim=1)
            return first + numbers[: len(batch.said)][at, None] == numbers

        def whole(at: slice) -> Tensor:
            return scale * found["images"][at] @ texts.T

        def local(at: slice) -> Tensor:
            return scale * (found["patches"][at] @ texts.T).amax(dim=1)  # each text's best patch, as in FILIP

        rows, k = len(found["images"]), len(texts)
        loss = loss_in_blocks(whole, true, rows, k, device=texts.device)
        if self.local_weight:
            loss = loss + self.local_weight * loss_in_blocks(
                local, true, rows, k, found["patches"].shape[1], texts.device
            )
        return loss


def _pieces(batch: Batch, size: int) -> list[Piece]:
    """Pictures and texts side by side, at most ``size`` of each at a time.

    What is longer begins alone, so that the last piece, with which processes exchange gradients, has both. All
    processes make as many pieces (of about the same size), since sharded weights are fetched for each.
    """
    numbers = torch.tensor([math.ceil(len(rows) / size) for rows in (batch.pixels, batch.tokens)])
    numbers = most(numbers.to(batch.pixels.device)).clamp(min=1)
    pictures = batch.pixels.tensor_split(int(numbers[0]))
    kept = batch.keep.tensor_split(int(numbers[0])) if batch.keep is not None else None
    texts = batch.tokens.tensor_split(int(numbers[1]))
    pieces: list[Piece] = [{} for _ in range(max(len(pictures), len(texts)))]
    for i, piece in enumerate(pieces):
        see, say = i - len(pieces) + len(pictures), i - len(pieces) + len(texts)
        if see >= 0:
            piece["pixels"] = pictures[see]
            if kept is not None:
                piece["keep"] = kept[see]
        if say >= 0:
            piece["tokens"] = texts[say]
    return pieces


@contextmanager
def _exchanging(towers: Any, last: bool) -> Iterator[None]:
    """Whether the backward pass within it ends with the processes' gradients put together."""
    if isinstance(towers, FSDPModule):
        towers.set_is_last_backward(last)
        towers.set_requires_gradient_sync(last)
    with nullcontext() if last or not hasattr(towers, "no_sync") else towers.no_sync():
        yield


def _dice() -> list[Tensor]:
    states = [torch.random.get_rng_state()]
    if torch.cuda.is_available():
        states += torch.cuda.get_rng_state_all()
    return states


class _replayed:
    """Within it, random numbers are those drawn after ``state`` was taken."""

    def __init__(self, state: list[Tensor]):
        self.state = state

    def __enter__(self) -> None:
        self.before = _dice()
        self._set(self.state)

    def __exit__(self, *_: object) -> None:
        self._set(self.before)

    @staticmethod
    def _set(states: list[Tensor]) -> None:
        torch.random.set_rng_state(states[0])
        if len(states) > 1:
            torch.cuda.set_rng_state_all(states[1:])
