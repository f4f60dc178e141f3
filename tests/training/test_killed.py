"""Runs that are killed, stopped or doubled: real processes, real signals, and the same weights afterwards."""

import errno
import importlib.util
import os
import random
import resource
import shutil
import signal
from pathlib import Path

import pytest
import torch

from clipviz.errors import DataError
from clipviz.training import train
from clipviz.training.checkpoint import Checkpoints

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.alone]


def _benchmark():
    spec = importlib.util.spec_from_file_location("train_kill", ROOT / "benchmarks" / "train_kill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kill = _benchmark()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a run that nobody disturbed, and how long its parts took."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    return folder, kill.whole_run(folder)


@pytest.fixture
def begun(alone, tmp_path):
    """A run in its own process, some steps on."""
    shutil.copytree(alone[0] / "cache", tmp_path / "run" / "cache")
    process = kill.start(tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    assert kill.wait(process, lambda: metrics.exists() and metrics.read_bytes().count(b"\n") >= 5)
    yield process, tmp_path / "run"
    process.kill()
    process.join()


@pytest.mark.parametrize(("kind", "seed"), [("write", 1), ("steps", 2), ("start", 3)])
def test_a_killed_run_goes_on_to_the_same_weights(alone, tmp_path, kind, seed):
    whole, took = alone
    left, found = kill.one(tmp_path / "run", whole, kind, random.Random(seed), took)
    assert not found, f"killed with {left}"
    assert ("% of a checkpoint" in left) or kind != "write"


def test_the_comparison_sees_a_bit(alone, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(alone[0], other)
    assert kill.differences(alone[0], other) == []
    path = other / "checkpoints" / f"step-{kill.STEPS:09d}.pt"
    state = torch.load(path, weights_only=True)
    weight = state["clip"]["logit_scale"]
    weight.copy_(torch.nextafter(weight, torch.tensor(9.0)))
    torch.save(state, path)
    lines = (other / "metrics.jsonl").read_text().splitlines(keepends=True)
    (other / "metrics.jsonl").write_text("".join(lines[:3] + lines[2:]))
    found = kill.differences(alone[0], other)
    assert any("logit_scale differs" in line for line in found) and any("steps" in line for line in found), found


def test_sigterm_saves_and_leaves_and_the_run_goes_on(alone, begun):
    process, out = begun
    process.terminate()
    process.join()
    assert process.exitcode == 128 + signal.SIGTERM == 143
    there = Checkpoints(out / "checkpoints", 2)
    assert there.newest()["done"] == kill.lines(out)[-1]["step"] < kill.STEPS, "saved after the step in hand"
    assert not list(out.rglob(".*")), "and tidied up"
    kill.finish(kill.start(out, resume=True))
    assert [line for line in kill.differences(alone[0], out) if not line.startswith("checkpoints ")] == []


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_run_is_refused_and_does_the_first_no_harm(alone, begun, resume):
    process, out = begun
    os.kill(process.pid, signal.SIGSTOP)  # so that it is not done before the second has begun
    with pytest.raises(DataError, match=rf"process {process.pid}, since \d{{4}}-"):
        train(kill.RECIPE, out=out, resume=resume, quiet=True)
    os.kill(process.pid, signal.SIGCONT)
    kill.finish(process)
    assert kill.differences(alone[0], out) == []


def test_a_disk_that_takes_no_more_ends_in_a_sentence(alone, tmp_path):
    """No file may be longer than a checkpoint's half: as on a full disk, the write itself fails."""
    out = tmp_path / "run"
    shutil.copytree(alone[0] / "cache", out / "cache")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, limits[1]))
    try:
        with pytest.raises(DataError, match=os.strerror(errno.EFBIG)):
            train(kill.RECIPE, out=out, quiet=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    kill.finish(kill.start(out, resume=True))
    assert kill.differences(alone[0], out) == []
