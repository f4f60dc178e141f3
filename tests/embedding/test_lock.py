"""Two processes on one store: the second is refused, and a dead one holds nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import clipviz
from clipviz.embedding import embed
from clipviz.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def _benchmark():
    spec = importlib.util.spec_from_file_location("embed_kill", ROOT / "benchmarks" / "embed_kill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kill = _benchmark()


@pytest.mark.slow
def test_the_second_is_refused_until_the_first_is_gone(shared, tmp_path):
    data, out = shared / "data/tiny-imagenet/val-00.parquet", tmp_path / "store"
    model, source = clipviz.load(), clipviz.open_source(data).select(range(40))
    process = kill.start(out, data, 4000, part_size=20, workers=0)
    try:
        assert kill.wait(process, lambda: len(kill.records(out)) >= 1)
        with pytest.raises(DataError, match=rf"process {process.pid}, since"):
            embed(source, model=model, out=out, part_size=20, workers=0, progress=False)
    finally:
        process.kill()
        process.join()
    assert len(embed(source, model=model, out=out, part_size=20, workers=0, progress=False)) == 40
    assert not (out / ".lock").exists()
