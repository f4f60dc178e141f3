"""IoU, thresholds, oracles and average precision: by hand, by loops, beside scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from clipviz.errors import InputError
from clipviz.explanation.metrics import (
    best_threshold,
    centre_map,
    iou_at,
    ious,
    oracle_iou,
    pixel_precision,
    random_map,
)
from clipviz.explanation.metrics.segmentation import scaled
from clipviz.frame import layout

MAPS = arrays(np.float64, (4, 5), elements=st.integers(-3, 6).map(float))
MASKS = arrays(bool, (4, 5)).filter(lambda m: m.any())


def test_by_hand() -> None:
    values, mask = np.array([[0.0, 2.0], [4.0, 1.0]]), np.array([[0, 1], [1, 1]])
    assert iou_at(values, mask, 0.5) == pytest.approx(2 / 3)  # 2 and 4 of three
    assert iou_at(values, mask, 2.0, scale="raw") == pytest.approx(2 / 3)  # at least the threshold
    assert iou_at(values, mask, 2.1, scale="raw") == pytest.approx(1 / 3)
    assert iou_at(values, mask, 5.0, scale="raw") == 0
    assert iou_at(values, (1, 0, 2, 1), 0.0) == pytest.approx(1 / 4)  # everything against one pixel
    assert oracle_iou(values, mask) == 1
    # by falling value the truths are 1, 0, 1, 0: precision 1 at the first, 2 / 3 at the third
    assert pixel_precision([[4.0, 3.0], [2.0, 1.0]], [[1, 0], [1, 0]]) == pytest.approx((1 + 2 / 3) / 2)


def test_scales() -> None:
    values = np.array([[-1.0, 1.0], [3.0, np.nan]])
    np.testing.assert_allclose(scaled(values), [[0, 0.5], [1, np.nan]])
    np.testing.assert_allclose(scaled(values, "peak"), [[-1 / 3, 1 / 3], [1, np.nan]])
    np.testing.assert_allclose(scaled(values, "raw"), values)
    np.testing.assert_allclose(scaled(-np.ones((1, 2)) * [[1, 4]], "peak"), [[-0.25, -1]])
    assert scaled(np.full((2, 2), 7.0)).tolist() == [[0, 0], [0, 0]]
    assert scaled(np.zeros((2, 2)), "peak").tolist() == [[0, 0], [0, 0]]


@given(MAPS, MASKS, st.floats(-4, 7))
@settings(max_examples=80, deadline=None)
def test_is_what_a_plain_comparison_gives(values: np.ndarray, mask: np.ndarray, threshold: float) -> None:
    found = iou_at(values, mask, threshold, scale="raw")
    oracle = oracle_iou(values, mask)
    precision = pixel_precision(values, mask)
    assert precision == pytest.approx(average_precision_score(mask.ravel(), values.ravel()))
    if np.ptp(values) == 0:
        assert found == oracle == 0
        assert precision == pytest.approx(mask.mean())
        return
    above = values >= threshold
    assert found == pytest.approx((above & mask).sum() / (above | mask).sum())
    levels = [((values >= t) & mask).sum() / ((values >= t) | mask).sum() for t in np.unique(values)]
    assert oracle == pytest.approx(max(levels))
    assert oracle >= max(ious(values, mask, np.linspace(-0.2, 1.2, 30))) - 1e-12
    assert pixel_precision(2 * values - 1, mask) == precision


@pytest.mark.parametrize("scale", ["range", "peak", "raw"])
def test_the_mask_itself_is_perfect(scale: str) -> None:
    mask = np.zeros((6, 6), bool)
    mask[1:3, 2:5] = True
    assert iou_at(mask, mask, 0.5, scale=scale) == oracle_iou(mask, mask) == pixel_precision(mask, mask) == 1
    assert iou_at(~mask, mask, 0.5) == 0


def test_rivals() -> None:
    mask = np.zeros((40, 40), bool)
    mask[:10, :20] = True
    assert pixel_precision(random_map((40, 40)), mask) == pytest.approx(mask.mean(), abs=0.02)
    assert oracle_iou(centre_map((40, 40)), mask) < 0.2
    assert oracle_iou(random_map((40, 40)), mask) == pytest.approx(mask.mean(), abs=0.02)


def test_the_threshold_is_the_best_of_all_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    maps, masks = [], []
    for _ in range(12):
        x, y = rng.integers(0, 10, 2)
        mask = np.zeros((16, 16), bool)
        mask[y : y + 6, x : x + 6] = True
        masks.append(mask)
        maps.append(mask + rng.normal(0, 0.4, (16, 16)))
    found = best_threshold(maps, masks)
    means = [np.mean([iou_at(a, b, t) for a, b in zip(maps, masks, strict=True)]) for t in found.candidates]
    np.testing.assert_allclose(found.means, means)
    assert found.iou == pytest.approx(max(means))
    assert found.threshold == found.candidates[int(np.argmax(means))]
    assert (found.n, found.scale) == (12, "range")
    oracle = np.mean([oracle_iou(a, b) for a, b in zip(maps, masks, strict=True)])
    assert found.iou < oracle  # a choice for all is never better than one for each
    raw = best_threshold(maps, masks, scale="raw")
    assert 0.3 < raw.threshold < 0.9


def test_what_the_model_did_not_see_is_not_found() -> None:
    frame = layout((8, 4), 4, "crop")  # columns 2 to 5 are seen
    values, mask = np.array([[1.0, 1.0], [2.0, 2.0]]), np.ones((4, 8), bool)
    assert iou_at(values, mask, 0.0, frame=frame) == pytest.approx(0.5)
    assert oracle_iou(values, mask, frame=frame) == pytest.approx(0.5)
    half = np.zeros((4, 8), bool)
    half[3, :] = True
    # the lowest row first, its four seen pixels right; the other four come with the unseen, 8 of 32
    assert pixel_precision(values, half, frame=frame) == pytest.approx((4 / 8) + (4 / 8) * (8 / 32))
    assert best_threshold([values], [half], frames=[frame]).n == 1


@pytest.mark.parametrize(
    "call,says",
    [
        (lambda: iou_at(np.eye(2), np.ones((3, 3)), 0.5), r"The mask is \[3, 3\] and the picture \[2, 2\]"),
        (lambda: iou_at(np.eye(2), np.zeros((2, 2)), 0.5), "mask is empty"),
        (lambda: iou_at(np.eye(2), np.ones((2, 2)), np.nan), "finite"),
        (lambda: iou_at(np.eye(2), np.ones((2, 2)), 0.5, scale="rang"), "scale='rang'"),
        (lambda: best_threshold([], []), "0 maps"),
        (lambda: best_threshold([np.eye(2)], []), "1 maps, 0 regions"),
        (lambda: pixel_precision([[np.nan]], [[1]]), "NaN"),
    ],
)
def test_refuses(call: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()  # type: ignore[operator]
