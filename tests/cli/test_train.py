"""``clipviz train``, run in this process, and in others that are interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import clipviz
from clipviz.cli import main
from clipviz.training.log import read_metrics

RECIPE = """
name = "a toy/run"
threads = 1
[model]
width = 32
head_width = 16
layers = 1
embed_dim = 16
text_width = 32
image_size = 32
[optim]
samples = 64
batch = 8
[keep]
log_steps = 1
[[data.sources]]
kind = "scenes"
n = 16
level = "easy"
caption = "caption"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", *(str(a) for a in arguments)])


def test_trains_with_changes_and_draws_the_curves(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(recipe, "--set", "optim.batch=4", "--set", "optim.samples=16", "--quiet")
    assert result.exit_code == 0, result.output
    out = Path("runs/a-toy-run")
    assert f"Wrote {out / 'model'}" in result.output and Image.open(out / "curves.png").width > 300
    assert [line["samples"] for line in read_metrics(out)] == [4, 8, 12, 16]
    assert clipviz.load(out / "model").card["recipe"]["optim"]["batch"] == 4
    again = run(recipe, "--out", out)
    assert again.exit_code == 1 and "--resume" in again.stderr.replace("resume=True", "--resume")


def test_check_tells_and_trains_nothing(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(recipe, "--check")
    assert result.exit_code == 0, result.output
    for words in (
        "8 steps of 8 pairs",
        "seconds a step",
        "distinct things said",
        "Memory in MiB",
        "Damaged pictures: 0",
    ):
        assert words.removeprefix("seconds ") in result.output
    assert (tmp_path / "train-check.html").stat().st_size > 10_000 and not (tmp_path / "runs").exists()
    assert json.loads(run_sheet(recipe, tmp_path / "x.json").read_text())["run"]["steps"] == 8


def run_sheet(recipe: Path, sheet: Path) -> Path:
    assert run(recipe, "--check", "--sheet", sheet).exit_code == 0
    return sheet


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--set", "optim.batchs=4"), "optim.batch"),
        (("--set", "optim.batch"), "key=value"),
        (("--set", "optim.batch=1"), "2 or more"),
        (("--check", "--sheet", "x.pdf"), ".html, .png, .json"),
    ],
)
def test_mistakes_are_a_sentence(recipe: Path, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(recipe, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 1 and says in result.stderr and "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_only_the_first_process_speaks(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    result = run(recipe, "--set", "optim.batchs=4")
    assert result.exit_code == 1 and result.output == ""
    assert run(recipe, "--check").output == ""


def started(recipe: Path, out: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, some steps into a run that would take long."""
    command = [sys.executable, "-m", "clipviz", "train", str(recipe), "--out", str(out)]
    command += ["--quiet", "--set", "optim.samples=80000"]
    root = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    while not (out / "metrics.jsonl").exists() or not read_metrics(out):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    return process


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_asked_to_stop_it_keeps_a_checkpoint_and_says_so(
    recipe: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = started(recipe, tmp_path / "out")
    process.send_signal(number)
    told = process.communicate()[1]
    assert process.returncode == code, told
    assert "--resume" in told and number.name in told and "Traceback" not in told
    assert list((tmp_path / "out" / "checkpoints").glob("step-*.pt")) and not (tmp_path / "out" / "model").exists()
