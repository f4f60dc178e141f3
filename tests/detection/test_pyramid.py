import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import clipviz
from clipviz.detection.placing import to_pixels
from clipviz.detection.pyramid import cut, level, pyramid
from clipviz.detection.search import best_box
from clipviz.errors import InputError
from clipviz.frame import layout
from clipviz.images import prepare

SIZE, CELL = 56, 8


@pytest.fixture(scope="module")
def tiny():
    return clipviz.load()


def brightness(picture, frame, model, cell):
    """The mean of each cell of a level, 0 to 1: what a model would score, from the pixels that it would be given."""
    maps = []
    for _, pixels in cut(picture, frame, model, at_once=7):
        unit = (pixels * np.reshape(model.std, (3, 1, 1)) + np.reshape(model.mean, (3, 1, 1))).mean(1)
        side = frame.size // cell
        maps.append(unit.reshape(-1, side, cell, side, cell).mean((2, 4)))
    return frame.stitch(np.concatenate(maps))


def check_planted(shape, frame, model, corner, share):
    """A bright rectangle, two cells or more wide at this level, comes back within one."""
    step = CELL / np.asarray(frame.scale)
    room = np.maximum(np.minimum(shape, np.ceil(2 * step)), np.floor(share * np.asarray(shape)))
    low = np.floor(np.asarray(corner) * (shape - room))
    box = np.concatenate([low, low + room]).astype(int)
    picture = Image.new("RGB", shape)
    picture.paste((255, 255, 255), tuple(map(int, box)))
    values = brightness(picture, frame, model, CELL)
    found = to_pixels(best_box(values - values.max() / 2).box, frame, values.shape)
    assert (np.abs(found - box) <= np.tile(step, 2) + 1e-6).all(), (frame.scale, found, box)


share = st.floats(0, 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 500), st.integers(8, 500), st.tuples(share, share), share)
def test_a_planted_rectangle_comes_back_at_every_level(tiny, width, height, corner, part):
    if max(width, height) > 40 * min(width, height):
        return
    for frame in pyramid((width, height), SIZE, CELL).frames:
        check_planted((width, height), frame, tiny, corner, part)


def test_a_planted_rectangle_in_a_large_photograph(tiny):
    frames = pyramid((6000, 4000), SIZE, CELL, most=1200).frames
    assert len(frames) == 5 and len(frames[-1].tiles) > 500
    check_planted((6000, 4000), frames[-1], tiny, (0.83, 0.41), 0.02)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.sampled_from([(32, 8), (224, 32), (224, 16), (336, 14), (64, 16)]),
    st.none() | st.floats(1, 500),
)
def test_levels_cover_the_picture_with_squares_at_whole_cells(width, height, model, smallest):
    size, cell = model
    if max(width, height) > 30 * min(width, height):
        return
    done = pyramid((width, height), size, cell, smallest=smallest)
    assert 1 <= done.tiles <= 256 and done.tiles == sum(len(frame.tiles) for frame in done.frames)
    first, scales = done.frames[0], [min(frame.scale) for frame in done.frames]
    assert min(first.canvas) == size
    assert abs(max(first.canvas) - max(layout((width, height), size, "tiles", cell).canvas)) <= cell
    for frame in done.frames:
        assert frame.window == (0, 0, *frame.canvas) and frame.inner == frame.canvas
        columns, rows = ({tile[axis] for tile in frame.tiles} for axis in (0, 1))
        assert set(frame.tiles) == {(x, y) for x in columns for y in rows} and len(set(frame.tiles)) == len(frame.tiles)
        for starts in (sorted(columns), sorted(rows)):
            assert all(at % cell == 0 for at in starts)
            # a quarter is shared, to the rounding of one cell
            assert all(b - a <= max(cell, math.ceil(size * 3 / 4 / cell) * cell) for a, b in itertools.pairwise(starts))
        if frame is not first:
            assert max(frame.scale) <= 1 and frame.canvas[0] <= width and frame.canvas[1] <= height
            assert abs(frame.scale[0] / frame.scale[1] - 1) <= cell / min(frame.canvas)
    assert all(1 <= b / a < 3.2 for a, b in itertools.pairwise(scales))
    if not done.notes and smallest is None:  # the picture's own pixels were reached, or nearly
        assert scales[-1] > 0.6


def test_levels_end_where_the_smallest_thing_covers_two_cells():
    every, coarse = pyramid((2000, 1500), 224, 32), pyramid((2000, 1500), 224, 32, smallest=200)
    assert [frame.canvas for frame in every.frames] == [(288, 224), (576, 416), (1056, 800), (1984, 1472)]
    assert every.tiles == 157 and every.notes == ()
    assert [frame.canvas for frame in coarse.frames] == [(288, 224), (640, 480)] and coarse.notes == ()
    assert len(pyramid((2000, 1500), 224, 32, smallest=1000).frames) == 1
    assert len(pyramid((8, 8), 224, 32).frames) == 1, "a small picture is enlarged once"


def test_a_bound_on_the_squares_is_told():
    done = pyramid((2000, 1500), 224, 32, most=60)
    assert [frame.canvas for frame in done.frames] == [(288, 224), (576, 416), (1056, 800)] and done.tiles == 49
    assert len(done.notes) == 1 and "more than 60 squares" in done.notes[0] and "under 121 pixels" in done.notes[0]
    # the last level is as fine as fits, where that is worth it
    large = pyramid((6000, 4000), 224, 32)
    assert [frame.canvas for frame in large.frames] == [(320, 224), (704, 448), (1408, 960), (2624, 1760)]
    assert large.tiles == 244 and "at 0.44 of its size" in large.notes[0]
    assert pyramid((127, 127), 64, 64).notes == (), "no level left to see, and none left out"


def test_stitching_joins_a_slope_without_a_seam():
    frame = level((700, 500), 96, 16, 0.7)
    columns, rows = frame.canvas[0] // 16, frame.canvas[1] // 16
    whole = np.arange(rows)[:, None] * 100 + np.arange(columns)
    maps = [whole[top // 16 : top // 16 + 6, left // 16 : left // 16 + 6] for left, top in frame.tiles]
    assert len(maps) > 12
    np.testing.assert_array_equal(frame.stitch(maps), whole)


def test_cut_gives_the_pixels_of_prepare_a_few_at_a_time(tiny):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, size=(90, 400, 3), dtype=np.uint8))
    whole, tiles = prepare(picture, 64, "tiles", mean=tiny.mean, std=tiny.std, cell=16)
    frame = level(picture.size, 64, 16, 64 / 90)
    assert frame == tiles and len(frame.tiles) == 6
    pieces = list(cut(picture, frame, tiny, at_once=4))
    assert [which for which, _ in pieces] == [slice(0, 4), slice(4, 6)]
    np.testing.assert_array_equal(np.concatenate([pixels for _, pixels in pieces]), whole)
    # as `Model.prepare` sees it, whatever the view
    for view in ("crop", "pad", "squash"):
        pixels, frame = tiny.prepare(picture, view)
        np.testing.assert_array_equal(next(cut(picture, frame, tiny))[1], pixels.numpy())


def test_what_cannot_be_done_is_refused(tiny):
    with pytest.raises(InputError, match="does not divide"):
        level((300, 300), 224, 30, 1)
    with pytest.raises(InputError, match=r"smaller than a square of 224; give 0\.7467 or more"):
        level((300, 400), 224, 32, 0.5)
    with pytest.raises(InputError, match="at most 256"):
        level((6000, 4000), 224, 32, 1)
    with pytest.raises(InputError, match="at most 256"):
        pyramid((100_000, 10), 224, 32)
    for scale in (0, math.nan, math.inf):
        with pytest.raises(InputError, match="above 0"):
            level((300, 400), 224, 32, scale)
    with pytest.raises(InputError, match="smallest"):
        pyramid((300, 400), 224, 32, smallest=0)
    picture, frame = Image.new("RGB", (300, 400)), level((400, 300), 224, 32, 1)
    with pytest.raises(InputError, match="upright"):
        next(cut(picture, frame, tiny))
    with pytest.raises(InputError, match="at_once"):
        next(cut(picture.transpose(Image.Transpose.ROTATE_90), frame, tiny, at_once=0))
