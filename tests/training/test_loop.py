import json

import numpy as np
import pytest
import torch

from clipviz.errors import DataError, SpecError
from clipviz.synth import held_out, pairs
from clipviz.training import loop, read_recipe, train
from clipviz.training.pool import draw_pool
from clipviz.weights import read_folder

RECIPE = {
    "name": "toy",
    "threads": 1,
    "model": {"width": 32, "head_width": 16, "layers": 2, "embed_dim": 16, "text_width": 32},
    "data": {"scenes": 64, "easy_scenes": 32, "easy_share": 0.5, "colour_templates": ["something {}"]},
    "optim": {"samples": 320, "batch": 16, "learning_rate": 3e-3},
}


def _state(folder):
    return read_folder(folder).clip.state_dict()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, train(RECIPE, out=out, workers=0, quiet=True)


def test_a_run_lowers_the_loss_and_writes_it_down(tmp_path):
    recipe = {**RECIPE, "optim": {**RECIPE["optim"], "samples": 1600}}
    train(recipe, out=tmp_path, workers=0, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60, 80, 100]
    assert lines[-1]["samples"] == 1600 and lines[-1]["loss"] < lines[0]["loss"] - 0.1, lines


def test_the_model_folder_is_whole(run):
    _, folder = run
    weights = read_folder(folder)
    assert weights.clip.config.text.vocab_size == 49408 and weights.clip.config.quick_gelu
    assert weights.card["recipe"]["name"] == "toy" and weights.card["samples_seen"] == 320
    assert set(weights.card["held_out_pairs"]) == {" ".join(pair) for pair in pairs("unseen")}
    table = weights.clip.text.token_embedding.weight
    assert table.shape[0] == 49408 and table.std(dim=1).min() > 0
    assert weights.seen_token_ids is not None and 49407 in weights.seen_token_ids


def test_a_stopped_run_goes_on_to_the_same_weights(run, tmp_path, monkeypatch):
    _, whole = run
    calls = []
    one_batch = loop._Batches.__call__

    def interrupted(self, step, rng):
        calls.append(step)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return one_batch(self, step, rng)

    recipe = read_recipe({**RECIPE, "checkpoint_seconds": 0.0})
    monkeypatch.setattr(loop._Batches, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, out=tmp_path, workers=0, quiet=True)
    monkeypatch.undo()
    assert not (tmp_path / "model").exists()
    resumed = train(recipe, out=tmp_path, resume=True, workers=0, quiet=True)
    expected, got = _state(whole), _state(resumed)
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_a_run_is_not_overwritten_and_not_resumed_with_another_recipe(run):
    out, _ = run
    with pytest.raises(DataError, match="resume=True"):
        train(RECIPE, out=out, workers=0, quiet=True)
    with pytest.raises(SpecError, match="another recipe"):
        train({**RECIPE, "seed": 5}, out=out, resume=True, workers=0, quiet=True)


def test_training_leaves_threads_and_randomness_alone(tmp_path):
    before = torch.get_num_threads(), torch.random.get_rng_state()
    recipe = {**RECIPE, "optim": {**RECIPE["optim"], "samples": 32, "keep_patches": 0.5}}
    train(recipe, out=tmp_path, workers=0, quiet=True)
    assert torch.get_num_threads() == before[0] and torch.equal(torch.random.get_rng_state(), before[1])


def test_the_local_loss_counts_from_its_share_of_the_run_on(tmp_path):
    optim = {**RECIPE["optim"], "samples": 640, "local_weight": 1.0, "local_from": 0.5}
    train({**RECIPE, "optim": optim}, out=tmp_path, workers=0, quiet=True)
    before, after = (json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert after > 1.5 * before, "two terms of about the same size"


def test_the_pool_does_not_depend_on_the_workers_and_holds_no_held_out_pair():
    alone = draw_pool(260, 56, seed=3, workers=0, quiet=True)
    together = draw_pool(260, 56, seed=3, workers=2, quiet=True)
    assert np.array_equal(alone.pixels, together.pixels) and np.array_equal(alone.pairs, together.pairs)
    drawn = {pairs()[i] for i in np.unique(alone.pairs) if i >= 0}
    assert drawn and not any(held_out(*pair) for pair in drawn)
    assert len(draw_pool(0, 56, seed=0, level="easy", quiet=True)) == 0
