"""Does a training run survive SIGKILL at any moment? Kill toy runs, resume them, compare with one that was left alone.

    python benchmarks/train_kill.py [--kills 20] [--seed 0] [--folder out/train_kill]

Each run is a process of its own, killed once: inside a checkpoint's write (its temporary file was seen growing, and
is found afterwards), at a random moment of its steps, or at one of its start. Then it is resumed until it is done. The
weights of the model's file (byte for byte), all tensors of the last checkpoint, best.pt, and the lines of metrics.jsonl
but for their speed must equal those of the run that was left alone, and no temporary file may be left.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clipviz.training import train

KINDS = ("write", "steps", "write", "steps", "start")  # of kills, in turn
STEPS = 24
SPEEDS = ("samples_per_second",)  # what differs between equal runs
SOURCE = {
    "kind": "scenes",
    "level": "easy",
    "captions": [{"templates": ["a {colour} {shape}."]}],
}
RECIPE = {
    "name": "toy",
    "seed": 3,
    "threads": 1,
    "model": {"width": 32, "head_width": 16, "layers": 2, "embed_dim": 16, "text_width": 32},
    "data": {"sources": [{**SOURCE, "n": 64}], "dev": [{**SOURCE, "n": 60, "name": "dev", "draw_seed": 1}]},
    "optim": {"samples": 8 * STEPS, "batch": 8, "learning_rate": 3e-3, "keep_patches": 0.5},
    # The whole vocabulary: some twenty megabytes a checkpoint, long enough to be hit in its write.
    "keep": {"seconds": 0.0, "steps": 2, "last": 2, "log_steps": 1, "dev_steps": 8},
}
# Processes are forked from one that has imported everything, which takes far longer than the steps.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["clipviz.training.loop", "open_clip", "torch.utils.tensorboard", "clipviz.synth"])


def start(out: Path, *, resume: bool = False, recipe: dict[str, Any] = RECIPE) -> BaseProcess:
    """A run as a process of its own."""
    process = PROCESSES.Process(target=train, args=(recipe,), kwargs={"out": out, "resume": resume, "quiet": True})
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    """Wait for a run that nobody kills."""
    process.join()
    if process.exitcode:
        raise SystemExit(f"A run that nobody killed left with {process.exitcode}.")


def whole_run(out: Path) -> tuple[float, float]:
    """Leave one run alone; how long it took to begin, and from there to its end [s]."""
    first = PROCESSES.Process(target=os.getpid)  # until it has run, everything is still being imported
    first.start()
    first.join()
    began = time.perf_counter()
    process = start(out)
    wait(process, lambda: (out / "run.json").exists())
    begun = time.perf_counter()
    finish(process)
    return begun - began, time.perf_counter() - begun


def wait(process: BaseProcess, arrived: Callable[[], bool]) -> bool:
    """Look every half a millisecond until something has arrived; False where the process ended before."""
    while not arrived():
        if not process.is_alive():
            return False
        time.sleep(0.0005)
    return True


def drafts(out: Path) -> Iterator[Path]:
    """The temporary files of checkpoints."""
    return (out / "checkpoints").glob(".step-*.pt")


def kill(out: Path, kind: str, chance: random.Random, took: tuple[float, float], size: int) -> str | None:
    """Begin a run and kill it; what it left, in words, or None where it was over before it could be hit."""
    process = start(out)
    if kind == "write":
        number, share = chance.randint(1, STEPS // 2 - 1), chance.random()
        met: set[str] = set()

        def writing() -> bool:
            for draft in drafts(out):
                met.add(draft.name)
                try:
                    if len(met) >= number and draft.stat().st_size >= share * size:
                        return True
                except FileNotFoundError:  # renamed since
                    pass
            return False

        wait(process, writing)
    else:
        if kind == "steps":
            wait(process, lambda: (out / "run.json").exists())
        time.sleep(chance.random() * took[kind == "steps"])
    process.kill()
    process.join()
    if process.exitcode != -signal.SIGKILL:
        return None
    left = [f"{draft.stat().st_size / size:.0%} of a checkpoint" for draft in drafts(out)]
    if kind == "write" and not left:
        return None
    lines = (out / "metrics.jsonl").read_text().count("\n") if (out / "metrics.jsonl").exists() else 0
    there = [path.name for path in sorted((out / "checkpoints").glob("step-*.pt"))]
    return f"{lines:2d} lines, {', '.join([*there, *left]) or 'no checkpoint'}"


def tensors(value: Any, name: str = "") -> dict[str, Tensor]:
    """All tensors in a checkpoint, by where they are."""
    if isinstance(value, Tensor):
        return {name: value}
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: t for key, inner in pairs for k, t in tensors(inner, f"{name}.{key}").items()}
    return {}


def lines(out: Path) -> list[dict[str, Any]]:
    """The metrics without what differs between equal runs."""
    read = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in SPEEDS} for line in read]


def differences(whole: Path, resumed: Path) -> list[str]:
    """What a resumed run has otherwise than the one that was left alone; nothing, if all is well."""
    found = []
    weights = "model/open_clip_model.safetensors"
    if (whole / weights).read_bytes() != (resumed / weights).read_bytes():
        found.append(f"{weights} differs")
    names = [sorted(p.name for p in (out / "checkpoints").iterdir()) for out in (whole, resumed)]
    if names[0] != names[1]:
        found.append(f"checkpoints {names[1]} and not {names[0]}")
    for name in set(names[0]) & set(names[1]):
        one, other = (tensors(torch.load(out / "checkpoints" / name, weights_only=True)) for out in (whole, resumed))
        unequal = [k for k in one.keys() | other.keys() if k not in one or k not in other]
        unequal += [k for k in one.keys() & other.keys() if not torch.equal(one[k], other[k])]
        found += [f"{name}: {k} differs" for k in sorted(unequal)]
    steps = [line["step"] for line in lines(resumed)]
    if steps != list(range(1, STEPS + 1)):
        found.append(f"metrics.jsonl has the steps {steps}")
    if lines(whole) != lines(resumed):
        found.append("metrics.jsonl differs")
    left = [str(p.relative_to(resumed)) for p in resumed.rglob(".*")]
    return found + ([f"left over: {left}"] if left else [])


def one(
    folder: Path, whole: Path, kind: str, chance: random.Random, took: tuple[float, float]
) -> tuple[str, list[str]]:
    """A kill and a resume: what the kill left, and what then differs."""
    size = max(path.stat().st_size for path in (whole / "checkpoints").glob("step-*.pt"))
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if kind != "start":
            shutil.copytree(whole / "cache", folder / "cache")  # drawn pictures
        left = kill(folder, kind, chance, took, size)
        if left is not None:
            break
    finish(start(folder, resume=True))
    return left, differences(whole, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("out/train_kill"))
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chance = random.Random(options.seed)
    shutil.rmtree(options.folder, ignore_errors=True)
    whole = options.folder / "whole"
    took = whole_run(whole)
    print(f"left alone: {took[0]:.1f} s to begin, {took[1]:.1f} s for the steps")
    unequal = 0
    for number in range(options.kills):
        kind = KINDS[number % len(KINDS)]
        left, found = one(options.folder / "killed", whole, kind, chance, took)
        unequal += bool(found)
        print(f"{number + 1:2d} {kind:5s} | {left} | {'; '.join(found) or 'equal'}", flush=True)
    print(f"{options.kills - unequal} of {options.kills} resumed runs equal the one left alone")
    shutil.rmtree(options.folder, ignore_errors=True)
    raise SystemExit(1 if unequal else 0)


if __name__ == "__main__":
    main()
