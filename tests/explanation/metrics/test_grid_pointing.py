"""Mosaics: drawn by rule, laid out by place, scored by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import clipviz
from clipviz.errors import InputError
from clipviz.explanation.metrics import (
    centre_map,
    draw_mosaics,
    keeps_to_tile,
    peak_tile,
    random_map,
    randomised,
    tile_scores,
    tile_shares,
)
from clipviz.model import Model

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 8, 60)
SCORES = RNG.normal(0, 0.5, (60, 8)) + np.eye(8)[CLASSES]


@pytest.mark.parametrize("rows,columns", [(2, 2), (3, 2)])
def test_every_mosaic_holds_what_is_asked_of_it(rows: int, columns: int) -> None:
    found = draw_mosaics(SCORES, CLASSES, 200, rows=rows, columns=columns, seed=3)
    tiles = rows * columns
    for mosaic in found:
        assert len(set(mosaic.classes)) == len(set(mosaic.members)) == tiles
        assert mosaic.classes == tuple(CLASSES[list(mosaic.members)])
        for member in mosaic.members:
            own = SCORES[member, CLASSES[member]]
            assert all(own > SCORES[member, c] for c in mosaic.classes if c != CLASSES[member])
        assert mosaic.asked_class == mosaic.classes[mosaic.asked]
    draws = [m.draw for m in found]
    assert draws == sorted(set(draws)) and draws[-1] > 200  # some did not hold
    counts = np.bincount([m.asked for m in found], minlength=tiles)
    assert (counts > 0.5 * 200 / tiles).all()
    assert found == draw_mosaics(SCORES, CLASSES, 200, rows=rows, columns=columns, seed=3)
    assert found[:50] == draw_mosaics(SCORES, CLASSES, 50, rows=rows, columns=columns, seed=3)
    assert found != draw_mosaics(SCORES, CLASSES, 200, rows=rows, columns=columns, seed=4)


def test_a_tie_is_not_right() -> None:
    with pytest.raises(InputError, match="Of 1000 draws only 0 hold"):
        draw_mosaics(np.ones((4, 4)), [0, 1, 2, 3], 1)


def test_the_pictures_lie_row_by_row() -> None:
    colours = [(i, 2 * i, 255 - i) for i in range(60)]
    pictures = [Image.new("RGB", (64, 64) if i % 2 else (10, 20), c) for i, c in enumerate(colours)]
    mosaic = draw_mosaics(SCORES, CLASSES, 1, rows=2, columns=3)[0]
    whole = mosaic.picture(pictures, 16)
    assert whole.size == (48, 32)
    for place, member in enumerate(mosaic.members):
        x, y = place % 3 * 16, place // 3 * 16
        assert {whole.getpixel(at) for at in ((x, y), (x + 15, y + 15))} == {colours[member]}
    assert np.array_equal(whole, mosaic.picture(lambda i: np.asarray(pictures[i]), 16))


def test_tiles_by_hand() -> None:
    values = np.arange(16.0).reshape(4, 4)
    assert tile_scores(values).tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert peak_tile(values) == 3
    assert peak_tile(-values) == 0
    assert peak_tile(values, 4, 2) == 7
    assert tile_shares([[1, -9], [2, 1]]).tolist() == [[0.25, 0], [0.5, 0.25]]
    # the highest cell is in the first tile, the highest mean in the second
    values = np.array([[9.0, 0.0, 5.0, 5.0], [0.0, 0.0, 5.0, 5.0]])
    kept = keeps_to_tile(values, 0, 1, 2)
    assert (kept.by_peak, kept.by_mean, kept.share, kept.constant) == (True, False, 9 / 29, False)
    assert keeps_to_tile(values, 1, 1, 2).by_mean


def test_a_constant_map_keeps_to_no_tile() -> None:
    for level in (0.0, 2.0):
        for asked in range(4):
            kept = keeps_to_tile(np.full((4, 4), level), asked)
            assert (kept.by_peak, kept.by_mean, kept.constant) == (False, False, True)
            assert kept.share == 0.25 if level else np.isnan(kept.share)
    assert peak_tile(np.zeros((4, 4))) is None


def test_trivial_rivals_get_chance() -> None:
    """The centre touches all four tiles alike; ties are drawn, so both are right one time in four."""
    centre, hits = centre_map((14, 14)), []
    for i in range(800):
        by_centre, by_lot = (keeps_to_tile(m, i % 4, seed=(0, i)) for m in (centre, random_map((14, 14), (1, i))))
        hits.append((by_centre.by_peak, by_lot.by_peak, by_lot.by_mean))
        oracle = np.kron(np.eye(4)[i % 4].reshape(2, 2), np.ones((7, 7)))
        kept = keeps_to_tile(oracle, i % 4, seed=i)
        assert kept.by_peak and kept.by_mean and kept.share == 1
    assert np.mean(hits, axis=0) == pytest.approx([0.25] * 3, abs=0.06)


@given(arrays(np.float64, (4, 6), elements=st.integers(-4, 9).map(float)))
@settings(max_examples=60, deadline=None)
def test_properties(values: np.ndarray) -> None:
    assert tile_scores(values, 2, 3).mean() == pytest.approx(values.mean())
    shares = tile_shares(values, 2, 3)
    assert np.isnan(shares).all() if values.max() <= 0 else shares.sum() == pytest.approx(1)
    tile = peak_tile(values, 2, 3, seed=1)
    if np.ptp(values):
        assert values.reshape(2, 2, 3, 2)[tile // 3, :, tile % 3].max() == values.max()
        assert sum(keeps_to_tile(values, i, 2, 3, seed=5).by_mean for i in range(6)) == 1
        assert sum(keeps_to_tile(values, i, 2, 3, seed=5).by_peak for i in range(6)) == 1


@pytest.mark.parametrize(
    "call,says",
    [
        (lambda: tile_scores(np.ones((7, 7))), "7 x 7 cells has no 2 x 2 tiles"),
        (lambda: tile_scores(np.ones((4, 4)), 1, 1), "1 x 1 is none"),
        (lambda: keeps_to_tile(np.ones((4, 4)), 4), "asked=4 is no tile"),
        (lambda: tile_scores([[np.nan, 1], [0, 1]]), "NaN"),
        (lambda: draw_mosaics(SCORES, CLASSES[:5], 1), "got"),
        (lambda: draw_mosaics(SCORES, CLASSES + 1, 1), "number of one of their columns"),
        (lambda: draw_mosaics(SCORES, CLASSES, 1, rows=3, columns=3), "8 classes make no mosaic of 9"),
        (lambda: draw_mosaics(SCORES, CLASSES, 0), "n=0"),
        (lambda: draw_mosaics(SCORES, CLASSES, 1)[0].picture([], 0), "side=0"),
    ],
)
def test_refuses(call: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()  # type: ignore[operator]


def test_on_photographs_a_trained_model_is_right_and_random_weights_are_not(shared: Path) -> None:
    """Grad-CAM's largest tile mean is right in 62 % of mosaics of other photographs; chance is 25 %."""
    folder, data = shared / "models" / "oc-tiny", shared / "data" / "tiny-imagenet"
    alone, wide = clipviz.load(folder), clipviz.load(folder, image_size=112)
    names = {c["class_id"]: c["names"] for c in json.loads((data / "classes.json").read_text(encoding="utf-8"))}
    source = clipviz.open_source(data / "val-00.parquet", id="file").half("dev").select(range(240))
    items = list(source)
    ids = sorted({item.metadata["class_id"] for item in items})
    firsts = [names[i][0] if isinstance(names[i], list) else names[i].split(",")[0] for i in ids]
    texts = [f"a photo of a {name}." for name in firsts]
    scores = alone.encode_images([item.image for item in items]) @ alone.encode_texts(texts).T
    found = draw_mosaics(scores, [ids.index(item.metadata["class_id"]) for item in items], 60, seed=0)

    def right(model: Model) -> float:
        hits = []
        for i, mosaic in enumerate(found):
            picture = mosaic.picture(lambda k: items[k].image)
            values = clipviz.gradcam(picture, texts[mosaic.asked_class], model=model).values
            assert values.shape == (14, 14)
            hits.append(keeps_to_tile(values, mosaic.asked, seed=(0, i)).by_mean)
        return float(np.mean(hits))

    assert right(wide) > 0.48
    assert right(randomised(wide)) < 0.4
