import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from clipviz.detection.suppression import overlaps, soft_nms
from clipviz.errors import InputError


def naive_iou(a, b):
    w = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def naive(boxes, scores, labels, method, sigma, iou):
    """Figure 2 of the paper, a box at a time: B the boxes left, D those settled."""
    scores, left, settled = list(map(float, scores)), list(range(len(boxes))), []
    while left:
        m = max(left, key=lambda i: (scores[i], -i))
        left.remove(m)
        settled.append(m)
        for i in list(left):
            if labels[i] != labels[m]:
                continue
            shared = naive_iou(boxes[m], boxes[i])
            if method == "gaussian":
                scores[i] *= math.exp(-shared * shared / sigma)
            elif method == "linear" and shared >= iou:
                scores[i] *= 1 - shared
            elif method == "hard" and shared > iou:
                left.remove(i)
                scores[i] = 0.0
    return scores, sorted(settled, key=lambda i: (-scores[i], i))


@st.composite
def crowds(draw):
    seed, n = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 14))
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, 20, size=(n, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 30, size=(n, 2))], axis=1)
    scores = rng.choice([0.2, 0.5, 0.9], size=n) if draw(st.booleans()) else rng.uniform(0, 1, size=n)
    return boxes, scores, [("cat", "dog", "고양이")[k] for k in rng.integers(3, size=n)]


@settings(max_examples=80, deadline=None)
@given(crowds(), st.sampled_from(["gaussian", "linear", "hard"]), st.floats(0.1, 2), st.floats(0.05, 0.9))
def test_suppression_is_the_papers_loop(crowd, method, sigma, iou):
    new, order = soft_nms(*crowd, method=method, sigma=sigma, iou=iou)
    scores, kept = naive(*crowd, method, sigma, iou)
    np.testing.assert_allclose(new, scores, rtol=1e-12, atol=1e-12)
    if len(set(np.round(scores, 9))) == len(scores):  # equal up to rounding, either may come first
        assert order.tolist() == kept
    assert sorted(order) == sorted(kept) and (np.diff(new[order]) <= 0).all()


@settings(max_examples=50, deadline=None)
@given(crowds(), crowds())
def test_overlaps_are_torchvisions(one, other):
    theirs = box_iou(torch.from_numpy(one[0]), torch.from_numpy(other[0])).numpy()
    np.testing.assert_allclose(overlaps(one[0], other[0]), theirs, atol=1e-14)


def test_labels_do_not_meet_and_one_label_does():
    boxes, scores = [[0, 0, 10, 10]] * 2, [0.9, 0.8]
    for method in ("gaussian", "linear", "hard"):
        apart, order = soft_nms(boxes, scores, ["a", "b"], method=method)
        assert apart.tolist() == scores and order.tolist() == [0, 1]
        met, order = soft_nms(boxes, scores, method=method)
        assert met[0] == 0.9 and met[1] < 0.2 and len(order) == (1 if method == "hard" else 2)
    # classes are kept apart left of the origin too
    assert len(soft_nms([[-9, -9, -5, -5]] * 3, [1, 2, 3], [0, 1, 2], method="hard")[1]) == 3


def test_scores_sink_to_the_floor_and_not_past_it():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [30, 0, 40, 10]]
    new, order = soft_nms(boxes, [-0.1, -0.2, -0.4], floor=-0.5, sigma=0.1)
    assert new[0] == -0.1 and new[2] == -0.4 and -0.5 < new[1] < -0.499
    assert order.tolist() == [0, 2, 1]
    with pytest.raises(InputError, match=r"floor=0, got -0\.4"):
        soft_nms(boxes, [0.1, -0.2, -0.4])


def test_nothing_and_the_points_that_have_no_area():
    for method in ("gaussian", "hard"):
        new, order = soft_nms([], [], [], method=method)
        assert new.shape == order.shape == (0,)
    assert overlaps([[1, 1, 1, 1]], [[1, 1, 1, 1], [0, 0, 2, 2]]).tolist() == [[0, 0]]
    assert overlaps([], [[0, 0, 1, 1]]).shape == (0, 1)


@pytest.mark.parametrize(
    "arguments,options,told",
    [
        (([[0, 0, 1, 1]], [1.0, 2.0]), {}, "as many of each"),
        (([[0, 0, 1, 1]], [1.0], ["a", "b"]), {}, "2 labels"),
        (([[0, 0, 1, 1]], [np.nan]), {}, "finite"),
        (([[0, 0, 1, 1]], [np.inf]), {}, "finite"),
        (([[5, 0, 1, 1]], [1.0]), {}, "corner and a size"),
        (([[0, 0, np.nan, 1]], [1.0]), {}, "Box 0"),
        (([[0, 0, 1]], [1.0]), {}, r"\[n, 4\]"),
        (([[0, 0, 1, 1]], [1.0]), {"method": "gausian"}, "'gaussian'"),
        (([[0, 0, 1, 1]], [1.0]), {"sigma": 0}, "sigma"),
        (([[0, 0, 1, 1]], [1.0]), {"iou": 1.5}, "iou"),
    ],
)
def test_bad_input_says_what_to_pass(arguments, options, told):
    with pytest.raises(InputError, match=told):
        soft_nms(*arguments, **options)
