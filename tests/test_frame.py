import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipviz.errors import InputError
from clipviz.frame import MAX_TILES, Frame, layout
from clipviz.images import VIEWS, prepare

UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
# 1:1 to 8:1, both ways, odd sizes among them
SHAPES = [(300, 300), (301, 200), (200, 301), (400, 200), (199, 600), (801, 100), (100, 800), (40, 61)]


def picture_with(box, shape):
    array = np.zeros((shape[1], shape[0], 3), dtype=np.uint8)
    x0, y0, x1, y1 = box
    array[y0:y1, x0:x1] = 255
    return Image.fromarray(array)


def bounds(mask):
    ys, xs = np.nonzero(mask)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def middle_box(shape):
    """A rectangle inside the central square, off its centre, so that a flip or a swapped axis shows."""
    width, height = shape
    short, cx, cy = min(shape), width // 2, height // 2
    return cx - short // 4, cy - short // 3, cx + short // 3, cy + short // 8


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_planted_rectangle_comes_back(view, shape):
    box = middle_box(shape)
    pixels, frame = prepare(picture_with(box, shape), 96, view, cell=16, fill=0, **UNIT)
    seen = frame.stitch(pixels.mean(axis=1))  # the model's own pixels as the map
    step = np.tile(1 / np.asarray(frame.scale), 2)  # one model pixel, in original pixels
    # through the boxes of the model's pixels
    found = bounds(seen > 0.5) + np.tile(frame.window[:2], 2)
    assert np.all(np.abs(frame.to_original(found) - box) <= step + 1e-6)
    # and through the map
    back = frame.on_image(seen)
    assert back.shape == shape[::-1] and back.dtype == np.float32
    assert np.all(np.abs(bounds(np.nan_to_num(back) > 0.5) - box) <= np.maximum(step, 1) + 1e-6)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_not_seen_is_nan_and_nothing_else_is(view, shape):
    frame = layout(shape, 96, view, 16)
    back = frame.on_image(np.full((6, 6), -0.25))
    centres = [np.arange(n) + 0.5 for n in shape]
    x0, y0, x1, y1 = frame.seen
    inside = ((centres[1] >= y0) & (centres[1] <= y1))[:, None] & ((centres[0] >= x0) & (centres[0] <= x1))[None]
    np.testing.assert_array_equal(np.isfinite(back), inside)
    assert np.all(back[inside] == np.float32(-0.25))  # the mean of a constant is that constant
    if view == "crop":
        assert abs(inside.sum() - min(shape) ** 2) <= 2 * min(shape)
    else:
        assert inside.all()


def test_crop_of_two_to_one_sees_the_middle_square():
    frame = layout((400, 200), 100, "crop")
    assert frame.seen == (100.0, 0.0, 300.0, 200.0)
    back = frame.on_image(np.ones((7, 7)))
    assert np.isnan(back[:, :100]).all() and np.isnan(back[:, 300:]).all() and (back[:, 100:300] == 1).all()


def test_values_between_cell_centres_are_linear_and_clamped_at_the_border():
    frame = layout((80, 80), 8, "crop")
    back = frame.on_image([[0.0, 1.0], [-2.0, -1.0]])
    # cell centres lie at 20 and 60
    np.testing.assert_allclose(back[0, [0, 19, 60, 79]], [0, 0, 1, 1])
    np.testing.assert_allclose(back[0, 20:60], (np.arange(20, 60) + 0.5 - 20) / 40, atol=1e-6)
    np.testing.assert_allclose(back[[0, 79], 0], [0, -2])
    assert back.min() == -2 and back.max() == 1


def test_a_ramp_over_tiles_is_stitched_without_a_seam():
    frame = layout((800, 100), 96, "tiles", 16)
    assert len(frame.tiles) > 2
    ramp = np.arange(frame.canvas[0] // 16, dtype=np.float32)
    maps = [np.tile(ramp[left // 16 : left // 16 + 6], (6, 1)) for left, _ in frame.tiles]
    np.testing.assert_array_equal(frame.stitch(maps), np.tile(ramp, (6, 1)))
    # where tiles disagree the mean stands
    biased = frame.stitch([m * 0 + i for i, m in enumerate(maps)])
    shared = frame.tiles[1][0] // 16
    assert biased[0, 0] == 0 and biased[0, shared] == 0.5


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([(32, 8), (224, 32), (336, 14), (64, 64)]), st.data()
)
def test_tiles_begin_at_cells_overlap_and_cover_all(width, height, model, data):
    size, cell = model
    short, long = sorted((width, height))
    if long * size // short > MAX_TILES * size // 2:
        return
    frame = layout((width, height), size, "tiles", cell)
    x0, y0, x1, y1 = frame.window
    assert (x0, y0) == (0, 0) and (x1, y1) == frame.canvas
    starts = [max(tile) for tile in frame.tiles]
    assert all(at % cell == 0 for at in starts) and starts == sorted(set(starts))
    gaps = np.diff(starts)
    assert np.all(gaps <= size) and (not len(gaps) or gaps.max() - gaps.min() <= cell)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.sampled_from(["crop", "pad", "squash"]),
    st.sampled_from([7, 64, 224, 336]),
    st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 4), min_size=1, max_size=4),
)
def test_there_and_back(width, height, view, size, boxes):
    frame = layout((width, height), size, view)
    np.testing.assert_allclose(frame.to_original(frame.to_canvas(boxes)), boxes, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(frame.to_canvas(frame.to_original(boxes)), boxes, rtol=1e-9, atol=1e-6)
    assert Frame.from_dict(json.loads(json.dumps(frame.to_dict()))) == frame
    # the picture's corners are the corners of the resized picture
    inner = np.diff(frame.to_canvas([[0, 0], [width, height]]), axis=0)[0]
    np.testing.assert_allclose(inner, frame.inner, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.sampled_from(["crop", "pad", "squash"]), st.integers(0, 2**32 - 1))
def test_no_value_leaves_the_range_of_the_map(width, height, view, seed):
    values = np.random.default_rng(seed).normal(size=(7, 5)).astype(np.float32)
    back = layout((width, height), 35, view).on_image(values)
    seen = back[np.isfinite(back)]
    assert len(seen) and values.min() - 1e-6 <= seen.min() and seen.max() <= values.max() + 1e-6


def test_points_and_clipping():
    frame = layout((100, 50), 50, "pad")
    assert frame.to_canvas([0, 0]).tolist() == [0, 12]
    assert frame.to_original([[0, 0], [50, 50]]).tolist() == [[0, -24], [100, 76]]
    assert frame.to_original([[0, 0], [50, 50]], clip=True).tolist() == [[0, 0], [100, 50]]
    assert frame.seen == (0, 0, 100, 50)


def test_a_map_of_a_large_photograph():
    back = layout((6000, 4000), 224, "crop").on_image(np.eye(7))
    assert back.shape == (4000, 6000) and np.isnan(back[:, :999]).all() and back[5, 1005] == 1


@pytest.mark.parametrize("shape", [(3,), (1, 3, 3), (0, 4)])
def test_a_map_of_the_wrong_rank_is_refused(shape):
    with pytest.raises(InputError, match="stitch"):
        layout((20, 20), 8, "crop").on_image(np.zeros(shape))


def test_stitch_refuses_other_counts_and_grids():
    frame = layout((300, 100), 96, "tiles", 16)
    with pytest.raises(InputError, match="all tiles"):
        frame.stitch(np.zeros((1, 6, 6)))
    with pytest.raises(InputError, match="begin at a cell"):
        frame.stitch(np.zeros((len(frame.tiles), 5, 5)))
    single = np.random.default_rng(0).normal(size=(1, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(layout((30, 30), 96, "crop").stitch(single), single[0])


@pytest.mark.parametrize("xy", [3.0, [1, 2, 3], [[1], [2]]])
def test_points_of_another_shape_are_refused(xy):
    with pytest.raises(InputError, match="last axis"):
        layout((20, 20), 8, "crop").to_canvas(xy)


@pytest.mark.parametrize("cell", [None, 0, 10])
def test_tiles_need_a_cell_that_divides_the_square(cell):
    with pytest.raises(InputError, match="cell="):
        layout((300, 100), 96, "tiles", cell)


def test_a_ribbon_has_too_many_tiles():
    with pytest.raises(InputError, match=f"at most {MAX_TILES}"):
        layout((100_000, 10), 96, "tiles", 16)


@pytest.mark.parametrize("data", [{}, None, "crop", {**layout((9, 9), 4, "crop").to_dict(), "extra": 1}])
def test_from_dict_refuses_other_keys(data):
    with pytest.raises(InputError, match="keys picture, scale"):
        Frame.from_dict(data)


@pytest.mark.parametrize("change", [{"tiles": []}, {"view": "zoom"}, {"scale": [0, 1]}, {"picture": 3}, {"size": "x"}])
def test_from_dict_refuses_bad_values(change):
    with pytest.raises(InputError):
        Frame.from_dict({**layout((9, 9), 4, "crop").to_dict(), **change})
