"""The training loop: read ahead, step, write down, keep safe, and be able to go on."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..errors import DataError
from ..weights.network import OPENAI_MEAN, OPENAI_STD
from .batches import Batch, Batches, read_ahead
from .checkpoint import Checkpoints, check_recipe
from .dev import Dev
from .log import Log
from .network import VOCABULARY, build, save, seen_tokens
from .optim import make_optimizer, rate
from .reading import read_recipe
from .recipe import Recipe
from .record import write_record
from .step import Step
from .stopping import Stopping
from .towers import Towers

CHECKPOINTS, MODEL, CACHE = "checkpoints", "model", "cache"
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

    In ``out`` are written ``metrics.jsonl`` (a line every few steps: step, samples, loss, learning rate, logit
    scale, samples per second), ``checkpoints/``, and at the end ``model/``, which ``clipviz.load`` reads. With
    ``resume=True`` a run that was stopped goes on from its newest whole checkpoint and ends with the same
    weights as one that was not. A script whose recipe reads with workers needs the usual
    ``if __name__ == "__main__":``.

    Raises SpecError for a recipe that is wrong or is not that of the checkpoint, and DataError for an
    ``out`` that already holds a run while ``resume`` is False.

    >>> train("train/tiny.toml", out="runs/tiny")  # doctest: +SKIP
    """
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe, changes)
    before = torch.get_num_threads()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    try:
        return Run(recipe, Path(out), resume, quiet).go()
    finally:
        torch.set_num_threads(before)


class Run:
    """One run: its network, its data, its place, and what it has written."""

    def __init__(self, recipe: Recipe, out: Path, resume: bool, quiet: bool):
        self.recipe, self.out, self.quiet = recipe, out, quiet
        self.checkpoints = Checkpoints(out / CHECKPOINTS, recipe.keep.last)
        if self.checkpoints.steps() and not resume:
            raise DataError(f"{str(out)!r} already holds a run: pass resume=True to go on with it, or another out.")
        self.began = time.perf_counter()
        cache = out / CACHE
        self.batches = Batches(recipe, cache, quiet=quiet)
        size, context = self.batches.size, self.batches.context
        self.dev = [Dev(source, size, context, cache, quiet) for source in recipe.data.dev]
        self.seen: Tensor | None = None
        if recipe.model.vocabulary == "seen":
            texts = (text for concept in self.batches.concepts.every for text in concept.wordings())
            self.seen = seen_tokens(texts, context)
        self.clip = build(recipe, self.seen).train()
        self.occurred = torch.zeros(VOCABULARY, dtype=torch.bool)
        self.optimizer = make_optimizer(self.clip, recipe)
        local = recipe.loss.local_weight > 0
        self.towers = Towers(self.clip, OPENAI_MEAN, OPENAI_STD, local=local, precision=recipe.memory.precision)
        self.step = Step(self.towers, recipe.memory.micro_batch, recipe.loss.multi_positive, recipe.loss.local_weight)
        self.done, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.skipped: list[tuple[str, str, str]] = []
        self.best = -math.inf
        self.resumed_at = [0]
        if resume:
            self._restore()

    def go(self) -> Path:
        """All steps from the checkpoint's on, or from the first, and the model."""
        recipe, keep = self.recipe, self.recipe.keep
        self.record = write_record(self.out, recipe, self.batches.pictures, 1)
        began = saved = time.perf_counter()
        first = self.done
        with (
            Stopping() as stopping,
            Log(self.out, self.done) as log,
            tqdm(total=recipe.steps, initial=first, desc=recipe.name, unit="step", disable=self.quiet) as bar,
        ):
            for batch in read_ahead(self.batches, first, recipe.data.workers):
                norm = self._one(batch)
                bar.update()
                now = time.perf_counter()
                last = self.done == recipe.steps
                line: dict[str, Any] = {}
                if self.done % keep.log_steps == 0 or last:
                    line |= {
                        "loss": round(float(np.mean(self.losses)), 5),
                        "learning_rate": rate(recipe, self.done - 1),
                        "gradient_norm": round(norm, 4),
                        "logit_scale": round(self.clip.logit_scale.exp().item(), 3),
                        "samples_per_second": round((self.done - first) * recipe.optim.batch / (now - began), 1),
                        "skipped": len(self.skipped),
                    }
                    self.losses.clear()
                if self.dev and keep.dev_steps and (self.done % keep.dev_steps == 0 or last):
                    line |= self._score()
                if line:
                    line = {"step": self.done, "samples": self.done * recipe.optim.batch, **line}
                    log.write(line)
                    bar.set_postfix(_short(line), refresh=False)
                due = (0 < keep.seconds < now - saved) or (keep.steps > 0 and self.done % keep.steps == 0)
                score = _score_of(line)
                better = score is not None and score > self.best
                if due or last or better or stopping.asked is not None:
                    self._keep(score if better else None)
                    saved = now
                if stopping.asked is not None and not last:
                    bar.close()
                    raise _left(stopping.asked, self.done)
        self.seconds = time.perf_counter() - began
        return self._save()

    def _one(self, batch: Batch) -> float:
        """One step; gives the norm of the gradient before it was clipped."""
        recipe = self.recipe
        self.skipped += batch.skipped
        self.occurred[batch.tokens.unique()] = True
        if self.seen is not None:
            batch.tokens = torch.searchsorted(self.seen, batch.tokens)
        for group in self.optimizer.param_groups:
            group["lr"] = rate(recipe, batch.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.step(batch)
        most = recipe.optim.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.clip.parameters(), most)
        self.optimizer.step()
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=math.log(MOST_SCALE))
        self.losses.append(loss.item())
        self.done = batch.step + 1
        return float(norm)

    def _score(self) -> dict[str, float]:
        """Top-1 on each dev source, and chance, as columns of the metrics."""
        line: dict[str, float] = {}
        for dev in self.dev:
            found = dev.score(self.towers, self.seen)
            line |= {f"dev.{dev.label}.{name}": round(found[name], 5) for name in ("top1", "balanced", "chance")}
        return line

    def _keep(self, best: float | None) -> None:
        if best is not None:
            self.best = best
        state = {
            "recipe": self.recipe.to_dict(),
            "done": self.done,
            "clip": self.clip.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seen": self.seen,
            "occurred": self.occurred,
            "losses": list(self.losses),
            "skipped": [list(row) for row in self.skipped],
            "resumed_at": self.resumed_at,
            "best": self.best,
        }
        self.checkpoints.save(self.done, state, best=best)

    def _restore(self) -> None:
        state = self.checkpoints.newest()
        if state is None:
            return
        check_recipe(state, self.recipe.to_dict(), self.out)
        self.clip.load_state_dict(state["clip"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.occurred, self.done, self.losses = state["occurred"], state["done"], state["losses"]
        self.skipped = [tuple(row) for row in state["skipped"]]
        self.best = state["best"]
        self.resumed_at = [*state["resumed_at"], self.done]

    def _save(self) -> Path:
        recipe = self.recipe
        card = {
            "name": recipe.name,
            "recipe": recipe.to_dict(),
            "samples_seen": recipe.steps * recipe.optim.batch,
            "seconds": {"steps": round(self.seconds, 1), "whole": round(time.perf_counter() - self.began, 1)},
            "training_classes": self.batches.training_classes,
            "data": self.record["data"],
            "code": self.record["code"],
            "resumed_at": self.resumed_at[1:],
            "skipped": len(self.skipped),
            "torch": torch.__version__,
        }
        return save(self.clip, self.seen, _ids(self.occurred), self.out / MODEL, card, half=True)


def model_at(out: str | Path, step: int | None = None) -> Path:
    """The model of a run as it was at a checkpoint (by default the newest), in a folder that `clipviz.load` reads.

    Written to ``out/models/step-...``. Raises DataError where that checkpoint is not (or no longer) there.

    >>> clipviz.load(model_at("runs/mine", 200))  # doctest: +SKIP
    """
    out = Path(out)
    checkpoints = Checkpoints(out / CHECKPOINTS, 1)
    there = checkpoints.steps()
    if not there or (step is not None and step not in there):
        asked = "No checkpoint" if step is None else f"No checkpoint of step {step}"
        raise DataError(f"{asked} is in {str(out)!r}; there are {there or 'none'} (keep.last says how many are kept).")
    path = checkpoints.path(there[-1] if step is None else step)
    state = torch.load(path, weights_only=True, map_location="cpu")
    recipe = read_recipe(state["recipe"])
    clip = build(recipe, state["seen"])
    clip.load_state_dict(state["clip"])
    card = {"name": recipe.name, "recipe": state["recipe"], "samples_seen": state["done"] * recipe.optim.batch}
    return save(clip, state["seen"], _ids(state["occurred"]), out / "models" / f"step-{state['done']}", card, half=True)


def _ids(occurred: Tensor) -> Tensor:
    return torch.nonzero(occurred).flatten()


def _score_of(line: Mapping[str, Any]) -> float | None:
    """The mean top-1 over the dev sources, where the line has any: what `best` is best by."""
    scores = [value for key, value in line.items() if key.startswith("dev.") and key.endswith(".top1")]
    return float(np.mean(scores)) if scores else None


def _short(line: Mapping[str, Any]) -> dict[str, str]:
    """What the progress bar shows beside the rate and the time left."""
    shown = {"loss": "loss", "logit_scale": "scale", "samples_per_second": "pairs/s"}
    return {name: f"{line[key]:.4g}" for key, name in shown.items() if key in line} | {
        key.removeprefix("dev."): f"{value:.1%}" for key, value in line.items() if key.endswith(".top1")
    }


def _left(asked: int, done: int) -> BaseException:
    """What ends a run that a signal asked to stop, after its checkpoint was written."""
    if asked == signal.SIGINT:
        return KeyboardInterrupt(f"stopped after step {done}, which is kept: resume=True goes on from it")
    return SystemExit(128 + asked)
