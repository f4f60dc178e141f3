"""Holm and Benjamini-Hochberg equal statsmodels, and a test that was not made does not count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from clipviz.errors import InputError
from clipviz.stats import benjamini_hochberg, holm


@pytest.mark.parametrize(("ours", "theirs"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_equal_statsmodels_in_any_shape_and_leave_out_nan(ours: Callable, theirs: str) -> None:
    p = np.random.default_rng(0).random(40) ** 3
    p[5] = p[7]  # ties
    wanted = multipletests(p, method=theirs)[1]
    np.testing.assert_allclose(ours(p), wanted, atol=1e-12)
    holes = np.full(48, np.nan)
    holes[np.arange(40) + np.arange(40) // 5] = p
    found = ours(holes.reshape(6, 8)).ravel()
    np.testing.assert_allclose(found[~np.isnan(holes)], wanted, atol=1e-12)
    assert np.isnan(found[np.isnan(holes)]).all()


@pytest.mark.parametrize("ours", [holm, benjamini_hochberg])
def test_ends(ours: Callable) -> None:
    assert ours([]).shape == (0,)
    assert np.isnan(ours([np.nan, np.nan])).all()
    assert ours(0.03) == 0.03 and ours([1.0, 1.0]).tolist() == [1, 1]
    for wrong in ([1.2], [-0.1], ["p"]):
        with pytest.raises(InputError, match="pass"):
            ours(wrong)
