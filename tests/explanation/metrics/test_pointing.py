"""Pointing and mass: answers computed by hand, oracles, rivals and maps that say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import clipviz
from clipviz.errors import InputError
from clipviz.explanation.metrics import centre_map, mass_inside, peak_of, points_into, random_map
from clipviz.frame import layout
from clipviz.model import Model

MAPS = arrays(np.float64, (4, 5), elements=st.integers(-5, 5).map(float))


def test_by_hand() -> None:
    values = np.zeros((3, 4))
    values[1, 2] = 2
    assert peak_of(values) == (2, 1)
    assert points_into(values, (2, 1, 3, 2))
    assert not points_into(values, (0, 0, 2, 3))  # x1 is behind the last pixel
    assert not points_into(values, (0, 0, 1, 3), tolerance=1.9)
    assert points_into(values, (0, 0, 1, 3), tolerance=2)
    assert not points_into(values, (0, 0, 1, 1), tolerance=2)  # sqrt(5) away, not 2


def test_the_peak_is_that_of_the_map_on_the_picture() -> None:
    """A 2 x 2 map over a picture of 8 x 4: the wide picture is cropped to its middle square."""
    frame = layout((8, 4), 4, "crop")
    values = np.array([[0.0, 0.0], [0.0, 1.0]])
    for seed in range(20):
        x, y = peak_of(values, frame=frame, seed=seed) or (-1, -1)
        # the corner cell is flat from its centre, pixel 3 of 4, to the border
        assert (x, y) == (5, 3)
    assert points_into(values, (5, 3, 6, 4), frame=frame)
    assert not points_into(values, (6, 0, 8, 4), frame=frame)


def test_inside_the_picture_it_is_the_peak_of_the_heatmap(model: Model, picture: Image.Image) -> None:
    heatmap = clipviz.gradcam(picture, "a red circle", model=model)
    width, height = picture.size
    top = heatmap.on_image() == np.nanmax(heatmap.on_image())
    peak = peak_of(heatmap.values, frame=heatmap.frame)
    assert peak is not None
    assert top[peak[1], peak[0]]
    x, y = heatmap.peak()
    assert points_into(heatmap.values, top, frame=heatmap.frame) and top[y, x]
    with pytest.raises(InputError, match="The mask is"):
        points_into(heatmap.values, np.ones((width, height), bool), frame=heatmap.frame)


def test_equal_peaks_are_drawn_by_seed() -> None:
    values = np.array([[1.0, 0.0], [0.0, 1.0]])
    hits = [points_into(values, (0, 0, 1, 1), seed=(0, i)) for i in range(400)]
    assert 160 < sum(hits) < 240
    assert hits == [points_into(values, (0, 0, 1, 1), seed=(0, i)) for i in range(400)]


@pytest.mark.parametrize("level", [0.0, 0.3, -1.0])
def test_a_constant_map_points_nowhere(level: float) -> None:
    flat = np.full((3, 3), level)
    assert peak_of(flat) is None
    assert points_into(flat, (0, 0, 3, 3)) is False
    mass = mass_inside(flat, (0, 0, 3, 1))
    assert mass.constant
    if level > 0:
        assert (mass.inside, mass.gain) == pytest.approx((1 / 3, 1))
    else:
        assert np.isnan(mass.inside) and mass.area == pytest.approx(1 / 3)


def test_mass_by_hand() -> None:
    values = [[-4.0, 1.0, 1.0], [2.0, 0.0, 4.0]]
    mass = mass_inside(values, np.array([[1, 1, 0], [0, 0, 1]]))
    assert (mass.inside, mass.area, mass.constant) == (5 / 8, 1 / 2, False)
    assert mass.gain == 5 / 4


def test_mass_counts_what_the_model_saw() -> None:
    frame = layout((8, 4), 4, "crop")  # columns 2 to 5 are seen
    left = mass_inside(np.ones((2, 2)), (0, 0, 4, 4), frame=frame)
    assert (left.inside, left.area) == (0.5, 0.5)
    nothing = mass_inside(np.ones((2, 2)), (0, 0, 2, 4), frame=frame)
    assert (nothing.inside, nothing.area) == (0, 0) and np.isnan(nothing.gain)


@given(MAPS, st.integers(0, 4), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_properties(values: np.ndarray, x: int, y: int) -> None:
    box = (x, y, x + 1, y + 1)
    everything = (0, 0, 5, 4)
    flat = np.ptp(values) == 0
    assert points_into(values, everything) is not flat
    assert points_into(3 * values + 1, box, seed=4) == points_into(values, box, seed=4)  # scale is nothing to a peak
    mask = np.zeros((4, 5), bool)
    mask[y, x] = True
    inside, outside = mass_inside(values, mask), (mass_inside(values, ~mask))
    if (values > 0).any():
        assert inside.inside + outside.inside == pytest.approx(1)
        assert mass_inside(values, everything).inside == pytest.approx(1)
    else:
        assert np.isnan(inside.inside)
    assert inside.area == pytest.approx(1 / 20)


def test_oracle_and_rivals() -> None:
    """The mask itself is always right; the centre is right where it lies inside; chance is right as often as area."""
    rng = np.random.default_rng(0)
    hits = []
    for i in range(300):
        x, y = rng.integers(0, 12, 2)
        mask = np.zeros((16, 16), bool)
        mask[y : y + 4, x : x + 4] = True
        oracle, centre, chance = mask.astype(float), centre_map((16, 16)), random_map((16, 16), (1, i))
        assert points_into(oracle, mask, seed=i)
        assert mass_inside(oracle, mask).inside == 1
        peak = peak_of(centre, seed=(0, i))
        assert peak in [(7, 7), (7, 8), (8, 7), (8, 8)]
        assert points_into(centre, mask, seed=(0, i)) == mask[peak[1], peak[0]]
        hits.append((points_into(chance, mask), mass_inside(chance, mask).inside))
    assert np.mean(hits, axis=0) == pytest.approx([1 / 16, 1 / 16], abs=0.03)


@pytest.mark.parametrize("tolerance", [-1, np.nan, np.inf, "2"])
def test_refuses_a_tolerance(tolerance: object) -> None:
    with pytest.raises(InputError, match="no distance in pixels"):
        points_into(np.eye(2), (0, 0, 1, 1), tolerance=tolerance)  # type: ignore[arg-type]
