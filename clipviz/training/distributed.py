"""The processes of a run: who am I, the network over all of us, and its whole state for a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from ..clip import CLIP
from ..clip.resnet import Bottleneck
from ..clip.transformer import Block
from ..errors import SpecError
from .norms import spread_batch_norm
from .recipe import Recipe
from .states import placed, whole
from .towers import Towers

ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PATIENCE = timedelta(hours=2)  # one process decodes a cache while the others wait


@dataclass(frozen=True)
class World:
    """This process among those of the run: its ``rank`` of ``size``, and the ``device`` that it computes on."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    joined: bool = False  # whether `leave` has something to leave

    @classmethod
    def join(cls) -> World:
        """Meet the other processes that ``torchrun`` started; alone where it started none.

        GPUs talk through nccl, CPUs through gloo. Raises SpecError where torchrun's environment is no number.

        >>> World.join().size  # in a plain shell
        1
        """
        try:
            rank, size, local = (
                int(os.environ.get(name, d))
                for name, d in zip(("RANK", "WORLD_SIZE", "LOCAL_RANK"), (0, 1, 0), strict=True)
            )
        except ValueError as error:
            raise SpecError(
                f"RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers ({error}); start with torchrun."
            ) from error
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", local % torch.cuda.device_count())
            torch.cuda.set_device(device)
        if dist.is_available() and dist.is_initialized():  # somebody has met already, and will part
            return cls(dist.get_rank(), dist.get_world_size(), device)
        if size == 1 or not all(name in os.environ for name in ENVIRONMENT):
            return cls(device=device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, rank=rank, world_size=size, timeout=PATIENCE)
        return cls(rank, size, device, joined=True)

    def leave(self) -> None:
        """Part from the others, if `join` met them; nothing else of this process changes."""
        if self.joined and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def wrap(self, towers: Towers, recipe: Recipe) -> Any:
        """The towers on this device, their gradients averaged over all processes; call before making the optimizer.

        ``memory.distributed="ddp"`` gives each process all weights, "fsdp2" its share of each block's. Batch norm
        that is trained takes its statistics over all processes, so that it is that of the whole batch. Raises
        SpecError for a batch smaller than ``size``, and for float16 in shards.
        """
        towers.to(self.device)
        if self.size == 1:
            return towers
        if recipe.optim.batch < self.size:
            raise SpecError(
                f"optim.batch={recipe.optim.batch} leaves some of {self.size} processes without a picture; give a "
                "larger batch or start fewer."
            )
        if (recipe.memory.distributed, recipe.memory.precision) == ("fsdp2", "float16"):
            raise SpecError(
                'memory.distributed="fsdp2" has no gradient scaler for memory.precision="float16"; give "bfloat16", '
                'which needs none, or "ddp".'
            )
        spread_batch_norm(towers, self.device)
        if recipe.memory.distributed == "fsdp2":
            return self._sharded(towers)
        own = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(towers, device_ids=own, gradient_as_bucket_view=True)

    def _sharded(self, towers: Towers) -> Towers:
        mesh, clip = init_device_mesh(self.device.type, (self.size,)), towers.clip
        # where patches are asked alone, the last block's weights serve once more after its forward pass is over
        late = list(clip.visual.modules()) if towers.local else []
        keep = next((m for m in reversed(late) if isinstance(m, Block)), None)
        for part in clip.modules():
            if isinstance(part, Block | Bottleneck) and part is not keep:
                fully_shard(part, mesh=mesh)
        fully_shard(clip.text, mesh=mesh)  # by itself: its weights may be of another precision
        fully_shard(towers, mesh=mesh, ignored_params={clip.logit_scale})  # a scalar cannot be cut
        if self.device.type == "cpu":
            for part in towers.modules():
                if isinstance(part, FSDPModule):
                    part.set_force_sum_reduction_for_comms(True)  # gloo knows no average
        if clip.logit_scale.requires_grad:
            clip.logit_scale.register_post_accumulate_grad_hook(self._average)
        return towers

    def _average(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= self.size

    def clip_norm(self, parameters: Iterable[nn.Parameter], most: float) -> Tensor:
        """Shrink all gradients so that their norm is at most ``most``; gives the norm [] before, over all shards."""
        trained = [p for p in parameters if p.grad is not None]
        own = [p.grad.to_local() for p in trained if isinstance(p.grad, DTensor)]
        if not own:
            return torch.nn.utils.clip_grad_norm_(trained, most)
        others = [p.grad for p in trained if p.grad is not None and not isinstance(p.grad, DTensor)]
        # in float32 at least: a sum of many bfloat16 squares has two or three digits
        wide = torch.promote_types(max((part.dtype for part in own), key=lambda d: d.itemsize), torch.float32)
        squares = torch.stack([part.to(wide).square().sum() for part in own]).sum()
        dist.all_reduce(squares)
        norm = torch.stack([squares, *(part.to(wide).square().sum() for part in others)]).sum().sqrt()
        shrink = (most / (norm + 1e-6)).clamp(max=1.0)
        for part in (*own, *others):
            part.mul_(shrink)
        return norm

    def model_state(self, towers: Any) -> dict[str, Tensor]:
        """The whole state of the CLIP inside, on the CPU, in process 0; empty in the others. All must call."""
        return whole(_clip(towers).state_dict(), self.main)  # type: ignore[no-any-return]

    def optimizer_state(self, towers: Any, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """``optimizer.state_dict()`` with whole tensors on the CPU, in process 0; empty elsewhere. All must call."""
        _clip(towers)
        return whole(optimizer.state_dict(), self.main)  # type: ignore[no-any-return]

    def load(
        self,
        towers: Any,
        optimizer: torch.optim.Optimizer,
        model_state: Mapping[str, Tensor],
        optimizer_state: Mapping[str, Any],
    ) -> None:
        """Take process 0's whole states, of any number of processes; what the others give is not looked at.

        >>> world.load(towers, optimizer, state["clip"], state["optimizer"])  # doctest: +SKIP
        """
        clip = _clip(towers)
        clip.load_state_dict(placed(dict(model_state), clip.state_dict(), self.device, self.size > 1))
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        like = {"state": dict(enumerate(parameters))}
        optimizer.load_state_dict(placed(dict(optimizer_state), like, self.device, self.size > 1))

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process, as of "stop now": all must call, and all get the same answer."""
        return self.sum(float(flag)) > 0

    def sum(self, value: float) -> float:
        """The sum over all processes, as of the shares of a loss."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return float(total)

    def share(self, value: Any) -> Any:
        """Process 0's ``value`` (anything that pickles) in all processes."""
        if self.size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0, device=self.device)
        return held[0]

    def everyones(self, value: Any) -> list[Any]:
        """The values (anything that pickles) of all processes, by rank, as of the pictures that each skipped."""
        if self.size == 1:
            return [value]
        held: list[Any] = [None] * self.size
        dist.all_gather_object(held, value)
        return held


def _clip(towers: Any) -> CLIP:
    """The network inside, its weights in shards where it is sharded (a forward pass alone leaves some whole)."""
    for part in towers.modules():
        if isinstance(part, FSDPModule):
            part.reshard()
    clip: CLIP = (towers.module if isinstance(towers, DistributedDataParallel) else towers).clip
    return clip
