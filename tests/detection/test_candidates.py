"""Boxes judged: squares, crops and suppression, each against a plain way to the same."""

from __future__ import annotations

import numpy as np
from PIL import Image

from clipviz.detection.asking import Asked
from clipviz.detection.candidates import Candidates, around, gathered, kept_apart, of_crops, of_squares, square
from clipviz.detection.levels import Level
from clipviz.detection.pyramid import level
from clipviz.explanation.neutral import NEUTRAL
from clipviz.frame import layout
from clipviz.model import Model


def test_a_crop_is_encoded_as_if_it_were_a_picture(vit: Model, resnet: Model, picture: Image.Image) -> None:
    boxes = np.array([[0, 0, 30, 20], [10, 4, 44, 44], [0, 0, 30, 20]], float)
    for model in (vit, resnet):
        asked = Asked(model, ["a dog", "a cat"], NEUTRAL, False)
        side = (model.image_size,) * 2  # drawn from the picture, so that an edge knows what lies beyond it
        crops = [picture.resize(side, Image.Resampling.BICUBIC, box=tuple(box)) for box in boxes]
        directions = model.encode_prompts(["a dog", "a cat"]) - model.encode_prompts(NEUTRAL).mean(axis=0)
        expected = model.encode_images(crops, view="squash") @ directions.T
        cut_out = [picture.crop(tuple(map(int, box))) for box in boxes]
        np.testing.assert_allclose(model.encode_images(cut_out, view="squash") @ directions.T, expected, atol=2e-3)
        found = of_crops(asked, picture, boxes, at_once=1)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(found, of_crops(asked, picture, boxes), atol=1e-6)


def test_a_crop_of_a_fraction_of_a_pixel(vit: Model) -> None:
    asked = Asked(vit, ["a dog"], None, False)
    assert np.isfinite(of_crops(asked, Image.new("RGB", (1, 1)), np.array([[0.2, 0.2, 0.5, 0.4]]))).all()


def test_surroundings_stay_in_the_picture_and_hold_the_box() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (50, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.1, 13, (50, 2))], axis=1)
    found = around(boxes, (64, 64))
    assert (found[:, :2] <= boxes[:, :2]).all() and (found[:, 2:] >= boxes[:, 2:]).all()
    assert found.min() >= 0 and found.max() <= 64


def test_a_box_has_the_best_margin_of_a_square_that_holds_it() -> None:
    whole, tiled = layout((100, 50), 50, "squash"), level((100, 50), 50, 10, 1.0)
    rng = np.random.default_rng(0)
    levels = [Level(frame, rng.normal(size=(len(frame.tiles), 2)), np.zeros((2, 5, 5), np.float32))
              for frame in (whole, tiled)]  # fmt: skip
    boxes = np.array([[0, 0, 20, 20], [40, 10, 60, 30], [0, 0, 100, 50], [80, 0, 100, 50]], float)
    given = Candidates(boxes, np.array([0, 1, 1, 0]), np.zeros(4), ("map",) * 4)
    for box, j, score in zip(boxes, given.labels, of_squares(given, levels), strict=True):
        best = -np.inf
        for one in levels:
            for t in range(len(one.frame.tiles)):
                x0, y0, x1, y1 = square(one.frame, t)
                wide, high = min(x1, box[2]) - max(x0, box[0]), min(y1, box[3]) - max(y0, box[1])
                if max(wide, 0) * max(high, 0) >= 0.8 * (box[2] - box[0]) * (box[3] - box[1]):
                    best = max(best, one.margins[t, j])
        assert score == best


def test_overlapping_boxes_pay_and_labels_do_not_disturb_each_other() -> None:
    rows = [([0, 0, 10, 10], 0, 0.4, "a"), ([0, 0, 10, 9], 0, 0.3, "b"), ([20, 0, 30, 10], 0, 0.2, "c"),
            ([0, 0, 10, 10], 1, 0.1, "d"), ([50, 0, 60, 10], 1, -0.5, "e")]  # fmt: skip
    found = kept_apart(gathered([(np.array(box, float), *rest) for box, *rest in rows]), 5, -2)
    assert found.evidence == ("a", "c", "d", "b", "e")
    shrunk = 0.3 * np.exp(-(0.9**2) / 0.5)
    np.testing.assert_allclose(found.scores, [0.4, 0.2, 0.1, shrunk, -0.5])
    alone = kept_apart(gathered([(np.array(box, float), *rest) for box, *rest in rows[:3]]), 5, -2)
    assert alone.scores.tolist() == found.scores[found.labels == 0].tolist()
    few = kept_apart(gathered([(np.array(box, float), *rest) for box, *rest in rows]), 1, 0.15)
    assert few.evidence == ("a",), "one a label, and only at the threshold"


def test_nothing_to_keep() -> None:
    assert len(kept_apart(gathered([]), 5, 0.0)) == 0
    low = gathered([(np.array([0, 0, 1, 1.0]), 0, -0.3, "a"), (np.array([0, 0, 1, 1.0]), 0, -0.2, "b")])
    found = kept_apart(low, 5, -2)
    assert found.evidence == ("b", "a") and (found.scores >= -0.3).all(), "what says less than nothing never rises"
    assert len(kept_apart(low, 5, 0.0)) == 0
