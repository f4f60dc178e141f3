"""Cosines of many unit vectors with a few, block by block: all of them, or the highest k.

A block is (place of its first row, vectors [b, E] float32); blocks come in order and are used up before the next one is
read, so that no more than one lies in memory.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
Block = tuple[int, Floats]


def cosines(blocks: Iterable[Block], wanted: Floats, count: int) -> Floats:
    """Cosines [count, Q], float32, of all vectors of ``blocks`` with ``wanted`` [Q, E].

    >>> cosines([(0, np.eye(2, dtype=np.float32))], np.array([[0.6, 0.8]], np.float32), 2).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """
    found = np.empty((count, len(wanted)), np.float32)
    across = wanted.T
    for first, block in blocks:
        np.matmul(block, across, out=found[first : first + len(block)])
    return found


def highest(blocks: Iterable[Block], wanted: Floats, k: int) -> list[tuple[Places, Floats]]:
    """The ``k`` vectors with the highest cosine for each of ``wanted`` [Q, E]: places and cosines, the highest first.

    Equal cosines come in the order of their places. A product of matrices rounds the same vector differently from place
    to place, so it only chooses candidates; what is kept and told is their cosine in float64, rounded to float32.

    >>> [(places, found)] = highest([(0, np.eye(2, dtype=np.float32))], np.array([[0.6, 0.8]], np.float32), 1)
    >>> int(places[0]), float(found[0])
    (1, 0.800000011920929)
    """
    best = [_Best(vector, check_k(k)) for vector in wanted]
    across, slack = wanted.T, slack_of(wanted.shape[1])
    least = np.full(len(wanted), -np.inf, np.float32)
    room = np.empty((0, len(wanted)), np.float32)
    for first, block in blocks:
        if len(room) < len(block):
            room = np.empty((len(block), len(wanted)), np.float32)
        found = np.matmul(block, across, out=room[: len(block)])
        rows, columns = np.nonzero(found >= least)
        for j in np.unique(columns):
            mine = rows[columns == j]
            best[j].see(first, block, _among(found[mine, j], mine, k, slack))
            least[j] = best[j].least - slack
    return [(one.places, one.cosines) for one in best]


def slack_of(width: int) -> float:
    """How far a product of unit vectors in float32 may be from the truth, twice, as two of them are compared."""
    return max(1e-6, 2 * width * 2.0**-24)


def exactly(vectors: Floats, vector: Floats) -> Floats:
    """Cosines [n] of ``vectors`` [n, E] with one [E]: the same vector has the same cosine wherever it stands."""
    return (vectors.astype(np.float64) * vector.astype(np.float64)).sum(axis=1).astype(np.float32)


def first_k(places: Places, found: Floats, k: int) -> tuple[Places, Floats]:
    """The ``k`` highest, the highest first, equals by place."""
    order = np.lexsort((places, -found))[:k]
    return places[order], found[order]


def check_k(k: int) -> int:
    """``k`` itself, or InputError where it is no count."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k={k!r} is no count; type a whole number from 1 on, such as k=20.")
    return int(k)


def _among(found: Floats, rows: Places, k: int, slack: float) -> Places:
    """The rows that may be among the highest k of this block, by a partial sort."""
    if len(found) <= k:
        return rows
    limit = np.partition(found, len(found) - k)[len(found) - k]
    return rows[found >= limit - slack]


class _Best:
    """The highest k of what was seen so far, for one vector."""

    def __init__(self, vector: Floats, k: int) -> None:
        self.vector, self.k, self.least = vector, k, -np.inf
        self.places, self.cosines = np.empty(0, np.int64), np.empty(0, np.float32)

    def see(self, first: int, block: Floats, rows: Places) -> None:
        found = np.concatenate([self.cosines, exactly(block[rows], self.vector)])
        self.places, self.cosines = first_k(np.concatenate([self.places, rows + first]), found, self.k)
        if len(self.places) == self.k:
            self.least = float(self.cosines[-1])
