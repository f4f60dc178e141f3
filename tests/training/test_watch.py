import math
import random
import warnings

import pytest
import torch

from clipviz.errors import ClipvizWarning, ModelError
from clipviz.training import train
from clipviz.training.checkpoint import Checkpoints
from clipviz.training.watch import MOST_OVERFLOWS, SMOOTH, STEPS, Watch

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(("loss", "norm"), [(NAN, 1.0), (INF, 1.0), (2.0, NAN), (2.0, INF)])
def test_what_is_not_finite_stops_with_all_that_there_is_to_know(tmp_path, loss, norm):
    watch = Watch(lambda: tmp_path / "step-000000040.pt")
    for step in range(1, 42):
        watch.see(step, 2.5, step / 8, 3e-4)
    with pytest.raises(ModelError) as caught:
        watch.see(42, loss, norm, 3e-4)
    told = str(caught.value)
    for part in ("step 42", "0.0003", "4.625, 4.75, 4.875, 5, 5.125", "step-000000040.pt", "--set optim.learning_rate"):
        assert part in told, told


def test_where_there_is_no_checkpoint_that_is_said():
    with pytest.raises(ModelError, match=r"no gradient came before it.*No checkpoint was written"):
        Watch().see(1, NAN, 1.0, 1e-3)


def test_a_scaler_may_leave_out_steps_but_not_for_ever():
    watch = Watch()
    for step in range(MOST_OVERFLOWS):
        watch.see(step, 2.5, INF, 1e-3, scaled=True)
    watch.see(MOST_OVERFLOWS, 2.5, 1.0, 1e-3, scaled=True)
    for step in range(MOST_OVERFLOWS):
        watch.see(step, 2.5, NAN, 1e-3, scaled=True)
    with pytest.raises(ModelError):
        watch.see(200, 2.5, INF, 1e-3, scaled=True)
    with pytest.raises(ModelError):
        Watch().see(1, NAN, 1.0, 1e-3, scaled=True)


def falling(step: int) -> float:
    return 1.0 + 3.0 * math.exp(-step / 100)


def test_divergence_is_reported_once_with_step_rate_and_norms():
    watch = Watch()
    for step in range(400):
        watch.see(step, falling(step), 0.5, 1e-3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(400, 1400):
            watch.see(step, 9.0, 7.25, 1e-3)
    assert [w.category for w in caught] == [ClipvizWarning]
    told = str(caught[0].message)
    for part in ("diverges", "0.001", "7.25, 7.25", "for 200 steps", "--set optim.clip_norm=1"):
        assert part in told, told
    step = int(told.split("at step ")[1].split()[0])
    assert 400 + STEPS < step < 400 + STEPS + SMOOTH, "after the average has risen, and 200 steps more"


def test_noise_spikes_and_a_short_rise_are_no_divergence():
    watch, rng = Watch(), random.Random(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(3000):
            spike = 30.0 if step % 500 == 499 else 0.0
            rise = 3.0 if 1000 <= step < 1000 + STEPS // 2 else 0.0
            watch.see(step, falling(step) * rng.uniform(0.5, 1.5) + spike + rise, 0.5, 1e-3)


def test_other_processes_do_not_repeat_the_warning():
    watch = Watch(warns=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(1000):
            watch.see(step, 1.0 if step < 400 else 9.0, 0.5, 1e-3)
    assert watch.warned


def test_a_resumed_watch_reports_at_the_same_step(tmp_path):
    losses = [falling(step) if step < 400 else 9.0 for step in range(1000)]

    def reported(restart: int | None) -> int:
        watch = Watch()
        for step, loss in enumerate(losses):
            if step == restart:
                torch.save(watch.state(), tmp_path / "state.pt")
                watch = Watch()
                watch.restore(torch.load(tmp_path / "state.pt", weights_only=True))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                watch.see(step, loss, 0.5, 1e-3)
            if watch.warned:
                return step
        return -1

    assert reported(None) == reported(30) == reported(500) > 0


def test_a_run_that_overflows_stops_and_its_last_checkpoint_is_good(tmp_path):
    recipe = {
        "threads": 1,
        "model": {"width": 32, "head_width": 16, "layers": 2, "embed_dim": 16, "text_width": 32, "vocabulary": "seen"},
        "data": {"sources": [{"kind": "scenes", "n": 32, "captions": [{"templates": ["a {colour} {shape}."]}]}]},
        "optim": {"samples": 320, "batch": 8, "learning_rate": 1e30, "warm_up": 0.0},
        "keep": {"seconds": 0.0, "steps": 1},
    }
    with pytest.raises(ModelError, match=r"step \d+") as caught:
        train(recipe, out=tmp_path, quiet=True)
    assert "--set" in str(caught.value) or "not kept" in str(caught.value)
    newest = Checkpoints(tmp_path / "checkpoints", 2).newest()
    if newest is None:
        assert "No checkpoint" in str(caught.value) or "no checkpoint" in str(caught.value)
    else:
        assert all(value.isfinite().all() for value in newest["clip"].values())
        assert f"step-{newest['done']:09d}.pt" in str(caught.value)
