import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipviz.detection.placing import to_cells, to_pixels, whole_cells
from clipviz.detection.search import best_box
from clipviz.errors import InputError
from clipviz.frame import layout
from clipviz.images import VIEWS, open_image, prepare

SIZE, CELL = 56, 8  # a stub model of 7 x 7 cells: the brightness of a cell is its score
UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "fill": 0, "cell": CELL}
# How an upright picture is stored under each EXIF orientation.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stub_map(pixels, frame):
    """Mean brightness of each cell over the window, from the pixels of all tiles."""
    n, side = len(pixels), frame.size // CELL
    return frame.stitch(pixels.mean(1).reshape(n, side, CELL, side, CELL).mean((2, 4)))


def patch(frame):
    """(width, height) of a cell in original pixels."""
    return CELL / np.asarray(frame.scale)


def plant(frame, where):
    """A box of whole pixels in what the model saw, two patches or more wide (all of it where that is not there)."""
    box = np.empty(4, dtype=int)
    for axis, (at, share) in enumerate(where):
        start, stop = np.ceil(frame.seen[axis]), np.floor(frame.seen[axis + 2])
        least = min(stop - start, np.ceil(2 * patch(frame)[axis]))
        length = least + np.floor(share * (stop - start - least))
        first = start + np.floor(at * (stop - start - length))
        box[axis], box[axis + 2] = first, first + length
    return box


def painted(shape, box):
    picture = Image.new("RGB", shape)
    picture.paste((255, 255, 255), tuple(map(int, box)))
    return picture


def found_in(values, frame):
    """The best box of a map whose values are bright or dark, halfway between them being 0."""
    return to_pixels(best_box(values - values.max() / 2).box, frame, values.shape)


def through_exif(picture, orientation):
    turn = STORED[orientation]
    stored = picture if turn is None else picture.transpose(turn)
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    stored.save(stream, "PNG", exif=exif)
    return stream.getvalue()


share = st.floats(0, 1)
places = st.tuples(st.tuples(share, share), st.tuples(share, share))


@settings(max_examples=80, deadline=None)
@given(st.integers(8, 400), st.integers(8, 400), st.sampled_from(VIEWS), places, st.sampled_from(list(STORED)))
def test_a_planted_rectangle_comes_back_within_one_patch(width, height, view, where, orientation):
    if view == "tiles" and max(width, height) > 40 * min(width, height):
        return
    box = plant(layout((width, height), SIZE, view, CELL), where)
    picture = open_image(through_exif(painted((width, height), box), orientation))
    assert picture.size == (width, height)
    pixels, frame = prepare(picture, SIZE, view, **UNIT)
    found = found_in(stub_map(pixels, frame), frame)
    assert (np.abs(found - box) <= np.tile(patch(frame), 2) + 1e-6).all(), (found, box)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(8, 8), (6000, 4000), (300, 6000)])
def test_the_smallest_and_the_largest(shape, view):
    box = plant(layout(shape, SIZE, view, CELL), ((0.8, 0.2), (0.3, 0.1)))
    pixels, frame = prepare(painted(shape, box), SIZE, view, **UNIT)
    found = found_in(stub_map(pixels, frame), frame)
    assert (np.abs(found - box) <= np.tile(patch(frame), 2) + 1e-6).all(), (found, box)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(90, 61), (61, 90), (64, 64)])
def test_flipping_picture_and_map_flips_the_boxes(view, shape):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, size=(9, 9, 3), dtype=np.uint8)
    picture = Image.fromarray(array).resize(shape, Image.Resampling.BICUBIC)
    pixels, frame = prepare(picture, SIZE, view, **UNIT)
    values = stub_map(pixels, frame)
    box = found_in(values, frame)
    pixel = np.tile(
        1 / np.asarray(frame.scale), 2
    )  # squares are placed at whole pixels: the middle may be half one off
    off = 0 if view in ("squash", "tiles") else pixel
    for axis, turn in ((0, Image.Transpose.FLIP_LEFT_RIGHT), (1, Image.Transpose.FLIP_TOP_BOTTOM)):
        turned, other = prepare(picture.transpose(turn), SIZE, view, **UNIT)
        assert other == frame
        mirrored = box.copy()
        mirrored[[axis, axis + 2]] = shape[axis] - box[[axis + 2, axis]]
        flipped = np.flip(values, axis=1 - axis)
        assert (np.abs(found_in(flipped, frame) - mirrored) <= off + 1e-6).all()
        if view in ("squash", "tiles"):
            np.testing.assert_allclose(stub_map(turned, frame), flipped, atol=0.02)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.sampled_from(["crop", "pad", "squash"]), st.integers(0, 2**32 - 1))
def test_boxes_lie_in_the_picture_and_have_an_area(width, height, view, seed):
    """Any box in cells, in the padding and beyond the map too; and there and back for those in the picture."""
    frame, grid = layout((width, height), SIZE, view), (7, 5)
    corners = np.sort(np.random.default_rng(seed).uniform(-2, 9, size=(20, 2, 2)).round(1), axis=1)
    cells = corners.reshape(20, 4)
    boxes = to_pixels(cells, frame, grid)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (width, height)).all() and (sides > 0).all()
    cell = np.array([SIZE / 5, SIZE / 7]) / frame.scale
    assert (sides >= np.minimum(1, cell) - 1e-9).all()
    x0, y0, x1, y1 = to_cells([0, 0, width, height], frame, grid)
    inside = (cells >= [x0, y0, x0, y0]).all(1) & (cells <= [x1, y1, x1, y1]).all(1) & (sides > 1.001).all(1)
    np.testing.assert_allclose(to_cells(boxes[inside], frame, grid), cells[inside], atol=1e-6)


def test_the_padding_gives_a_sliver_at_the_nearest_border():
    frame = layout((100, 50), 50, "pad")  # the picture lies at y from 12 to 37
    assert to_pixels([[0, 0, 1, 1], [4, 4, 5, 5]], frame, (5, 5)).tolist() == [[0, 0, 20, 1], [80, 49, 100, 50]]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(VIEWS))
def test_whole_cells_are_those_with_their_centres_in_the_box(seed, view):
    frame, grid = layout((150, 100), SIZE, view, CELL), (6, 9)
    rng = np.random.default_rng(seed)
    boxes = np.sort(rng.uniform(-30, 170, size=(20, 2, 2)), axis=1).reshape(20, 4)
    boxes[:10, 2:] = boxes[:10, :2] + rng.uniform(0, 4, size=(10, 2))
    for box, (x0, y0, x1, y1) in zip(boxes, whole_cells(boxes, frame, grid), strict=True):
        assert 0 <= x0 < x1 <= 9 and 0 <= y0 < y1 <= 6
        near = to_cells(box, frame, grid)
        for low, high, count, first, last in ((near[0], near[2], 9, x0, x1), (near[1], near[3], 6, y0, y1)):
            centres = [k for k in range(count) if low <= k + 0.5 < high]
            middle = min(max(int(np.floor((low + high) / 2)), 0), count - 1)
            assert list(range(first, last)) == (centres or [middle])


def test_what_is_no_box_is_refused():
    frame = layout((100, 50), 50, "crop")
    for bad in ([0, 0, 1], [[0, 0, np.nan, 1]], [[3, 0, 1, 1]]):
        for verb in (to_pixels, to_cells, whole_cells):
            with pytest.raises(InputError, match="Boxes"):
                verb(bad, frame, (7, 7))
    with pytest.raises(InputError, match="rows, columns"):
        to_pixels([0, 0, 1, 1], frame, (0, 7))
    assert to_pixels(np.zeros((0, 4)), frame, (7, 7)).shape == (0, 4)
