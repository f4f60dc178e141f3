"""What a second run does, what is refused, and what a full disk leaves."""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipviz
from clipviz.embedding import Embeddings, embed
from clipviz.errors import ClipvizWarning, DataError, InputError, ModelError

OPTIONS = {"part_size": 4, "batch_size": 3, "workers": 0, "progress": False}


def picture(seed: int, size: tuple[int, int] = (40, 48), kind: str = "PNG") -> bytes:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.png").write_bytes(picture(number))
    return folder


@pytest.fixture
def store(pictures, tmp_path, model):
    embed(pictures, model=model, out=tmp_path / "store", **OPTIONS)
    return tmp_path / "store"


def written(store: Path) -> dict[str, int]:
    """Files by name, with what tells whether they were written anew."""
    return {path.name: path.stat().st_ino for path in store.iterdir()}


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_a_second_run_writes_nothing_new(store, pictures, model):
    before = written(store)
    again = embed(pictures, model=model, out=store, progress=False)
    assert changed(before, written(store)) <= {"failed.csv"} and len(again) == 10
    assert again.manifest.settings["part_size"] == 4  # the store's own


def test_a_changed_picture_is_computed_again_with_its_part(store, pictures, model):
    before, old = written(store), Embeddings.load(store).to_numpy()
    (pictures / "5.png").write_bytes(picture(99))
    new = embed(pictures, model=model, out=store, **OPTIONS)
    parts = {"rows-00001.parquet", "vectors-00001.npy", "record-00001.parquet"}
    assert changed(before, written(store)) - {"failed.csv"} == {*parts, "manifest.json"}
    differ = np.abs(new.to_numpy() - old).max(axis=1) > 1e-3
    assert differ.nonzero()[0].tolist() == [5]
    assert new.manifest.data["fingerprint"] == clipviz.open_source(pictures).fingerprint


def test_a_touched_picture_is_the_same(store, pictures, model):
    before = written(store)
    os.utime(pictures / "5.png", (1, 1))
    embed(pictures, model=model, out=store, **OPTIONS)
    assert changed(before, written(store)) - {"failed.csv"} == {"record-00001.parquet"}
    before = written(store)
    embed(pictures, model=model, out=store, **OPTIONS)
    assert changed(before, written(store)) <= {"failed.csv"}


def test_a_picture_that_was_mended_is_tried_again(pictures, tmp_path, model):
    whole = (pictures / "9.png").read_bytes()
    (pictures / "9.png").write_bytes(whole[:-500])
    os.utime(pictures / "9.png", (1, 1))
    first = embed(pictures, model=model, out=tmp_path / "store", **OPTIONS)
    assert [id for id, _ in first.failed] == ["9.png"] and len(first) == 9
    (pictures / "9.png").write_bytes(whole)
    second = embed(pictures, model=model, out=tmp_path / "store", **OPTIONS)
    assert second.failed == [] and len(second) == 10


def test_a_source_that_grows_and_shrinks(store, pictures, model):
    before = written(store)
    (pictures / "a.png").write_bytes(picture(50))
    assert len(embed(pictures, model=model, out=store, **OPTIONS)) == 11
    assert not {"vectors-00000.npy", "vectors-00001.npy"} & changed(before, written(store))
    for name in ("8", "9", "a"):
        (pictures / f"{name}.png").unlink()
    assert embed(pictures, model=model, out=store, **OPTIONS).ids == tuple(f"{n}.png" for n in range(8))
    assert not (store / "vectors-00002.npy").exists()


def test_metadata_that_changed_alone_costs_no_vector(pictures, tmp_path, model):
    table = tmp_path / "table.csv"
    table.write_text("path,n,score\n" + "".join(f"pictures/{i}.png,{i},{i if i else ''}\n" for i in range(10)))
    first = embed(table, model=model, out=tmp_path / "store", **OPTIONS)
    assert first.manifest.columns == {"n": "int64", "score": "int64"}
    before = written(tmp_path / "store")
    table.write_text(
        "path,n,score\n" + "".join(f"pictures/{i}.png,{i},{i + 0.5 if i > 7 else ''}\n" for i in range(10))
    )
    second = embed(table, model=model, out=tmp_path / "store", **OPTIONS)
    assert not {name for name in changed(before, written(tmp_path / "store")) if name.startswith(("vec", "rec"))}
    assert second.manifest.columns == {"n": "int64", "score": "double"}
    assert second.metadata["score"].dropna().tolist() == [8.5, 9.5]


def test_damaged_parts_are_made_anew(store, pictures, model):
    want = (store / "vectors-00001.npy").read_bytes()
    (store / "vectors-00001.npy").write_bytes(want[:-7])
    (store / "rows-00002.parquet").unlink()
    assert len(embed(pictures, model=model, out=store, **OPTIONS)) == 10
    assert (store / "vectors-00001.npy").read_bytes() == want


def test_what_is_refused(store, pictures, tmp_path, model, other_model):
    with pytest.raises(ModelError, match=r"vectors of small-0 .*small-1"):
        embed(pictures, model=other_model, out=store, **OPTIONS)
    with pytest.raises(InputError, match="was made with dtype='float32', got dtype='float16'"):
        embed(pictures, model=model, out=store, dtype="float16", progress=False)
    with pytest.raises(InputError, match=r"holds '0\.png' and no store"):
        embed(pictures, model=model, out=pictures)
    with pytest.raises(InputError, match="is a file"):
        embed(pictures, model=model, out=pictures / "0.png")
    with pytest.raises(ModelError, match=r"needs a clipviz\.Model, got str"):
        embed(pictures, model="ViT-B-32", out=tmp_path / "new")
    other = shutil.copytree(pictures, tmp_path / "others")
    for path in other.iterdir():
        path.rename(other / f"other-{path.name}")
    with pytest.raises(DataError, match="holds other images"):
        embed(other, model=model, out=store, **OPTIONS)
    for option, value in [("part_size", 0), ("batch_size", True), ("workers", -1), ("dtype", "int8"), ("view", "x")]:
        with pytest.raises(InputError, match=f"{option}="):
            embed(pictures, model=model, out=tmp_path / "new", **{option: value})
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        embed(tmp_path / "empty", model=model, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert len(Embeddings.load(store)) == 10  # nothing of all that has touched it


def test_metadata_must_be_there_and_of_one_type(pictures, tmp_path, model):
    rows = [{"path": f"pictures/{i}.png", "age": i if i < 5 else "old"} for i in range(10)]
    (tmp_path / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=r"'age' .* holds int \('0'\) and str \('old'\)"):
        embed(tmp_path / "table.jsonl", model=model, out=tmp_path / "store", **OPTIONS)
    with pytest.raises(DataError, match="no column 'race'"):
        embed(tmp_path / "table.jsonl", model=model, out=tmp_path / "store", columns=["race"], **OPTIONS)
    source = clipviz.open_source(tmp_path / "table.jsonl")
    with pytest.raises(DataError, match="no metadata 'race'"):
        embed(source, model=model, out=tmp_path / "store", columns=["race"], **OPTIONS)
    rows[3]["path"] = "../outside.png"
    (tmp_path / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="leads out of the manifest's folder"):
        embed(tmp_path / "table.jsonl", model=model, out=tmp_path / "store", **OPTIONS)


def test_nothing_but_damaged_pictures_is_an_error_that_says_why(tmp_path, model):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"None of the 1 images .*'a.png': The picture is no picture"):
        embed(tmp_path / "pictures", model=model, out=tmp_path / "store", **OPTIONS)


def test_a_note_about_a_picture_reaches_the_caller(pictures, tmp_path, model):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(pictures / "two.gif", save_all=True, append_images=frames[1:])
    with pytest.warns(ClipvizWarning, match="2 frames and the first is used"):
        assert len(embed(pictures, model=model, out=tmp_path / "store", **OPTIONS)) == 11


def test_without_out_the_store_lies_in_the_users_cache(pictures, tmp_path, model, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    embed(pictures, model=model, **OPTIONS)
    embed(pictures, model=model, **OPTIONS)
    (found,) = (tmp_path / "cache" / "clipviz" / "embeddings").iterdir()
    embed(pictures, model=model, **{**OPTIONS, "dtype": "float16"})
    assert len(list(found.parent.iterdir())) == 2


def test_a_draft_is_within_its_cosine(tmp_path):
    images = Path(importlib.util.find_spec("sklearn").origin).parent / "datasets" / "images"  # read, not imported
    tiny, folder = clipviz.load(), tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(["china.jpg", "flower.jpg"]):
        for corner in range(6):
            cut = Image.open(images / name).crop((20 * corner, 8 * corner, 500 + 20 * corner, 375 + 8 * corner))
            cut.save(folder / f"{number}-{corner}.jpg", quality=90)
    full = embed(folder, model=tiny, out=tmp_path / "full", workers=0, progress=False)
    quick = embed(folder, model=tiny, out=tmp_path / "draft", workers=0, draft=True, progress=False)
    cosines = (full.to_numpy() * quick.to_numpy()).sum(axis=1)
    assert 0.995 < cosines.min() < 1 - 1e-6  # within the docstring's, and really another decoding
    assert full.manifest.settings["draft"] == 0 and quick.manifest.settings["draft"] == 112


@pytest.mark.parametrize("full", ["record", "vectors"])
def test_a_full_disk_leaves_a_valid_store(pictures, tmp_path, model, full):
    """No file may grow beyond some bytes, which one of a part's would: the kernel says so, as of a full disk."""
    store, options = tmp_path / "store", {**OPTIONS, "part_size": 4}
    if full == "vectors":  # the largest file of a part
        for number in range(10, 300):
            shutil.copy(pictures / "0.png", pictures / f"{number}.png")
        options["part_size"] = 290
    embed(pictures, model=model, out=store, **options)
    want = {path.name: path.read_bytes() for path in store.iterdir() if path.name != "manifest.json"}
    sizes = {path.name.partition("-")[0]: path.stat().st_size for path in sorted(store.iterdir(), reverse=True)}
    assert sizes[full] == max(sizes.values())
    lost = len(list(store.glob("record-*"))) - 1
    for number in range(1, lost + 1):
        (store / f"record-{number:05d}.parquet").unlink()
    if full == "vectors":
        (store / "record-00000.parquet").unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[full] - 1, before[1]))
    try:
        with pytest.raises(DataError, match="There is no room left for the store"):
            embed(pictures, model=model, out=store, **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path.name for path in store.iterdir() if path.name.startswith(".")]
    if full == "record":
        assert len(Embeddings.load(store)) == 4 and Embeddings.load(store).manifest.counts["missing"] == 6
    embed(pictures, model=model, out=store, **options)
    assert {path.name: path.read_bytes() for path in store.iterdir() if path.name != "manifest.json"} == want
