from __future__ import annotations

import numpy as np
import pytest

import clipviz
from clipviz.embedding import Embeddings, embed_texts
from clipviz.errors import DataError, InputError

WORDS = ["a dog", "a cat", "a red bus", "the forest", "a boat on a lake"]
SAYING = ["a photo of {}", "a drawing of {}"]


@pytest.fixture(scope="module")
def tiny():
    return clipviz.load()


def test_they_are_the_models_vectors_in_their_order(tiny, tmp_path):
    done = embed_texts(
        WORDS, model=tiny, out=tmp_path / "a", templates=SAYING, metadata={"picture": list("abcde")}, part_size=2,
        progress=False,
    )  # fmt: skip
    want = tiny.encode_prompts(clipviz.PromptSet.of(WORDS, SAYING))
    assert np.abs(done.to_numpy() - want).max() < 1e-6
    assert done.ids == tuple("01234")
    assert done.metadata.to_dict("list") == {"text": WORDS, "picture": list("abcde")}
    assert done.manifest.kind == "texts" and done.manifest.settings["templates"] == SAYING


def test_a_text_that_changed_is_read_again(tiny, tmp_path):
    embed_texts(dict(zip("abcde", WORDS, strict=True)), model=tiny, out=tmp_path, part_size=2, progress=False)
    before = {path.name: path.stat().st_ino for path in tmp_path.glob("vectors-*")}
    texts = {**dict(zip("abcde", WORDS, strict=True)), "c": "a star"}
    done = embed_texts(texts, model=tiny, out=tmp_path, progress=False)
    after = {path.name: path.stat().st_ino for path in tmp_path.glob("vectors-*")}
    assert [name for name in before if before[name] != after[name]] == ["vectors-00001.npy"]
    assert (done.to_numpy()[2] @ tiny.encode_texts(["a star"])[0]) > 1 - 1e-5


def test_another_set_of_templates_is_another_store(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    embed_texts(WORDS, model=tiny, out=tmp_path / "a", progress=False)
    with pytest.raises(InputError, match=r"made with templates=\['\{\}'\], got"):
        embed_texts(WORDS, model=tiny, out=tmp_path / "a", templates=SAYING, progress=False)
    for templates in (None, SAYING, SAYING):
        embed_texts(WORDS, model=tiny, templates=templates, progress=False)
    assert len(list((tmp_path / "clipviz" / "embeddings").iterdir())) == 2


def test_what_is_no_text_is_listed_or_refused(tiny, tmp_path):
    done = embed_texts(["a dog", " ", None], model=tiny, out=tmp_path / "a", progress=False)
    assert [id for id, _ in Embeddings.load(tmp_path / "a").failed] == ["1", "2"] and len(done) == 1
    with pytest.raises(InputError, match="list of strings, got str"):
        embed_texts("a dog", model=tiny, out=tmp_path / "b")
    with pytest.raises(DataError, match="No texts"):
        embed_texts([], model=tiny, out=tmp_path / "b")
    with pytest.raises(DataError, match="2 values for 1 texts"):
        embed_texts(["a dog"], model=tiny, out=tmp_path / "b", metadata={"n": [1, 2]})
