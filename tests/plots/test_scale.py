"""Which colours a map gets, and what limits mean."""

from __future__ import annotations

import numpy as np
import pytest

from clipviz.errors import InputError
from clipviz.plots.scale import COLOURS, OPACITY, scale_of, shared_scale, steps


@pytest.mark.parametrize(
    ("values", "limits", "wanted"),
    [
        ([-1, 4], None, (-4, 4, "diverging")),
        ([0, 4], None, (0, 4, "positive")),
        ([2, 4], None, (0, 4, "positive")),
        ([-3, -1], None, (-3, 0, "negative")),
        ([-1e-9, 1], None, (0, 1, "positive")),  # rounding noise is no second sign
        ([0, 4], 2, (-2, 2, "diverging")),
        ([0, 4], (0, 8), (0, 8, "positive")),
        ([0, 4], (-1, 8), (-8, 8, "diverging")),
        ([np.nan, 2], None, (0, 2, "positive")),
    ],
)
def test_scale(
    values: list[float], limits: float | tuple[float, float] | None, wanted: tuple[float, float, str]
) -> None:
    scale = scale_of([values], limits)
    assert (scale.low, scale.high, scale.kind) == wanted


def test_values_beyond_the_limits_are_told() -> None:
    scale = scale_of([[-5.0, 1.0]], 2)
    assert scale.under and not scale.over
    assert not scale_of([[-2.0, 2.0]], 2).under


@pytest.mark.parametrize(("values", "constant"), [([0, 0], True), ([3, 3], True), ([np.nan, 1], True), ([0, 1], False)])
def test_constant(values: list[float], constant: bool) -> None:
    assert scale_of([values]).constant is constant


@pytest.mark.parametrize("limits", [0, -1, (1, 2), (2, 1), (0, 0), (0, np.inf), np.nan, "wide", (1,)])
def test_bad_limits_are_refused(limits: object) -> None:
    with pytest.raises(InputError, match="limits="):
        scale_of([[1.0]], limits)  # type: ignore[arg-type]


def test_infinite_values_are_refused() -> None:
    with pytest.raises(InputError, match="infinite"):
        scale_of([[np.inf]])


def test_shared_scale_fits_all_and_is_symmetric() -> None:
    scale = shared_scale([np.array([[0.1]]), np.array([[-0.5, 0.2]])])
    assert scale.low == -0.5 and scale.high == 0.5
    assert shared_scale([]).reach == 0


def test_opacity_grows_with_magnitude_alike_for_both_signs() -> None:
    values = np.array([-4, -2, 0, 2, 4], np.float32)
    opacity = OPACITY[steps(scale_of(values), values)]
    assert opacity[2] == 0 and opacity[4] == 1
    assert np.allclose(opacity, opacity[::-1])
    assert opacity[3] < opacity[4]
    beyond = OPACITY[steps(scale_of(values, 1), values)]
    assert beyond[3] == beyond[4] == 1


def test_nan_and_a_map_of_zeros_have_no_colour() -> None:
    values = np.array([np.nan, 3], np.float32)
    assert OPACITY[steps(scale_of(values), values)].tolist() == [0, 1]
    assert OPACITY[steps(scale_of([0.0]), np.zeros(2, np.float32))].tolist() == [0, 0]


def test_one_sign_keeps_its_colours_on_a_scale_of_both() -> None:
    value = np.array([2.0], np.float32)
    alone = COLOURS[steps(scale_of(value), value)]
    both = COLOURS[steps(scale_of(np.array([-2.0, 2.0])), value)]
    assert np.array_equal(alone, both)
