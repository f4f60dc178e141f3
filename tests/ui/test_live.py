"""Curves that follow a run: what is in the widget is what the run has written."""

from __future__ import annotations

import io
import time
from pathlib import Path

from PIL import Image

from clipviz.training.log import METRICS, Log
from clipviz.ui import live_curves
from clipviz.ui.live import LiveCurves


def size(live: LiveCurves) -> tuple[int, int]:
    return Image.open(io.BytesIO(live.figure.value)).size


def test_the_picture_follows_the_lines(tmp_path: Path) -> None:
    live = live_curves(tmp_path, seconds=0.05)
    assert size(live) < (20, 20)  # a run that has not begun: a picture, and an empty one
    with live, Log(tmp_path) as log:
        log.write({"step": 5, "samples": 40, "loss": 2.0})
        end = time.monotonic() + 60
        while size(live) < (20, 20) and time.monotonic() < end:
            time.sleep(0.05)
        first = live.figure.value
        assert size(live) > (200, 100) and "Step 5" in live.status.value  # drawn by its own thread
        log.write({"step": 10, "samples": 80, "loss": 1.0})
    assert live.figure.value != first and "Step 10, 80 pairs" in live.status.value  # the last line, at the latest
    assert live.error is None


def test_what_goes_wrong_while_drawing_is_told_and_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text('{"step": 1, "loss": "none"}\n')
    with live_curves(tmp_path, seconds=60) as live:
        pass
    assert isinstance(live.error, ValueError) and 'class="clipviz-error"' in live.status.value


def test_a_run_that_fails_is_not_swallowed(tmp_path: Path) -> None:
    live = live_curves(tmp_path, seconds=60)
    try:
        with live:
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert "stopped" in live.status.value
    else:
        raise AssertionError("the interrupt was swallowed")
