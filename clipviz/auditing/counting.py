"""Counting pictures by group and by person, without a loop over pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tally import Counts, Floats, Persons

Marks = NDArray[np.bool_]


def decided(decision: NDArray[Any], codes: Counts, labels: int, groups: int) -> Counts:
    """How many pictures of each group were given each label, [labels, groups]; a code below 0 is of no group.

    >>> decided(np.array([0, 1, 1]), np.array([0, 0, 1]), 2, 2).tolist()
    [[1, 0], [1, 1]]
    """
    inside = codes >= 0
    places = decision[inside].astype(np.int64) * groups + codes[inside]
    return np.bincount(places, minlength=labels * groups).reshape(labels, groups)


def marked(marks: Marks, codes: Counts, groups: int) -> Counts:
    """How many pictures of each group have each of K marks [N, K], as [K, groups]."""
    return np.stack([np.bincount(codes[(codes >= 0) & mark], minlength=groups) for mark in marks.T])


def sizes(codes: Counts, groups: int) -> Counts:
    """Pictures in each group."""
    return np.bincount(codes[codes >= 0], minlength=groups)


def moments(values: Floats, codes: Counts, groups: int) -> tuple[Floats, Floats]:
    """Means and variances (n - 1) [K, groups] of ``values`` [N, K]; NaN of no picture, the variance also of one."""
    inside = codes >= 0
    own = codes[inside]
    n = np.bincount(own, minlength=groups)
    means, variances = (np.full((values.shape[1], groups), np.nan) for _ in range(2))
    with np.errstate(invalid="ignore", divide="ignore"):
        for k, column in enumerate(values.T):
            column = column[inside]
            means[k] = np.bincount(own, column, minlength=groups) / n
            apart = (column - means[k][own]) ** 2
            variances[k] = np.where(n > 1, np.bincount(own, apart, minlength=groups) / (n - 1), np.nan)
    return means, variances


def by_person(marks: Marks, among: Marks | None, codes: Counts, person: Counts, groups: int) -> Persons:
    """Counts of K marks [N, K] by person and group; ``among`` [N, K] are the pictures that count, by default all."""
    inside = codes >= 0
    pairs, place = np.unique(person[inside] * groups + codes[inside], return_inverse=True)
    count = len(pairs)

    def each(columns: Marks) -> Counts:
        return np.stack([np.bincount(place[column], minlength=count) for column in columns[inside].T])

    n = np.bincount(place, minlength=count) if among is None else each(among)
    hits = each(marks if among is None else marks & among)
    return Persons(pairs // groups, pairs % groups, hits, n)


def person_moments(values: Floats, codes: Counts, person: Counts, groups: int) -> tuple[Floats, Floats, Counts]:
    """Means over pictures [K, groups], with variances and n such that variance / n is that of the mean over persons.

    ``n`` [groups] counts persons; a mean is a ratio of sums over persons, linearised.
    """
    inside = codes >= 0
    pairs, place = np.unique(person[inside] * groups + codes[inside], return_inverse=True)
    group, size = pairs % groups, np.bincount(place, minlength=len(pairs))
    persons, pictures = np.bincount(group, minlength=groups), np.bincount(group, size, minlength=groups)
    means, variances = (np.full((values.shape[1], groups), np.nan) for _ in range(2))
    with np.errstate(invalid="ignore", divide="ignore"):
        for k, column in enumerate(values.T):
            total = np.bincount(place, column[inside], minlength=len(pairs))
            means[k] = np.bincount(group, total, minlength=groups) / pictures
            apart = (total - means[k][group] * size) ** 2
            spread = np.bincount(group, apart, minlength=groups) / pictures**2 * persons / (persons - 1)
            variances[k] = np.where(persons > 1, spread * persons, np.nan)
    return means, variances, persons


def of_persons(pull: Floats, codes: Counts, person: Counts, groups: int) -> tuple[Floats, Counts]:
    """The variance [groups] of figures that each picture moves by ``pull`` [N], between persons, and their number."""
    pairs, place = np.unique(person * groups + codes, return_inverse=True)
    group = pairs % groups
    persons = np.bincount(group, minlength=groups)
    squares = np.bincount(group, np.bincount(place, pull, minlength=len(pairs)) ** 2, minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(persons > 1, squares * persons / (persons - 1), np.nan), persons
