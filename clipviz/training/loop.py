"""The training loop: read ahead, step, write down, keep safe, and be able to go on."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..errors import DataError
from ..lock import hold
from ..stopping import Stopping, leaving
from .batches import Batch, Batches, read_ahead
from .checkpoint import Checkpoints, check_recipe, room, sweep
from .dev import Dev
from .distributed import World
from .export import ids_of, write_model
from .line import score_of, short
from .log import Log
from .network import VOCABULARY, build, seen_tokens, shape_of
from .optim import make_optimizer, rate
from .parent import parent_of
from .places import CACHE, CHECKPOINTS, MODEL
from .reading import read_recipe
from .recipe import Recipe
from .record import write_record, write_skipped
from .scaling import gradient_scaler
from .step import Step
from .towers import Towers
from .watch import Watch

logger = logging.getLogger(__name__)

MOST_SCALE = 100.0  # of the logits (section 2.5 of the paper)


def train(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    out: str | Path,
    resume: bool = False,
    changes: Iterable[str] = (),
    quiet: bool = False,
) -> Path:
    """Train a CLIP as ``recipe`` says (a Recipe, a TOML file or a mapping) and give the folder of the model.

    ``changes`` replace keys of it, as in ["optim.learning_rate=3e-4"]. In ``out`` are written ``run.json`` (recipe,
    versions, data hashes), ``metrics.jsonl`` and TensorBoard events (loss, learning rate, gradient norm, logit
    scale, pairs per second, accuracy on dev), ``checkpoints/``, and at the end ``model/``, which ``clipviz.load``
    reads. With ``resume=True`` a run that was stopped, by whatever, goes on from its newest whole checkpoint and
    ends with the same weights as one that was not. Under ``torchrun`` the processes share each batch. SIGTERM and
    Ctrl-C stop after the step in hand, with a checkpoint. A script whose recipe reads with workers or draws
    scenes needs the usual ``if __name__ == "__main__":``.

    Raises SpecError for a recipe that is wrong or is not the checkpoint's, DataError for data that cannot serve
    and for an ``out`` that holds a run (while ``resume`` is False) or is being written by another, and ModelError
    for a loss that is not finite; the last good checkpoint stays.

    >>> train("train/tiny.toml", out="runs/tiny")  # doctest: +SKIP
    """
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe, changes)
    world = World.join()
    try:
        with _settings(recipe), hold(out, world.rank), room(Path(out), Checkpoints(Path(out) / CHECKPOINTS, 1)):
            return Run(recipe, Path(out), resume, quiet or not world.main, world).go()
    finally:
        world.leave()


@contextmanager
def _settings(recipe: Recipe) -> Iterator[None]:
    """Threads and determinism as the recipe says, and as they were afterwards."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks of a deterministic run
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(recipe.deterministic)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


class Run:
    """One run: its network, its data, its place, and what it has written."""

    def __init__(self, recipe: Recipe, out: Path, resume: bool, quiet: bool, world: World):
        self.recipe, self.out, self.quiet, self.world = recipe, out, quiet, world
        self.checkpoints = Checkpoints(out / CHECKPOINTS, recipe.keep.last)
        if self.checkpoints.steps() and not resume:
            raise DataError(
                f"{str(out)!r} already holds a run: pass resume=True (--resume) to go on with it, or another out."
            )
        self.began = time.perf_counter()
        if world.main:
            sweep(out)
        self.parent = parent_of(recipe)
        self.shape = shape_of(recipe, self.parent)
        self._open_data()
        self.seen: Tensor | None = None
        if recipe.model.vocabulary == "seen":
            texts = (text for concept in self.batches.concepts.every for text in concept.wordings())
            self.seen = seen_tokens(texts, self.shape.context_length)
            for dev in self.dev:
                dev.check(self.seen)
        clip, local = build(recipe, self.seen), recipe.loss.local_weight
        clip = clip.double() if recipe.memory.precision == "float64" else clip
        self.towers = world.wrap(
            Towers(
                clip,
                self.shape.mean,
                self.shape.std,
                local=local > 0,
                precision=recipe.memory.precision,
                recompute=recipe.memory.checkpoint_activations,
            ),
            recipe,
        )
        self.plain: Towers = getattr(self.towers, "module", self.towers)
        self.optimizer = make_optimizer(self.plain.clip, recipe)
        self.scaler = gradient_scaler(recipe, world.device)
        self.step = Step(
            self.towers,
            recipe.memory.micro_batch,
            recipe.loss.multi_positive,
            local,
            lambda loss: self.scaler.scale(loss).backward(),  # type: ignore[no-untyped-call]
        )
        self.watch = Watch(newest=lambda: self.checkpoints.newest_path, warns=world.main)
        self.occurred = torch.zeros(VOCABULARY, dtype=torch.bool)
        self.done, self.seconds, self.best = 0, 0.0, -math.inf
        self.losses: list[float] = []
        self.skipped: list[tuple[str, str, str]] = []
        self.resumed_at: list[int] = []
        if resume:
            self._restore()
        if world.main and resume and not self.done:
            logger.warning("There is no checkpoint in %s to go on from: the run begins.", str(out))
        for label, number in self.batches.empty_captions.items():
            if world.main:
                logger.warning("%d pictures of %s have an empty caption and are left out.", number, repr(label))

    def _open_data(self) -> None:
        """The batches and the dev sources; process 0 decodes and draws what is cached, and the others wait for it."""
        recipe, world, cache = self.recipe, self.world, self.out / CACHE
        for turn in ("first", "others"):
            if world.main == (turn == "first"):
                self.batches = Batches(
                    recipe, cache, rank=world.rank, world=world.size, quiet=self.quiet, shape=self.shape
                )
                size, context = self.shape.image_size, self.shape.context_length
                self.dev = [Dev(source, size, context, cache, self.quiet) for source in recipe.data.dev]
            world.barrier()

    def go(self) -> Path:
        """All steps from the checkpoint's on, or from the first, and the model."""
        recipe, keep, world = self.recipe, self.recipe.keep, self.world
        if world.main:
            self.record = write_record(self.out, self.batches, self.dev, self.done, world.size)
        began = saved = time.perf_counter()
        first = self.done
        with (
            Stopping() as stopping,
            Log(self.out, self.done) if world.main else nullcontext() as log,
            tqdm(total=recipe.steps, initial=first, desc=recipe.name, unit="step", disable=self.quiet) as bar,
        ):
            for batch in read_ahead(self.batches, first, recipe.data.workers):
                norm = self._one(batch)
                bar.update()
                now = time.perf_counter()
                last = self.done == recipe.steps
                line: dict[str, Any] = {}
                if self.done % keep.log_steps == 0 or last:
                    pace = (self.done - first) * recipe.optim.batch / (now - began)
                    line |= self._measured(norm, pace)
                if self.dev and keep.dev_steps and (self.done % keep.dev_steps == 0 or last):
                    line |= self._score()
                if line:
                    line = {"step": self.done, "samples": self.done * recipe.optim.batch, **line}
                    if log is not None:
                        log.write(line)
                    bar.set_postfix(short(line), refresh=False)
                score = score_of(line)
                better = world.share(score is not None and score > self.best)  # one ulp apart, and they would part
                stop = world.any(stopping.asked is not None)
                late = world.any(0 < keep.seconds < now - saved)  # clocks differ, and all must keep together
                if late or stop or last or better or (keep.steps > 0 and self.done % keep.steps == 0):
                    self._keep(score if better else None)
                    saved = time.perf_counter()
                if stop and not last:
                    bar.close()
                    raise leaving(stopping.asked or signal.SIGTERM, self.done, world.main)
        self.seconds = time.perf_counter() - began
        return self._save()

    def _one(self, batch: Batch) -> float:
        """One step; gives the norm of the gradient before it was clipped."""
        recipe, device = self.recipe, self.world.device
        self.skipped += batch.skipped
        inside = torch.arange(batch.tokens.shape[1]) <= batch.tokens.argmax(dim=1, keepdim=True)  # not the padding
        self.occurred[batch.tokens[inside].unique()] = True
        if self.seen is not None:
            batch.tokens = torch.searchsorted(self.seen, batch.tokens)
        for name in ("pixels", "true", "tokens", "said", "keep"):
            if isinstance(value := getattr(batch, name), Tensor):
                setattr(batch, name, value.to(device, non_blocking=True))
        now = rate(recipe, batch.step)
        for group in self.optimizer.param_groups:
            group["lr"] = now
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.world.sum(self.step(batch).item())
        self.scaler.unscale_(self.optimizer)
        norm = float(self.world.clip_norm(self.plain.clip.parameters(), recipe.optim.clip_norm or math.inf))
        self.watch.see(batch.step + 1, loss, norm, now, scaled=self.scaler.is_enabled())
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            self.plain.clip.logit_scale.clamp_(max=math.log(MOST_SCALE))
        self.losses.append(loss)
        self.done = batch.step + 1
        return norm

    def _measured(self, norm: float, pace: float) -> dict[str, Any]:
        line = {
            "loss": round(float(np.mean(self.losses)), 5),
            "learning_rate": rate(self.recipe, self.done - 1),
            "gradient_norm": round(norm, 4),
            "logit_scale": round(self.plain.clip.logit_scale.exp().item(), 3),
            "samples_per_second": round(pace, 1),
            "skipped": round(self.world.sum(len(self.skipped))),
        }
        self.losses.clear()
        return line

    def _score(self) -> dict[str, float]:
        """Top-1 on each dev source, and chance, as columns of the metrics."""
        line: dict[str, float] = {}
        for dev in self.dev:
            found = dev.score(self.plain, self.seen)
            line |= {f"dev.{dev.label}.{name}": round(found[name], 5) for name in ("top1", "balanced", "chance")}
        return line

    def _keep(self, best: float | None) -> None:
        """A checkpoint; all processes call, and the first one writes."""
        if best is not None:
            self.best = best
        world = self.world
        everyones = world.everyones((self.skipped, ids_of(self.occurred).tolist()))
        skipped = [tuple(row) for rows, _ in everyones for row in rows]
        state = {
            "recipe": self.recipe.to_dict(),
            "done": self.done,
            "clip": world.model_state(self.towers),
            "optimizer": world.optimizer_state(self.towers, self.optimizer),
            "scaler": self.scaler.state_dict(),
            "watch": self.watch.state(),
            "rng": torch.random.get_rng_state(),
            "seen": self.seen,
            "occurred": sorted({number for _, numbers in everyones for number in numbers}),
            "losses": list(self.losses),
            "skipped": [list(row) for row in skipped],
            "resumed_at": self.resumed_at,
            "best": self.best,
        }
        if world.main:
            self.checkpoints.save(self.done, state, best=best)
            write_skipped(self.out, skipped)
        world.barrier()

    def _restore(self) -> None:
        """Process 0 reads the newest checkpoint, and all take it."""
        world = self.world
        state = self.checkpoints.newest() if world.main else None
        if not world.share(state is not None):
            return
        if state is not None:
            check_recipe(state, self.recipe.to_dict(), self.out)
        model, optimizer = (state["clip"], state["optimizer"]) if state is not None else ({}, {})
        world.load(self.towers, self.optimizer, model, optimizer)
        left_out = ("clip", "optimizer")
        rest = world.share({k: v for k, v in state.items() if k not in left_out} if state is not None else None)
        self.scaler.load_state_dict(rest["scaler"])
        self.watch.restore(rest["watch"])
        torch.random.set_rng_state(rest["rng"])
        self.occurred[rest["occurred"]] = True
        self.done, self.losses, self.best = rest["done"], rest["losses"], rest["best"]
        self.skipped = [tuple(row) for row in rest["skipped"]] if world.main else []
        self.resumed_at = [*rest["resumed_at"], self.done]

    def _save(self) -> Path:
        """The model of the last checkpoint, which all steps have led to; process 0 writes it."""
        recipe = self.recipe
        if self.world.main:
            card = {
                "seconds": {"steps": round(self.seconds, 1), "whole": round(time.perf_counter() - self.began, 1)},
                "training_classes": self.batches.training_classes,
                "data": self.record["data"],
                "code": self.record["parts"][0]["code"],
                "resumed_at": self.resumed_at,
                "empty_captions": self.batches.empty_captions,
            }
            state = self.checkpoints.newest()
            assert state is not None  # written after the last step, or read when the run was done already
            write_model(state, recipe, self.out / MODEL, card, self.parent)
        self.world.barrier()
        return self.out / MODEL
