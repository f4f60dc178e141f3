"""Accuracy from vectors: against sklearn, against plain loops, and where it must not be flattering."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from clipviz.errors import InputError
from clipviz.evaluation import metrics as module
from clipviz.evaluation import zero_shot_metrics
from clipviz.evaluation.metrics import rank_labels


def vectors(pictures: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    images, texts = random.normal(size=(pictures, 16)), random.normal(size=(classes, 16))
    truth = random.integers(0, classes, pictures) ** 2 // classes  # uneven: some classes are large, some empty
    images += 0.5 * texts[truth]
    return (*(v / np.linalg.norm(v, axis=1, keepdims=True) for v in (images, texts)), truth)  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize("classes", [2, 5, 6, 40])
def test_equals_sklearn(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 70)  # several pieces, the last one shorter
    images, texts, truth = vectors(300, classes)
    scores = images @ texts.T
    found = zero_shot_metrics(images, texts, truth)
    assert found["top1"] == pytest.approx((scores.argmax(axis=1) == truth).mean(), abs=1e-12)
    assert found["balanced"] == pytest.approx(balanced_accuracy_score(truth, scores.argmax(axis=1)), abs=1e-12)
    assert found["chance"] == 1 / classes
    assert found["majority"] == np.bincount(truth).max() / 300
    if classes > 5:
        assert found["top5"] == pytest.approx(top_k_accuracy_score(truth, scores, k=5, labels=range(classes)))
    else:
        assert "top5" not in found  # of five labels, five are always right


def test_rank_and_margin_one_by_one() -> None:
    images, texts, truth = vectors(50, 7)
    ranking = rank_labels(images, texts, truth)
    for i in range(50):
        scores = images[i] @ texts.T
        assert ranking.rank[i] == 1 + sum(scores[j] > scores[truth[i]] for j in range(7))
        assert ranking.predicted[i] == scores.argmax()
        assert ranking.margin[i] == pytest.approx(scores[truth[i]] - np.delete(scores, truth[i]).max(), abs=1e-6)
    assert ((ranking.margin > 0) == (ranking.rank == 1)).all()


def test_a_model_that_says_the_same_of_everything_is_right_nowhere() -> None:
    same = np.ones((3, 4)) / 2
    found = zero_shot_metrics(np.ones((6, 4)) / 2, same, [0, 0, 0, 1, 2, 2])
    assert found["top1"] == 0
    assert found["majority"] == 0.5  # what naming the first label always would have scored


@pytest.mark.parametrize(
    ("images", "classes", "truth", "says"),
    [
        (np.eye(3), np.eye(2), [0, 1, 0], r"got images \[3, 3\], classes \[2, 2\]"),
        (np.eye(3), np.eye(3), [0, 1], "truth"),
        (np.eye(3), np.eye(3)[:1], [0, 0, 0], "two classes"),
        (np.zeros((0, 3)), np.eye(3), [], "One picture"),
        (np.eye(3), np.eye(3), [0, 1, 3], "from 0 to 2"),
        (np.eye(3), np.eye(3), [0, 1, -1], "from 0 to 2"),
        (np.eye(3), np.eye(3), ["a", "b", "c"], "whole numbers"),
        (np.full((1, 3), np.nan), np.eye(3), [0], "NaN"),
    ],
)
def test_bad_arrays(images: np.ndarray, classes: np.ndarray, truth: list, says: str) -> None:
    with pytest.raises(InputError, match=says):
        zero_shot_metrics(images, classes, truth)
