"""Rank correlation and top regions: by hand, beside scipy, and where nothing is ordered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from clipviz.errors import InputError
from clipviz.explanation.metrics import random_map, rank_correlation, top_region, top_region_iou

MAPS = arrays(np.float64, (4, 5), elements=st.integers(-3, 3).map(float))


def test_by_hand() -> None:
    assert rank_correlation([[1, 2, 3]], [[1, 3, 2]]) == pytest.approx(0.5)  # 1 - 6 * 2 / (3 * 8)
    assert rank_correlation([[1, 2], [3, 4]], [[0, -2], [-3, -9]]) == -1
    assert top_region([[1, 5], [3, 4]], 0.5).tolist() == [[False, True], [False, True]]
    assert top_region_iou([[4, 3, 2, 1]], [[4, 1, 3, 2]], 0.5) == pytest.approx(1 / 3)


@given(MAPS, MAPS)
@settings(max_examples=60, deadline=None)
def test_is_spearmans(a: np.ndarray, b: np.ndarray) -> None:
    found = rank_correlation(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(found)
        assert np.isnan(top_region_iou(a, b))
        return
    assert found == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)
    assert found == pytest.approx(rank_correlation(b, np.exp(a)), abs=1e-12)  # the order alone
    assert rank_correlation(a, -b) == pytest.approx(-found, abs=1e-12)
    assert rank_correlation(a, a) == pytest.approx(1)
    assert 0 <= top_region_iou(a, b) <= 1


def test_a_map_of_zeros_but_for_a_cell_has_a_top_region_of_its_size() -> None:
    values = np.zeros((10, 10))
    values[3, 3] = 1
    for seed in range(5):
        region = top_region(values, 0.2, seed=seed)
        assert region.sum() == 20 and region[3, 3]
    assert (top_region(values, seed=0) != top_region(values, seed=1)).any()
    assert top_region(np.eye(2), 0.01).sum() == 1


def test_maps_that_have_nothing_to_do_with_each_other() -> None:
    pairs = [(random_map((12, 12), (0, i)), random_map((12, 12), (1, i))) for i in range(200)]
    assert np.mean([rank_correlation(a, b) for a, b in pairs]) == pytest.approx(0, abs=0.02)
    assert np.mean([top_region_iou(a, b, 0.2) for a, b in pairs]) == pytest.approx(0.2 / 1.8, abs=0.01)
    assert all(top_region_iou(a, a) == 1 for a, _ in pairs)


def test_refuses() -> None:
    with pytest.raises(InputError, match=r"The maps are \[2, 2\] and \[3, 3\]"):
        rank_correlation(np.eye(2), np.eye(3))
    with pytest.raises(InputError, match=r"share=20"):
        top_region_iou(np.eye(2), np.eye(2), 20)
    with pytest.raises(InputError, match="NaN"):
        rank_correlation([[np.nan, 1]], [[1, 2]])
