"""The AUC equals scikit-learn's, and its limits hold and keep a width where all pictures are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from clipviz.errors import InputError
from clipviz.stats import auc_limits


def test_equals_scikit_learn_with_ties_and_covers() -> None:
    rng = np.random.default_rng(0)
    truth, covered = float(ndtr(1 / 2**0.5)), []
    for draw in range(300):
        shown, others = rng.normal(1, 1, 25), rng.normal(0, 1, 60)
        if draw < 5:
            shown, others = shown.round(), others.round()
        value, low, high = auc_limits(shown, others)
        wanted = roc_auc_score(np.repeat([1, 0], [25, 60]), np.concatenate([shown, others]))
        assert value == pytest.approx(wanted)
        covered.append(low <= truth <= high)
    assert 0.91 <= np.mean(covered) <= 0.99


def test_ends() -> None:
    value, low, high = auc_limits([2.0, 3.0, 4.0], [0.0, 1.0])
    assert value == high == 1 and 0.2 < low < 1
    turned = auc_limits([0.0, 1.0], [2.0, 3.0, 4.0])
    assert turned == pytest.approx((0, 0, 1 - low), abs=1e-6)
    for shown, others in (([], [1.0]), ([1.0], []), ([np.nan], [1.0])):
        with pytest.raises(InputError, match="AUC needs"):
            auc_limits(shown, others)
