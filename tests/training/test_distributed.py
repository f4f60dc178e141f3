"""Processes that meet: the same weights as alone, states that move between them, and a real torchrun."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clipviz.errors import SpecError
from clipviz.training import read_recipe, train
from clipviz.training.distributed import World
from clipviz.training.towers import Towers
from clipviz.weights import read_folder

HERE = Path(__file__).parent


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


processes, grouped = _beside("processes"), _beside("groups")


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """Three steps of AdamW alone and in two processes, and runs that go on from each other's second step."""
    out = tmp_path_factory.mktemp("steps")
    alone = processes.steps(World(), out / "cache", {}, keep=2)
    torch.save(alone, out / "alone.pt")
    return alone, grouped.start("steps", out, 2), out


def _near(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape
        assert torch.allclose(found[name], value, rtol=0, atol=1e-9), name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_move_the_weights_as_one_does(kind, moved):
    alone, found, _ = moved
    _near(found[kind]["weights"], alone["weights"])
    assert found[kind]["norms"] == pytest.approx(alone["norms"], rel=1e-9)
    assert max(alone["norms"]) > 0.5, "the gradient was clipped"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["alone to ddp", "alone to fsdp2", "ddp to fsdp2", "fsdp2 to ddp"])
def test_a_state_goes_on_in_another_world(way, moved):
    alone, found, _ = moved
    _near(found[way]["weights"], alone["weights"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_a_state_of_two_processes_goes_on_alone(kind, moved):
    alone, found, out = moved
    model, optimizer = found[kind]["kept"]
    _near(model, alone["kept"][0])
    assert optimizer["state"].keys() == alone["kept"][1]["state"].keys()
    gone_on = processes.steps(World(), out / "cache", {}, first=2, state=(model, optimizer))
    _near(gone_on["weights"], alone["weights"])


@pytest.mark.slow
def test_what_processes_tell_each_other(moved):
    _, found, _ = moved
    assert found["stop"] == [True, False]
    assert found["everyones"] == [{"rank": 0}, {"rank": 1}]
    assert found["shared"] == "said by 0"


def test_alone_the_world_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    world = World.join()
    assert (world.rank, world.size, world.main, world.joined) == (0, 1, True, False)
    assert world.any(True) and not world.any(False)
    assert world.sum(1.5) == 1.5 and world.share("x") == "x" and world.everyones(3) == [3]
    world.barrier()
    world.leave()
    clip = processes.network(processes.VIT, processes.TEXT)
    towers = Towers(clip, processes.MEAN, processes.STD)
    assert world.wrap(towers, processes.recipe(24)) is towers
    state = world.model_state(towers)
    with torch.no_grad():
        clip.logit_scale += 1
    assert float(state["logit_scale"]) == pytest.approx(1.7), "a state is apart from the living weights"


def test_a_loaded_state_stays_as_it_was_and_goes_on(tmp_path):
    alone = processes.steps(World(), tmp_path, {}, keep=2)
    for _ in range(2):
        _near(processes.steps(World(), tmp_path, {}, first=2, state=alone["kept"])["weights"], alone["weights"])
    assert {float(held["step"]) for held in alone["kept"][1]["state"].values()} == {2.0}


def test_an_environment_that_is_no_torchrun(monkeypatch):
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(SpecError, match="torchrun"):
        World.join()


def test_shards_have_no_scaler():
    made = processes.recipe(24, memory={"distributed": "fsdp2", "precision": "float16"})
    towers = Towers(processes.network(processes.VIT, processes.TEXT), processes.MEAN, processes.STD)
    with pytest.raises(SpecError, match="bfloat16"):
        World(size=2).wrap(towers, made)


def test_a_batch_smaller_than_the_processes_is_refused():
    clip = processes.network(processes.VIT, processes.TEXT)
    with pytest.raises(SpecError, match="without a picture"):
        World(size=100).wrap(Towers(clip, processes.MEAN, processes.STD), processes.recipe(24))


SCRIPT = """
import json, sys
from clipviz.training import train

if __name__ == "__main__":
    train(json.loads(open(sys.argv[1]).read()), out=sys.argv[2], quiet=True)
"""
TIMES = ("samples_per_second", "seconds")  # differ from run to run


def _lines(out):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does(toy, tmp_path):
    train(toy, out=tmp_path / "alone", quiet=True)
    (tmp_path / "recipe.json").write_text(json.dumps(toy))
    (tmp_path / "go.py").write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    command += ["--master-port", port, str(tmp_path / "go.py"), str(tmp_path / "recipe.json"), str(tmp_path / "two")]
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    alone, two = _lines(tmp_path / "alone"), _lines(tmp_path / "two")
    assert len(two) == len(alone) > 1
    for one, other in zip(two, alone, strict=True):
        assert one.keys() == other.keys()
        for key, value in other.items():
            assert one[key] == (pytest.approx(value, rel=2e-3) if isinstance(value, float) else value), key
    _near_enough(tmp_path / "two", tmp_path / "alone")

    # one process goes on from what two had kept
    kept = sorted((tmp_path / "two" / "checkpoints").glob("step-*"))
    recipe = read_recipe(toy)
    for path in kept:
        if str(recipe.steps) in path.name:
            path.unlink()
    train(toy, out=tmp_path / "two", resume=True, quiet=True)
    assert [line["step"] for line in _lines(tmp_path / "two")] == [line["step"] for line in alone]
    _near_enough(tmp_path / "two", tmp_path / "alone")


def _near_enough(out, expected):
    one, other = (read_folder(folder / "model").clip.state_dict() for folder in (out, expected))
    assert one.keys() == other.keys()
    for name, value in other.items():
        # float32 in another order, then float16 in the file
        assert (one[name] - value).norm() <= 5e-3 * value.norm() + 1e-4, name
