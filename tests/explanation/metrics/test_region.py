"""Maps, regions and seeds: what they may be, and what is said of what they are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clipviz.errors import InputError
from clipviz.explanation.metrics import as_region, is_flat
from clipviz.explanation.metrics.region import as_map, chance, highest


def test_a_box_holds_the_pixels_whose_centres_it_holds() -> None:
    assert as_region((1, 0, 3, 1), (2, 4)).tolist() == [[False, True, True, False], [False] * 4]
    assert as_region([0.6, 0.6, 1.6, 2.4], (3, 3)).sum() == 1  # the pixel (1, 1) alone
    assert as_region(torch.tensor([-5, -5, 1, 99]), (3, 3)).sum() == 3  # what lies outside is cut off
    assert as_region((0, 0, 4, 3), (3, 4)).all()


def test_a_mask_is_taken_as_it_is() -> None:
    mask = np.eye(3, dtype=np.uint8)
    assert as_region(mask, (3, 3)).dtype == bool
    assert as_region(torch.eye(3), (3, 3)).sum() == 3
    assert (mask == np.eye(3)).all()


@pytest.mark.parametrize(
    "region,says",
    [
        ((5, 5, 9, 9), "holds no pixel of a picture of 4 x 3"),
        ((2, 0, 2, 3), "holds no pixel"),
        ((3, 2, 1, 0), "holds no pixel"),
        ((0, 0, np.nan, 2), "four finite numbers"),
        ((0, 0, 2), "four finite numbers"),
        (np.zeros((3, 4), bool), "mask is empty"),
        (np.ones((4, 3), bool), r"mask is \[4, 3\] and the picture \[3, 4\]"),
        (np.full((3, 4), 255, np.uint8), "boolean or 0 and 1"),
        (np.full((3, 4), np.nan), "boolean or 0 and 1"),
    ],
)
def test_refuses_a_region(region: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_region(region, (3, 4))


@pytest.mark.parametrize(
    "values,says",
    [
        ([[1.0, np.nan]], "1 NaN or infinite"),
        ([[np.inf]], "1 NaN or infinite"),
        (np.zeros(3), r"the shape \[3\]"),
        (np.zeros((0, 3)), "at least one cell"),
        ([["a"]], "of numbers"),
        (None, "got"),
    ],
)
def test_refuses_a_map(values: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_map(values)


def test_a_tensor_with_a_gradient_is_a_map() -> None:
    assert as_map(torch.ones(2, 2, requires_grad=True)).tolist() == [[1, 1], [1, 1]]
    assert is_flat(torch.zeros(2, 3)) and not is_flat(torch.eye(2))


def test_ties_are_drawn_evenly_and_repeat() -> None:
    values = np.array([0.0, 1.0, np.nan, 1.0, 1.0])
    drawn = [highest(values, chance((0, i))) for i in range(600)]
    assert drawn == [highest(values, chance((0, i))) for i in range(600)]
    assert set(drawn) == {1, 3, 4}
    assert all(150 < drawn.count(k) < 250 for k in (1, 3, 4))
    with pytest.raises(InputError, match="no seed"):
        chance("x")  # type: ignore[arg-type]
