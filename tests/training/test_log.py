"""What a run writes down while it goes, read back as others read it."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from clipviz.errors import DataError
from clipviz.training.log import METRICS, TENSORBOARD, Log, curves, read_metrics


def line(step: int, **values: float) -> dict[str, float]:
    return {"step": step, "samples": 8 * step, "loss": 3.0 - step / 10, "learning_rate": 1e-3, **values}


def events(out: Path) -> EventAccumulator:
    return EventAccumulator(str(out / TENSORBOARD)).Reload()


def test_lines_are_there_as_soon_as_they_are_written(tmp_path: Path) -> None:
    log = Log(tmp_path / "run")
    log.write(line(1))
    log.write(line(2))
    assert read_metrics(tmp_path / "run") == [line(1), line(2)]  # before it is closed: a kill loses nothing
    log.close()


def test_tensorboard_reads_the_same_numbers(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.write(line(1))
        log.write(line(5, **{"dev.ours v1.2.top1": 0.25, "dev.ours v1.2.chance": 0.1}))
    found = events(tmp_path)
    names = {"train/samples", "train/loss", "train/learning_rate", "dev/ours v1.2/top1", "dev/ours v1.2/chance"}
    assert set(found.Tags()["scalars"]) == names
    assert [(e.step, e.value) for e in found.Scalars("train/loss")] == [(1, pytest.approx(2.9)), (5, 2.5)]
    assert [(e.step, e.value) for e in found.Scalars("dev/ours v1.2/top1")] == [(5, 0.25)]


def test_a_resumed_run_forgets_what_it_will_do_again(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for step in (2, 4, 6, 8):
            log.write(line(step))
    for path in (tmp_path / TENSORBOARD).iterdir():  # TensorBoard reads files in the order of the second in their name
        path.rename(path.with_name(path.name.replace(path.name.split(".")[3], "1000000000")))
    with Log(tmp_path, done=5) as log:
        assert read_metrics(tmp_path) == [line(2), line(4)]
        log.write(line(6, loss=1.0))
    assert [each["loss"] for each in read_metrics(tmp_path)] == [2.8, 2.6, 1.0]
    told = [(e.step, pytest.approx(e.value)) for e in events(tmp_path).Scalars("train/loss")]
    assert told == [(2, 2.8), (4, 2.6), (6, 1.0)]


def test_a_line_torn_by_a_kill_is_dropped(tmp_path: Path) -> None:
    torn = json.dumps(line(2)) + "\n" + json.dumps(line(4))[:-9]
    (tmp_path / METRICS).write_text(torn)
    assert read_metrics(tmp_path) == [line(2)]
    with Log(tmp_path, done=4) as log:
        log.write(line(6))
    assert read_metrics(tmp_path) == [line(2), line(6)]
    assert all(json.loads(text) for text in (tmp_path / METRICS).read_text().splitlines())


def test_a_number_that_is_none_stays_readable_everywhere(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.write(line(1, loss=math.nan))
    text = (tmp_path / METRICS).read_text()
    assert json.loads(text, parse_constant=pytest.fail)["loss"] is None
    assert math.isnan(events(tmp_path).Scalars("train/loss")[0].value)


WITHOUT = """
import importlib.abc, logging, pathlib, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorboard":
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
logging.basicConfig(format="%(message)s")
from clipviz.training.log import Log
log = Log(pathlib.Path(sys.argv[1]))
log.write({"step": 1, "loss": 2.0})
log.close()
"""


def test_without_tensorboard_the_lines_are_written_and_it_is_said_once(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stderr.count("clipviz[train]") == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.0}] and not (tmp_path / TENSORBOARD).exists()


def test_with_tensorboard_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Log(tmp_path).close()
    assert not caplog.records


def test_a_folder_without_a_run_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no metrics\.jsonl"):
        read_metrics(tmp_path)
    Log(tmp_path).close()
    with pytest.raises(DataError, match="no metrics yet"):
        curves(tmp_path)


def test_curves_show_a_run_with_chance_beside_dev(tmp_path: Path) -> None:
    with Log(tmp_path / "mine") as log:
        log.write(line(1, logit_scale=14.0))
        log.write(line(2, logit_scale=math.inf, **{"dev.faces.top1": 0.75, "dev.faces.chance": 0.5}))
        figure = curves(tmp_path / "mine")  # of a run that is still going
    said = [text.get_text() for text in figure.texts]
    assert "Run mine" in said and "faces 75.0% (chance 50.0%)" in said
    assert len(figure.axes) == 4 and "pairs per second" not in said  # what was not written has no panel
    loss = figure.axes[0].lines[0]
    assert list(loss.get_xdata()) == [8, 16] and list(loss.get_ydata()) == [2.9, 2.8]
