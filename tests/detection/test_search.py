import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clipviz.detection.search import best_box, best_boxes, regions, several
from clipviz.errors import InputError

whole = st.integers(-4, 4).map(float)  # few values, so that ties are common
maps = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=whole)
rough = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-10, 10, allow_subnormal=False, width=32),
)


def brute(values):
    """Every rectangle in turn: the largest sum, then fewest cells, topmost, leftmost, flattest."""
    h, w = values.shape
    boxes = [(x0, y0, x1, y1) for y0 in range(h) for y1 in range(y0 + 1, h + 1)
             for x0 in range(w) for x1 in range(x0 + 1, w + 1)]  # fmt: skip
    return min(
        boxes, key=lambda b: (-values[b[1] : b[3], b[0] : b[2]].sum(), (b[2] - b[0]) * (b[3] - b[1]), b[1], b[0], b[3])
    )


@settings(max_examples=300, deadline=None)
@given(maps)
def test_the_best_box_is_brute_forces_own_ties_included(values):
    found = best_box(values)
    x0, y0, x1, y1 = brute(values)
    assert found.box == (x0, y0, x1, y1) and found.total == values[y0:y1, x0:x1].sum()


@settings(max_examples=200, deadline=None)
@given(rough)
def test_no_rectangle_of_rounded_values_sums_to_more(values):
    found = best_box(values)
    x0, y0, x1, y1 = brute(values)
    assert found.x0 < found.x1 and found.y0 < found.y1
    scale = np.abs(values).sum() + 1e-300
    assert abs(found.total - values[y0:y1, x0:x1].sum()) <= 1e-13 * scale
    assert found.total == values[found.y0 : found.y1, found.x0 : found.x1].sum()


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5), elements=whole))
def test_many_maps_at_once_are_each_on_its_own(values):
    boxes, totals = best_boxes(values)
    assert boxes.shape == (*values.shape[:-2], 4) and totals.shape == values.shape[:-2]
    for i in np.ndindex(values.shape[:-2]):
        one = best_box(values[i])
        assert tuple(boxes[i]) == one.box and totals[i] == one.total


def test_sizes_beyond_one_piece_of_work():
    """Long strips, tall ones and large batches pass the pieces that the search is cut into."""
    rng = np.random.default_rng(0)
    for shape in ((130, 9), (9, 130), (150, 140)):
        values = rng.normal(-2, 1, size=shape)
        h, w = shape[0] // 3, shape[1] // 3
        values[h : 2 * h, w : 2 * w] += 4
        planted = (w, h, 2 * w, 2 * h)
        found = best_box(values)
        assert np.abs(np.array(found.box) - planted).max() <= 1, (shape, found)
        assert found.total >= values[h : 2 * h, w : 2 * w].sum()
    batch = rng.integers(-3, 4, size=(3000, 5, 4)).astype(float)
    boxes, _ = best_boxes(batch)
    assert [tuple(boxes[i]) for i in range(0, 3000, 500)] == [brute(batch[i]) for i in range(0, 3000, 500)]
    assert best_boxes(np.zeros((0, 5, 4)))[0].shape == (0, 4)


def test_signs_and_ties():
    assert best_box(np.full((3, 4), -0.1)).box == (0, 0, 1, 1), "never empty, the topmost and leftmost cell"
    assert best_box(np.zeros((70, 70))).box == (0, 0, 1, 1)
    assert best_box(np.full((3, 4), 0.1)).box == (0, 0, 4, 3)
    # 0.1 + 0.2 - 0.3 is not 0 in binary, and is an equal sum all the same
    assert best_box([[0.7, 0.1, 0.2, -0.3, 0.0, 0.0]]).box == (0, 0, 3, 1)
    assert best_box([[1.0, 0.3, -0.1, -0.2, 0.0]]).box == (0, 0, 2, 1)
    assert best_box(np.array([[1, -5, 1]], dtype=np.int8)).total == 1.0


def test_several_boxes_one_after_another():
    values = np.full((8, 10), -1.0)
    values[1:3, 1:4], values[5:8, 6:9], values[7, 0] = 3, 2, 1.5
    found = several(values, k=9)
    assert [f.box for f in found] == [(1, 1, 4, 3), (6, 5, 9, 8), (0, 7, 1, 8)]
    assert [f.total for f in found] == [18, 18, 1.5]
    assert len(several(values, k=1)) == 1 and len(several(values, k=9, least=5)) == 2
    assert several(-np.ones((3, 3)), k=2) == [] and len(several(-np.ones((3, 3)), k=2, least=-9)) == 2
    assert values[1, 1] == 3, "the caller's map stays"


def test_regions_are_connected_by_sides():
    values = np.array([[5, 4, 0, 7], [0, 0, 6, 0], [1, 2, 0, 0]], dtype=float)
    boxes, means = regions(values, 2)
    assert boxes.tolist() == [[3, 0, 4, 1], [2, 1, 3, 2], [0, 0, 2, 1], [1, 2, 2, 3]]
    assert means.tolist() == [7, 6, 4.5, 2]
    # the corner of an L is not in it, and its mean is of the region, not of its box
    boxes, means = regions([[3, 0], [3, 3]], 1)
    assert boxes.tolist() == [[0, 0, 2, 2]] and means.tolist() == [3]
    none, empty = regions(values, 8)
    assert none.shape == (0, 4) and empty.shape == (0,)


@pytest.mark.parametrize("verb", [best_box, best_boxes, lambda v: several(v, 2), lambda v: regions(v, 0)])
def test_what_cannot_be_summed_is_refused(verb):
    with pytest.raises(InputError, match=r"NaN in 1 of 4 cells.*nan_to_num"):
        verb([[0, 1], [np.nan, 2]])
    for bad in ([[0, np.inf]], [[1e308, 1e308]]):
        with pytest.raises(InputError, match="infinite or too large"):
            verb(bad)
    with pytest.raises(InputError, match="shape"):
        verb(np.zeros((0, 3)))
    with pytest.raises(InputError, match="shape"):
        verb(np.zeros(3))
    with pytest.raises(InputError, match="numbers"):
        verb([["a"]])


def test_other_numbers_are_refused():
    for k in (0, 1.5, True):
        with pytest.raises(InputError, match="1 or more"):
            several([[1]], k)
    with pytest.raises(InputError, match="threshold is NaN"):
        regions([[1]], float("nan"))
    with pytest.raises(InputError, match="one such map"):
        best_box(np.zeros((2, 3, 3)))
