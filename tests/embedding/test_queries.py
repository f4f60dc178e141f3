"""`queries`: cosines and the highest of them by blocks are those of a naive loop over rows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from clipviz.embedding.queries import cosines, exactly, first_k, highest
from clipviz.errors import InputError


def unit(count: int, width: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def blocks(vectors: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """As a store gives them: each block overwrites the one before."""
    room = np.empty((size, vectors.shape[1]), np.float32)
    for first in range(0, len(vectors), size):
        part = vectors[first : first + size]
        room[: len(part)] = part
        yield first, room[: len(part)]


def naive(vectors: np.ndarray, wanted: np.ndarray, k: int) -> list[list[tuple[int, float]]]:
    """Every pair, exactly; sorted by cosine in float32, then by row."""
    found = []
    for query in wanted.astype(float):
        pairs = [(i, float(np.float32(math.fsum(row.astype(float) * query)))) for i, row in enumerate(vectors)]
        found.append(sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:k])
    return found


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_all_cosines(size: int) -> None:
    vectors, wanted = unit(150, 24, 0), unit(5, 24, 1)
    slow = [[math.fsum(a.astype(float) * b.astype(float)) for b in wanted] for a in vectors]
    np.testing.assert_allclose(cosines(blocks(vectors, size), wanted, 150), slow, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("k", [1, 5, 149, 400])
def test_the_highest(size: int, k: int) -> None:
    vectors, wanted = unit(150, 24, 0), unit(5, 24, 1)
    found = highest(blocks(vectors, size), wanted, k)
    pairs = [[(int(p), float(c)) for p, c in zip(*one, strict=True)] for one in found]
    assert pairs == naive(vectors, wanted, k)


@pytest.mark.parametrize("size", [3, 50, 1000])
def test_equal_vectors_come_by_row(size: int) -> None:
    """Every vector is there twenty times, in float16; a product of matrices rounds some of the copies differently."""
    several = unit(31, 512, 0).astype(np.float16).astype(np.float32)
    vectors = several[np.random.default_rng(2).permutation(np.repeat(np.arange(31), 20))]
    wanted = unit(4, 512, 1)
    found = highest(blocks(vectors, size), wanted, 70)
    assert [[int(p) for p in places] for places, _ in found] == [
        [p for p, _ in one] for one in naive(vectors, wanted, 70)
    ]


def test_a_later_row_that_is_better_by_a_hair_is_found() -> None:
    angle = 0.5 - 1e-5 * np.arange(200)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    wanted = np.array([[1, 0]], np.float32)
    places, _ = highest(blocks(vectors, 5), wanted, 3)[0]
    assert places.tolist() == [p for p, _ in naive(vectors, wanted, 3)[0]] == [199, 198, 197]


def test_one_vector_has_one_cosine_wherever_it_stands() -> None:
    vector, query = unit(1, 512, 0), unit(1, 512, 1)[0]
    assert len(set(exactly(np.repeat(vector, 1037, axis=0), query).tolist())) == 1


def test_the_first_k_of_equals() -> None:
    places, found = first_k(np.array([9, 2, 5]), np.array([0.5, 0.5, 0.7], np.float32), 2)
    assert places.tolist() == [5, 2] and found.tolist() == pytest.approx([0.7, 0.5])


def test_no_rows_give_no_answers() -> None:
    wanted = unit(2, 24, 0)
    assert cosines(iter(()), wanted, 0).shape == (0, 2)
    assert [len(places) for places, _ in highest(iter(()), wanted, 3)] == [0, 0]


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "3"])
def test_a_k_that_is_no_count_is_refused(k: object) -> None:
    with pytest.raises(InputError, match="whole number"):
        highest(iter(()), unit(1, 24, 0), k)  # type: ignore[arg-type]
