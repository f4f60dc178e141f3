from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from clipviz.embedding import layout
from clipviz.embedding.manifest import Manifest, model_facts
from clipviz.errors import DataError, ModelError


def test_it_comes_back_as_it_was_written(make_store, model):
    folder = make_store()
    told = Manifest.read(folder)
    again = told.but(counts={"pictures": 3}, times={"seconds": 1.5})
    again.write(folder)
    assert Manifest.read(folder) == again != told
    assert told.model == model_facts(model) and json.loads((folder / "manifest.json").read_text())["version"] == 1


def test_another_model_is_refused_and_both_are_named(make_store, model, other_model):
    told = Manifest.read(make_store())
    told.refuse_other_model(model_facts(model))
    with pytest.raises(ModelError, match=r"vectors of small-0 .*and small-1 .*was given"):
        told.refuse_other_model(model_facts(other_model))
    with pytest.raises(ModelError, match=r"precision 'fp32'.*precision 'bf16'"):
        told.refuse_other_model({**model_facts(model), "precision": "bf16"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is a folder without one"),
        ("{", "cannot be read"),
        ('{"format": "another"}', "belongs to no store"),
        ('{"format": "clipviz embeddings", "version": 9}', "has format 9, this clipviz reads 1"),
        ('{"format": "clipviz embeddings", "version": 1, "kind": "images"}', "lacks keys"),
    ],
)
def test_what_is_no_manifest_of_ours_is_refused(tmp_path: Path, text, said):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=said):
        Manifest.read(tmp_path)


def test_a_part_is_whole_where_its_record_is(make_store):
    folder = make_store(size=10)
    assert layout.whole_parts(folder) == [0, 1, 2, 3]
    layout.record_file(folder, 2).unlink()
    assert layout.whole_parts(folder) == [0, 1, 3]
    assert [len(part) for part in layout.plan(37, 10)] == [10, 10, 10, 7]


def test_vectors_that_are_cut_off_or_no_vectors_are_damaged(make_store):
    folder = make_store(size=10)
    path = layout.vectors_file(folder, 1)
    assert isinstance(layout.open_vectors(folder, 1), np.memmap)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"vectors-00001\.npy' is gone or damaged"):
        layout.open_vectors(folder, 1)
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match="damaged"):
        layout.open_vectors(folder, 1)
    np.save(path, np.zeros((0, 24), np.float16))
    assert layout.open_vectors(folder, 1).shape == (0, 24)
