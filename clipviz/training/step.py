"""One step's loss and gradients: at once, or in micro-batches that give the same (gradient caching)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .batches import Batch
from .loss import contrastive_loss, gathered, world_size

Backward = Callable[[Tensor], None]


@dataclass(frozen=True)
class Step:
    """How a batch becomes gradients.

    With ``micro_batch`` the features of all pieces are computed first without their graphs, the loss of the whole
    batch gives the gradient of each feature, and each piece runs again to carry its own to the weights: gradient
    caching (Gao et al. 2021, arXiv 2101.06983). Memory then holds the graph of one piece. The second run sees the
    random numbers of the first.
    """

    towers: Any  # Towers, or what torch.distributed wrapped around it
    micro_batch: int = 0
    multi_positive: bool = False
    local_weight: float = 0.0
    backward: Backward = field(default=lambda loss: loss.backward())

    def __call__(self, batch: Batch) -> Tensor:
        """Add the gradients of the global batch's loss to the weights, and give this process's share of the loss [].

        The shares of all processes add up to the loss. Gradients are what averaging over processes makes whole.
        """
        if not self.micro_batch:
            found = self.towers(batch.pixels, batch.keep, batch.tokens)
            loss = self.loss(batch, found)
            self.backward(loss * world_size())
            return loss.detach()
        pieces = list(_pieces(batch, self.micro_batch))
        dice = []
        first: list[dict[str, Tensor]] = []
        with torch.no_grad():
            for piece in pieces:
                dice.append(_dice())
                first.append(self.towers(**piece))
        found = {}
        for name in ("images", "patches", "texts"):
            parts = [out[name] for out in first if name in out]
            if parts:
                found[name] = torch.cat(parts).requires_grad_()
        found["scale"] = first[0]["scale"].detach().requires_grad_()
        del first
        loss = self.loss(batch, found)
        self.backward(loss * world_size())
        place = dict.fromkeys(found, 0)
        for number, (piece, state) in enumerate(zip(pieces, dice, strict=True)):
            last = number == len(pieces) - 1
            # processes exchange gradients once, with the last piece
            quiet = nullcontext() if last or not hasattr(self.towers, "no_sync") else self.towers.no_sync()
            with quiet, _replayed(state):
                out = self.towers(**piece)
                carried = []
                for name, value in out.items():
                    if name == "scale":
                        carried.append(value * (found[name].grad if last else 0))
                        continue
                    gradient = found[name].grad
                    if gradient is None:
                        continue
                    here = slice(place[name], place[name] + len(value))
                    place[name] += len(value)
                    carried.append((value * gradient[here]).sum())
                torch.stack([c.to(carried[0].dtype) for c in carried]).sum().backward()  # scaled already, where it is
        return loss.detach()

    def loss(self, batch: Batch, found: dict[str, Tensor]) -> Tensor:
        """This process's share of the loss, from the features of its pictures and texts."""
        texts, said = gathered(found["texts"]), gathered(batch.said)
        scale = found["scale"]
        if self.multi_positive:
            true = (batch.true[:, :, None] == said).any(dim=1)  # [n, K]
        else:
            sizes = gathered(torch.tensor([len(batch.said)], device=said.device))
            rank = torch.distributed.get_rank() if world_size() > 1 else 0
            first = int(sizes[:rank].sum())
            own = first + torch.arange(len(batch.said), device=said.device)
            true = own[:, None] == torch.arange(len(said), device=said.device)
        loss = contrastive_loss(scale * found["images"] @ texts.T, true)
        if self.local_weight:
            best = (found["patches"] @ texts.T).amax(dim=1)  # [n, K]: each text's best patch, as in FILIP
            loss = loss + self.local_weight * contrastive_loss(scale * best, true)
        return loss


def _pieces(batch: Batch, size: int) -> Iterator[dict[str, Tensor]]:
    """Pictures and texts side by side, ``size`` of each at a time.

    What is longer begins alone, so that the last piece, with which processes exchange gradients, has both.
    """
    pictures, texts = (
        [slice(first, first + size) for first in range(0, len(rows), size)] for rows in (batch.pixels, batch.tokens)
    )
    alone = len(pictures) - len(texts)
    for see, say in zip([None] * -alone + pictures, [None] * alone + texts, strict=True):
        piece: dict[str, Tensor] = {}
        if see is not None:
            piece["pixels"] = batch.pixels[see]
            if batch.keep is not None:
                piece["keep"] = batch.keep[see]
        if say is not None:
            piece["tokens"] = batch.tokens[say]
        yield piece


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
