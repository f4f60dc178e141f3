"""The engine over Ray: the same store as the local engine's, whatever dies on the way."""

from __future__ import annotations

import importlib.util
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import clipviz
from clipviz.embedding import Embeddings, embed
from clipviz.embedding.decoding import Decoder, Fact
from clipviz.embedding.ray_driver import stretches, users
from clipviz.embedding.ray_engine import refuse_blindness, sent
from clipviz.embedding.ray_worker import lean
from clipviz.errors import DataError, InputError, ModelError
from clipviz.model.pixels import preparation

sys.path.insert(0, str(Path(__file__).parent))
from pictures import damage, real_pictures

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.alone
needs_ray = pytest.mark.skipif(
    not importlib.util.find_spec("ray") and not os.environ.get("CLIPVIZ_REQUIRE_ALL"), reason="Ray is not installed"
)


def _benchmark():
    spec = importlib.util.spec_from_file_location("embed_ray_kill", ROOT / "benchmarks" / "embed_ray_kill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kill = _benchmark()


def remains() -> list[int | Path]:
    """Processes of the local clusters that this one had started, wherever they hang, and their folders."""
    folder = f"/tmp/clipviz-ray-{os.getpid()}-"
    return [*users(folder), *Path("/tmp").glob(f"{Path(folder).name}*")]


@pytest.fixture(scope="module")
def tiny():
    return clipviz.load()


@pytest.fixture(scope="module")
def local(shared, tmp_path_factory, tiny):
    """A folder of pictures, five of them spoilt, and the local engine's store of it."""
    home = tmp_path_factory.mktemp("ray")
    damage(real_pictures(shared, home / "pictures", 600))
    embed(home / "pictures", model=tiny, out=home / "local", part_size=24, batch_size=8, workers=0, progress=False)
    return home


def over_ray(home: Path, out: Path, model, workers: int) -> Embeddings:
    return embed(home / "pictures", model=model, out=out, part_size=24, batch_size=8, workers=workers, engine="ray",
                 progress=False)  # fmt: skip


@needs_ray
@pytest.mark.slow
def test_a_killed_worker_leaves_the_local_engines_store(local, tiny):
    out = local / "killed worker"
    with kill.Killer(out, kill.WORKER, 2) as killer:
        store = over_ray(local, out, tiny, 2)
    assert 2 <= killer.had < 25, "nobody was killed"
    assert kill.differences(local / "local", out) == []
    with_its_own, manifest = Embeddings.load(local / "local"), store.manifest
    assert store.ids == with_its_own.ids and len(set(store.ids)) == 595 and len(store.failed) == 5
    assert replace(manifest, times={}) == replace(with_its_own.manifest, times={})
    assert "ray" not in sys.modules
    assert remains() == []


@needs_ray
@pytest.mark.slow
def test_when_the_head_dies_the_run_fails_and_the_next_does_what_is_missing(local, tiny):
    out = local / "killed head"
    with kill.Killer(out, kill.HEAD, 2) as killer:
        with pytest.raises(DataError, match=r"^The head of the Ray cluster died; .* which does what is missing\.$"):
            over_ray(local, out, tiny, 1)
    assert remains() == []
    parts = {path.name: path.stat().st_mtime_ns for path in out.glob("record-*")}
    assert 2 <= killer.had <= len(parts) < 25
    assert not Embeddings.load(out).manifest.complete
    assert embed(local / "pictures", model=tiny, out=out, workers=0, progress=False).manifest.complete
    assert {name: (out / name).stat().st_mtime_ns for name in parts} == parts, "done twice"
    assert kill.differences(local / "local", out) == []


def test_what_cannot_be_asked_for_is_told(shared, tmp_path, tiny, monkeypatch):
    picture = real_pictures(shared, tmp_path / "pictures", 1)
    for wrong, words in (
        ({"engine": "spark"}, "'local' or 'ray'"),
        ({"address": "here:6379"}, "engine='ray'"),
        ({"engine": "ray", "workers": 0}, "at least one process"),
        ({"engine": "ray", "address": "ray://here:10001"}, "'host:6379' or 'auto'"),
    ):
        with pytest.raises(InputError, match=words):
            embed(picture, model=tiny, out=tmp_path / "store", **wrong)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'pip install "clipviz\[scale\]"'):
        embed(picture, model=tiny, out=tmp_path / "store", engine="ray")
    assert not (tmp_path / "store").exists()


def test_a_read_is_a_part_or_whole_batches_of_one_where_there_are_few():
    parts = [(0, 100), (100, 150)]
    assert stretches(parts, 32, 2) == parts
    assert stretches(parts, 32, 4) == [(0, 64), (64, 100), (100, 132), (132, 150)]
    assert stretches(parts, 32, 99) == [(0, 32), (32, 64), (64, 96), (96, 100), (100, 132), (132, 150)]


def test_a_worker_reads_parquet_without_its_ids(shared):
    whole = clipviz.open_source(shared / "data/tiny-imagenet/val-00.parquet")
    for source in (whole, whole.select(range(5, 50)), whole.select([1, 7, len(whole) - 1])):
        there = pickle.loads(pickle.dumps(lean(source)))
        assert len(there) == len(source)
        for place in (0, len(source) - 1):
            assert there.bytes(place) == source.bytes(place) and there.stamp(place) == source.stamp(place)
    assert len(pickle.dumps(lean(whole))) < len(whole) < len(pickle.dumps(whole)) / 10


def test_a_model_travels_as_safetensors_and_is_refused_where_it_arrives_as_another(tmp_path, model, other_model):
    one, other = sent(model, tmp_path / "a"), sent(other_model, tmp_path / "b")
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert replace(one, files=files).open().provenance["weights_sha256"] == model.provenance["weights_sha256"]
    assert sorted(path.suffix for path in (tmp_path / "a").iterdir()) == [".json", ".safetensors"]
    with pytest.raises(ModelError, match="found another model"):
        replace(one, load=other.load).open()


def test_pictures_that_the_cluster_does_not_see_are_no_failures(shared, tmp_path, tiny):
    source = clipviz.open_source(real_pictures(shared, tmp_path / "pictures", 2))
    decoder = Decoder(source, preparation(tiny))
    refuse_blindness(decoder, 0, decoder(0, 2).facts, "there:6379")
    with pytest.raises(DataError, match=r"do not see 'odd/0001.jpg'.* same path\.$"):
        refuse_blindness(decoder, 1, [Fact(None, reason="No such file")], "there:6379")
