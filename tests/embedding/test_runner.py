"""The store of real pictures by clipviz-tiny: right, resumed after kills, stopped by a signal."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import clipviz
from clipviz.embedding import Embeddings, embed
from clipviz.embedding.layout import read_rows, whole_parts

sys.path.insert(0, str(Path(__file__).parent))
from pictures import damage, real_pictures

ROOT = Path(__file__).resolve().parents[2]


def _benchmark():
    spec = importlib.util.spec_from_file_location("embed_kill", ROOT / "benchmarks" / "embed_kill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kill = _benchmark()


@pytest.fixture(scope="module")
def tiny():
    return clipviz.load()


def test_the_vectors_are_the_models_whoever_decodes(shared, tmp_path, tiny):
    folder = real_pictures(shared, tmp_path / "pictures", 60)
    wrong = damage(folder)
    done = embed(folder, model=tiny, out=tmp_path / "a", part_size=25, batch_size=8, workers=0, progress=False)
    again = embed(folder, model=tiny, out=tmp_path / "b", part_size=25, batch_size=8, workers=2, progress=False)
    assert kill.contents(tmp_path / "a") == kill.contents(tmp_path / "b")
    assert isinstance(done, Embeddings) and again.ids == done.ids
    source = clipviz.open_source(folder)
    whole = [item for item in source if item.id not in wrong]
    assert list(done.ids) == [item.id for item in whole] and len(whole) == 55
    # in the same batches, where the failed left holes
    starts = [s for part in (0, 25, 50) for s in range(part, min(part + 25, 60), 8)]
    batches = np.split(np.array(source.ids), starts[1:])
    of = {item.id: item.image for item in whole}
    want = [tiny.encode_images([of[id] for id in batch if id in of]) for batch in batches]
    # not to the bit: a processor's kernels may sum a batch in another order when a worker beside it changes the threads
    np.testing.assert_allclose(done.to_numpy(), np.concatenate(want), rtol=0, atol=1e-6)
    assert dict(done.failed).keys() == wrong.keys()
    with (tmp_path / "a" / "failed.csv").open(newline="", encoding="utf-8") as file:
        told = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    for id, word in wrong.items():
        assert word in told[id] and "bytes object" not in told[id], told[id]
    assert list(done.metadata["label"]) == [id.split("/")[0] for id in done.ids]
    manifest = done.manifest
    assert manifest.counts == {"pictures": 60, "done": 55, "failed": 5, "missing": 0, "lost": 0, "skipped": 0}
    assert manifest.complete and manifest.data["opening"]["data"] == "../pictures"


def test_the_fingerprint_is_the_sources(shared, tmp_path, tiny):
    folder = real_pictures(shared, tmp_path / "pictures", 20)
    (folder / "even/0004.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("what is no picture by its name")
    store = embed(folder, model=tiny, out=tmp_path / "a", part_size=8, workers=0, dtype="float16", progress=False)
    assert store.manifest.data["fingerprint"] == clipviz.open_source(folder).fingerprint
    assert store.manifest.counts["skipped"] == 1
    vectors = np.load(tmp_path / "a" / "vectors-00001.npy")
    assert vectors.dtype == np.float16
    assert np.abs(np.linalg.norm(vectors.astype(np.float32), axis=1) - 1).max() < 5e-4


@pytest.mark.slow
def test_killed_three_times_it_is_the_store_of_a_run_left_alone(shared, tmp_path):
    data, chance = shared / "data/tiny-imagenet/val-00.parquet", random.Random(0)
    ids = list(clipviz.open_source(data).ids[:240])

    def begin(out: Path):
        return kill.start(out, data, 240, part_size=32, workers=1)

    whole = tmp_path / "whole"
    process = begin(whole)
    kill.wait(process, whole.is_dir)
    began = whole.stat().st_ctime
    kill.finish(process)
    took = max(path.stat().st_mtime for path in whole.iterdir()) - began
    for kind in ("moment", "write", "moment"):
        left, found = kill.one(whole, tmp_path / "killed", begin, ids, kind, chance, max(took, 0.5))
        assert not found, f"killed with {left}"
    # what is compared would show a byte
    path = whole / "vectors-00003.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert kill.differences(whole, tmp_path / "killed", ids) == ["vectors-00003.npy differs"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "left_with"), [(signal.SIGTERM, 143), (signal.SIGINT, 1)])
def test_a_signal_leaves_a_store_that_can_be_read(shared, tmp_path, kind, left_with):
    data, out = shared / "data/tiny-imagenet/val-00.parquet", tmp_path / "store"
    process = kill.start(out, data, 3000, part_size=64, workers=0)
    assert kill.wait(process, lambda: len(kill.records(out)) >= 2)
    os.kill(process.pid, kind)
    process.join()
    assert process.exitcode == left_with
    store, parts = Embeddings.load(out), whole_parts(out)
    assert 2 <= len(parts) < 47 and len(store) == 64 * len(parts)
    assert not store.manifest.complete
    assert store.manifest.counts["missing"] == 3000 - len(store)
    assert sorted(name for name in os.listdir(out) if name.startswith(".")) == []
    assert json.loads((out / "manifest.json").read_text())["data"]["fingerprint"] is None
    assert read_rows(out, parts[-1]).num_rows == 64
