"""Known pixels of the overlay."""

from __future__ import annotations

import colorsys
import time

import numpy as np
import pytest
from PIL import Image

from clipviz.errors import InputError
from clipviz.plots import rgba

GREY = np.full((40, 60, 3), 128, np.uint8)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def hue(pixel: np.ndarray) -> float:
    return colorsys.rgb_to_hsv(*(pixel / 255))[0] * 360


def test_a_zero_map_leaves_the_picture_as_it_is(noise: np.ndarray) -> None:
    assert np.array_equal(rgba(noise, np.zeros((40, 60))), noise)
    assert np.array_equal(rgba(noise, np.zeros((40, 60)), limits=1), noise)


def test_no_strength_leaves_the_picture_as_it_is(noise: np.ndarray) -> None:
    assert np.array_equal(rgba(noise, np.ones((40, 60)), alpha=0), noise)


def test_the_picture_is_untouched_where_the_map_is_zero(noise: np.ndarray) -> None:
    values = np.zeros((40, 60))
    values[:5, :5] = 1
    out = rgba(noise, values)
    assert np.array_equal(out[5:], noise[5:])
    assert (out[:5, :5] != noise[:5, :5]).any()


@pytest.mark.parametrize("magnitude", [0.1, 0.3, 1.0])
def test_positive_is_warm_and_negative_is_cool(magnitude: float) -> None:
    values = np.zeros((40, 60))
    values[0, 0], values[0, 1], values[0, 2] = magnitude, -magnitude, 1
    out = rgba(GREY, values, limits=1)
    warm, cool = out[0, 0].astype(int), out[0, 1].astype(int)
    assert warm[0] > warm[2] and cool[2] > cool[0]
    assert 170 < hue(cool) < 260
    assert hue(warm) < 65 or hue(warm) > 330


def test_signs_differ_on_every_ground() -> None:
    values = np.array([[1.0, -1.0]])
    for ground in ([0, 0, 0], [255, 255, 255], [200, 90, 30], [60, 120, 220], [30, 120, 40]):
        warm, cool = rgba(np.full((1, 2, 3), ground, np.uint8), values)[0].astype(int)
        assert np.abs(warm - cool).max() > 90
        assert warm[0] > warm[2] and cool[2] > cool[0]


def test_unseen_is_grey_hatched_and_darker_than_a_bright_picture() -> None:
    values = np.zeros((40, 60))
    values[:, 30:] = np.nan
    sky = np.full((40, 60, 3), (140, 190, 255), np.uint8)
    out = rgba(sky, values)
    unseen = out[:, 30:].astype(int)
    assert np.array_equal(out[:, :30], sky[:, :30])
    assert (unseen[..., 0] == unseen[..., 1]).all() and (unseen[..., 1] == unseen[..., 2]).all()
    assert unseen.mean() < 0.85 * sky.mean()
    assert len(np.unique(unseen)) == 2  # ground and hatching


def test_limits_fix_the_colours_across_pictures() -> None:
    small, large = np.zeros((40, 60)), np.zeros((40, 60))
    small[0, 0] = large[0, 0] = 0.5
    large[0, 1] = 1.0
    shared = [rgba(GREY, v, limits=1.0)[0, 0] for v in (small, large)]
    assert np.array_equal(*shared)
    own = [rgba(GREY, v)[0, 0] for v in (small, large)]
    assert not np.array_equal(*own)
    beyond = rgba(GREY, large * 9, limits=1.0)
    assert np.array_equal(beyond[0, 0], beyond[0, 1])  # both at the end of the scale


def test_light_and_shade_of_the_picture_stay_under_the_strongest_colour() -> None:
    ground = GREY.copy()
    ground[::2] = 220
    out = rgba(ground, np.ones((40, 60))).astype(int).sum(-1)
    assert (out[0] > out[1] + 30).all()


def test_pictures_of_every_kind_are_taken() -> None:
    zero = np.zeros((40, 60))
    for picture in (
        Image.fromarray(GREY), GREY, GREY[..., 0], GREY / 255.0, Image.fromarray(GREY).convert("L"),
        np.dstack([GREY, np.full((40, 60), 255, np.uint8)]),
    ):  # fmt: skip
        assert np.array_equal(rgba(picture, zero), GREY)
    clear = np.zeros((40, 60, 4), np.uint8)
    assert (rgba(clear, zero) == 255).all()  # transparent is white


@pytest.mark.parametrize(
    ("picture", "values", "words"),
    [
        (GREY, np.zeros((60, 40)), "does not fit"),
        (GREY, np.zeros((40, 60, 1)), "does not fit"),
        (GREY[None], np.zeros((40, 60)), "shape"),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4)), "shape"),
        (GREY.astype(float), np.zeros((40, 60)), "from 0 to 1"),
        (np.full((40, 60), np.nan), np.zeros((40, 60)), "from 0 to 1"),
        (GREY, np.full((40, 60), "x"), "real numbers"),
        (GREY, np.full((40, 60), np.inf), "infinite"),
    ],
)
def test_what_does_not_fit_is_refused(picture: np.ndarray, values: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        rgba(picture, values)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_is_a_strength(alpha: float) -> None:
    with pytest.raises(InputError, match="alpha="):
        rgba(GREY, np.zeros((40, 60)), alpha)


def test_quick_enough_for_a_slider() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    values = np.random.default_rng(1).normal(size=(500, 500))
    values[:, :60] = np.nan
    best = 9.0
    for _ in range(5):
        start = time.process_time()
        rgba(picture, values)
        best = min(best, time.process_time() - start)
    assert best < 0.05
