"""Pictures made smaller, and a gallery that lets nobody else in."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

import clipviz
from clipviz.auditing.fitting import fitted
from clipviz.auditing.scoring import score
from clipviz.auditing.spec import AuditSpec, Metric
from clipviz.auditing.surveillance import LowResolution, seen_at
from clipviz.auditing.sweep import at_sides, smaller
from clipviz.embedding import embed
from clipviz.errors import DataError, InputError, SpecError
from clipviz.sources import open_source


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for scene, side in (("street", 64), ("shop", 40)):
        (tmp_path / scene).mkdir()
        noise = rng.integers(0, 255, (side, side // 2, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / scene / "1.png")
    (tmp_path / "shop" / "broken.jpg").write_bytes(b"no picture")
    return tmp_path


def test_a_smaller_picture_keeps_its_size_and_loses_its_detail(folder):
    source = open_source(folder)
    small = LowResolution(source, 16)
    assert small.ids == source.ids and len(small) == 3
    assert small.table().equals(source.table()) and small.where_from.endswith("at 16 px")
    picture, before = small["street/1.png"].image, source["street/1.png"].image
    assert picture.size == before.size == (32, 64)
    assert np.var(np.asarray(picture, float)) < 0.5 * np.var(np.asarray(before, float))
    # what is left is what 16 pixels hold: to make it that small again loses nothing more
    again = seen_at(picture, 16)
    assert np.abs(np.asarray(again, float) - np.asarray(picture, float)).mean() < 12
    assert [item.id for item in small] == ["shop/1.png", "street/1.png"]
    assert [name for name, _ in small.failed] == ["shop/broken.jpg"]
    assert small.fingerprint != source.fingerprint != LowResolution(source, 200).fingerprint
    assert small.bytes("street/1.png")[:4] == b"\x89PNG"


def test_parts_of_it_are_parts(folder):
    small = LowResolution(open_source(folder), 16).where(lambda row: row["label"] == "street")
    assert small.ids == ("street/1.png",) and small[0].metadata == {"label": "street"}
    assert pickle.loads(pickle.dumps(small))[0].image.size == (32, 64)
    half = open_source(folder).select([2])
    assert LowResolution(half, 16).ids == ("street/1.png",)


def test_what_is_small_stays_and_no_side_is_refused():
    picture = Image.new("RGB", (10, 8), (3, 4, 5))
    assert np.array_equal(seen_at(picture, 10), picture)
    assert seen_at(Image.new("RGB", (1000, 2)), 10).size == (1000, 2)
    with pytest.raises(InputError, match="side=56"):
        LowResolution(None, 0)  # type: ignore[arg-type]


def test_a_gallery_names_those_who_agreed_and_nobody_else():
    spec = AuditSpec.load("surveillance_gallery")
    frame = pd.DataFrame({"person": ["Ada", "Ben", "Ada"]}, index=pd.Index(["1", "2", "3"], name="id"))
    with pytest.raises(SpecError, match="needs their consent"):
        fitted(spec, frame)
    spec = spec.with_(gallery={"people": ["Ada", "Ben"], "consent": "asked in writing"})
    named, _ = fitted(spec, frame)
    assert named.names == ("Ada", "Ben") and named.labels[0].truth == {"person": ("Ada",)}
    assert AuditSpec.from_dict(named.to_dict()) == named
    for strangers, said in (
        (frame.assign(person=["Ada", "Eve", None]), r"2 of 3 pictures .*\('Eve' and 1 without a name\).*no open set"),
        (frame.rename(columns={"person": "who"}), "no column 'person'.*no open set of people"),
    ):
        with pytest.raises(DataError, match=said):
            fitted(spec, strangers)
    with pytest.raises(SpecError, match="at least two"):
        fitted(spec.with_(gallery={"people": ["Ada"], "consent": "yes"}), frame)


def test_a_sweep_asks_the_same_of_pictures_made_smaller(tmp_path, monkeypatch):
    """Thin stripes are gone at 14 pixels, and a large circle is not: cosines move by what was lost."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    coarse = Image.new("RGB", (112, 112), "white")
    pixels = np.full((112, 112, 3), 255, np.uint8)
    pixels[:, ::4] = pixels[:, 1::4] = (255, 0, 0)
    fine = Image.fromarray(pixels)
    ImageDraw.Draw(coarse).ellipse((16, 16, 96, 96), fill=(255, 0, 0))
    (tmp_path / "data").mkdir()
    fine.save(tmp_path / "data" / "fine.png")
    coarse.save(tmp_path / "data" / "round.png")
    model = clipviz.load()
    store = embed(tmp_path / "data", model=model, progress=False)
    spec = AuditSpec.from_dict({
        "labels": ["a red circle", "a blue square"], "metrics": [Metric("share")], "groups": {"columns": ["kind"]},
        "sides": [14, 112],
    })  # fmt: skip
    by_side, notes = smaller(spec, store, model)
    assert list(by_side) == [112, 14] and notes == ()
    whole, small = at_sides(spec, by_side, model)
    assert small.wording.name == "at 14 px" and small.wording.control
    written = score(store, [whole.wording], model)[0]
    assert np.allclose(whole.cosines, written.cosines, atol=1e-6)
    moved = 1 - (by_side[14].to_numpy() * store.to_numpy()).sum(axis=1)
    assert moved[0] > 5 * moved[1]
    (tmp_path / "data" / "fine.png").unlink()
    assert "left out" in smaller(spec, store, model)[1][0]
