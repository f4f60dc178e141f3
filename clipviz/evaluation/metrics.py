"""Accuracy of naming pictures, from vectors alone: pure functions of arrays, for results and training loops alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

_ROWS = 4096  # pictures scored at once, lest a matrix of a million by a thousand cosines be held


@dataclass(frozen=True)
class Ranking:
    """Per picture: the label with the highest cosine, the rank of the true one (from 1), and by how much it leads.

    ``margin`` is the true label's cosine minus the highest of all others. A tie is no lead: a model that gives every
    label the same score is right nowhere.
    """

    predicted: NDArray[np.int64]  # [N]
    rank: NDArray[np.int64]  # [N]
    margin: NDArray[np.float32]  # [N]


def rank_labels(image_vectors: ArrayLike, class_vectors: ArrayLike, truth: ArrayLike) -> Ranking:
    """Rank ``class_vectors`` [C, E] for each of ``image_vectors`` [N, E]; ``truth`` [N] holds places in 0..C-1.

    Raises InputError for shapes that do not fit, fewer than two classes, and values that are not finite.
    """
    images, classes, places = _checked(image_vectors, class_vectors, truth)
    predicted, rank = np.empty(len(images), np.int64), np.empty(len(images), np.int64)
    margin = np.empty(len(images), np.float32)
    for start in range(0, len(images), _ROWS):
        at = slice(start, start + _ROWS)
        scores = images[at] @ classes.T  # [n, C]
        row = np.arange(len(scores))
        own = scores[row, places[at]]
        rank[at] = (scores >= own[:, None]).sum(axis=1)  # itself, and every other that is not below it
        scores_of_others = scores.copy()
        scores_of_others[row, places[at]] = -np.inf
        best_other = scores_of_others.argmax(axis=1)
        margin[at] = own - scores_of_others[row, best_other]
        predicted[at] = np.where(rank[at] == 1, places[at], best_other)
    return Ranking(predicted, rank, margin)


def scores_of(ranking: Ranking, truth: ArrayLike, labels: int) -> dict[str, dict[str, float]]:
    """Per metric its ``value``, ``chance`` and ``majority``: what a coin and the best constant answer would reach.

    ``top1``, ``balanced`` (the mean over the classes that occur), and ``top5`` where there are more than five labels.
    """
    places = np.asarray(truth, np.int64)
    counts = np.bincount(places, minlength=labels)  # [C]
    shares = np.sort(counts / len(places))[::-1]
    occur = counts > 0
    right = np.bincount(places, weights=ranking.rank == 1, minlength=labels)
    found = {"top1": _row((ranking.rank == 1).mean(), 1 / labels, shares[0])}
    if labels > 5:
        found["top5"] = _row((ranking.rank <= 5).mean(), 5 / labels, shares[:5].sum())
    found["balanced"] = _row((right[occur] / counts[occur]).mean(), 1 / labels, 1 / occur.sum())
    return found


def zero_shot_metrics(image_vectors: ArrayLike, class_vectors: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """``top1``, ``balanced``, ``chance``, ``majority``, and ``top5`` where there are more than five classes.

    Parameters
    ----------
    image_vectors, class_vectors : [N, E] and [C, E], unit vectors (the higher product wins).
    truth : [N], the place of each picture's class in 0..C-1.

    ``balanced`` is the mean over the classes that occur, ``chance`` is 1/C, and ``majority`` the share of the largest
    class: what always naming it would score. A tie counts as wrong. Raises InputError for shapes that do not fit.

    >>> zero_shot_metrics(np.eye(2), np.eye(2), [0, 1])
    {'top1': 1.0, 'balanced': 1.0, 'chance': 0.5, 'majority': 0.5}
    """
    ranking = rank_labels(image_vectors, class_vectors, truth)
    found = scores_of(ranking, truth, len(np.asarray(class_vectors)))
    values = {name: row["value"] for name, row in found.items()}
    return {**values, "chance": found["top1"]["chance"], "majority": found["top1"]["majority"]}


def _row(value: float, chance: float, majority: float) -> dict[str, float]:
    return {"value": float(value), "chance": float(chance), "majority": float(majority)}


def _checked(images: ArrayLike, classes: ArrayLike, truth: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    pictures, texts, places = np.asarray(images), np.asarray(classes), np.asarray(truth)
    shapes: Mapping[str, tuple[int, ...]] = {"images": pictures.shape, "classes": texts.shape, "truth": places.shape}
    fits = pictures.ndim == texts.ndim == 2 and pictures.shape[1] == texts.shape[1] and places.shape == (len(pictures),)
    if not fits:
        got = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise InputError(f"Vectors are images [N, E], classes [C, E] and truth [N]; got {got}.")
    if len(texts) < 2 or not len(pictures):
        raise InputError(f"One picture and two classes are the least; got {len(pictures)} and {len(texts)}.")
    if not np.issubdtype(places.dtype, np.integer) or places.min() < 0 or places.max() >= len(texts):
        raise InputError(
            f"truth holds the places of classes, whole numbers from 0 to {len(texts) - 1}; map names first."
        )
    if not (np.isfinite(pictures).all() and np.isfinite(texts).all()):
        raise InputError(
            "Some vectors are NaN or infinite: no class would be the nearest; look at the model's weights."
        )
    return pictures, texts, places
