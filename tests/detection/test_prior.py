"""Where things tend to be: fitting, choosing and keeping a prior, against loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clipviz.detection.prior import SIDE, WEIGHT, BoxPrior, rectangles
from clipviz.errors import DataError, InputError


def iou(a: np.ndarray, b: np.ndarray) -> float:
    wide, high = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    both = max(wide, 0) * max(high, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_every_rectangle_once() -> None:
    assert rectangles().shape == (1296, 4) and len({*map(tuple, rectangles().tolist())}) == 1296
    assert rectangles().min() == 0 and rectangles().max() == SIDE


def test_fit_counts_by_the_eighth_power_of_the_overlap() -> None:
    boxes, sizes = np.array([[3, 4, 20, 31], [0, 0, 64, 32.0]]), np.array([[64, 32], [64, 32]])
    expected = np.zeros(1296)
    for box, (width, height) in zip(boxes, sizes, strict=True):
        cells = box / np.array([width, height, width, height]) * SIDE
        near = np.array([iou(cells, other) ** 8 for other in rectangles()])
        expected += near / near.sum()
    expected += 1e-6 * expected.mean()  # no rectangle is impossible
    found = BoxPrior.fit(boxes, (64, 32), "two")
    np.testing.assert_allclose(found.shares, expected / expected.sum(), rtol=1e-9)
    assert (found.n, found.about) == (2, "two") and repr(found) == "BoxPrior(n=2, about='two')"


def test_choose_takes_the_box_that_is_most_probably_right() -> None:
    prior = BoxPrior.fit([[8, 8, 40, 40], [24, 16, 64, 64]], (64, 64))
    evidence = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    centred, gains = evidence - evidence.mean(), []
    for x0, y0, x1, y1 in rectangles().astype(int):
        inside = np.zeros((SIDE, SIDE), bool)
        inside[y0:y1, x0:x1] = True
        if inside.all():
            gains.append(0.0)
            continue
        levels = np.where(inside, centred[inside].mean(), centred[~inside].mean())
        explained = 1 - ((centred - levels) ** 2).mean() / centred.var()
        gains.append(explained * np.sign(centred[inside].sum()))
    posterior = prior.shares * np.exp(WEIGHT * np.array(gains))
    posterior /= posterior.sum()
    near = np.array([[iou(a, b) >= 0.5 for b in rectangles()] for a in rectangles()[::60]])  # some rows of all
    boxes, worth = prior.choose(evidence, k=2)
    assert len(boxes) == 2 and worth[0] >= (near @ posterior).max() - 1e-12 and worth[0] > worth[1] > 0
    for box, mass in zip(boxes, worth, strict=True):
        right = np.array([iou(box * SIDE, other) >= 0.5 for other in rectangles()])
        assert posterior[right].sum() == pytest.approx(mass, rel=1e-9)
        posterior = np.where(right, 0, posterior)  # what one box stands for is no reason for the next


def test_the_evidence_moves_the_box_and_a_map_without_any_leaves_it() -> None:
    prior = BoxPrior.fit([[0, 0, 32, 32], [32, 32, 64, 64]], (64, 64))
    for at in (0, 4):
        evidence = np.zeros((16, 16))
        evidence[2 * at : 2 * at + 8, 2 * at : 2 * at + 8] = 1
        box = prior.choose(evidence)[0][0] * SIDE
        assert iou(box, np.array([at, at, at + 4, at + 4])) >= 0.5
    flat = prior.choose(np.full((4, 4), 3.0))[0][0]
    assert np.isfinite(flat).all() and (flat[:2] < flat[2:]).all()


def test_a_label_has_its_own_boxes_and_some_of_all() -> None:
    boxes = [[0, 0, 16, 16]] * 200 + [[32, 32, 64, 64]] * 200
    prior = BoxPrior.fit(boxes, (64, 64), labels=["left"] * 200 + ["right"] * 200)
    flat = np.zeros((4, 4))
    for label, box in (("left", [0, 0, 2, 2]), ("right", [4, 4, 8, 8])):
        assert iou(prior.choose(flat, label=label)[0][0] * SIDE, np.array(box)) >= 0.5
    np.testing.assert_array_equal(prior.choose(flat, label="other")[0], prior.choose(flat)[0])
    single = BoxPrior.fit(boxes[:200], (64, 64)).shares
    mixed = 200 * single + 20 * prior.shares  # 20 boxes' worth of all
    np.testing.assert_allclose(prior.of_label["left"], mixed / mixed.sum(), rtol=1e-4, atol=1e-9)
    with pytest.raises(InputError, match="pass one for each box"):
        BoxPrior.fit(boxes, (64, 64), labels=["left"])


def test_there_and_back(tmp_path: Path) -> None:
    prior = BoxPrior.fit([[8, 8, 40, 40]], (64, 64), "one", labels=["a dog"])
    again = BoxPrior.load(prior.save(tmp_path / "prior.json"))
    np.testing.assert_array_equal(again.shares, prior.shares)
    np.testing.assert_array_equal(again.of_label["a dog"], prior.of_label["a dog"])
    assert again.provenance == prior.provenance != BoxPrior.fit([[9, 8, 40, 40]], (64, 64), "one").provenance


@pytest.mark.parametrize(
    ("boxes", "sizes"),
    [([], (64, 64)), ([[8, 8, 4, 40]], (64, 64)), ([[8, 8, 40, float("nan")]], (64, 64)), ([[0, 0, 1, 1]], (0, 64))],
)
def test_boxes_that_are_none(boxes: list, sizes: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"pass at least some hundred|x1 above x0 and y1 above y0"):
        BoxPrior.fit(boxes, sizes)


def test_a_prior_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"use BoxPrior\.fit"):
        BoxPrior(np.ones(3), 1)
    with pytest.raises(InputError, match="sum to 0"):
        BoxPrior(np.zeros(1296), 1)
    (tmp_path / "x.json").write_text('{"format": "another"}')
    for path in (tmp_path / "x.json", tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match=r"load what BoxPrior\.save wrote"):
            BoxPrior.load(path)
