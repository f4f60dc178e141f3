"""Shapley values: those of the definition, adding up whatever is drawn, with an error that tells the truth."""

from __future__ import annotations

import math
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.errors import InputError
from clipviz.explanation.methods.inputs import blank_pixels
from clipviz.explanation.methods.shapley import _all, _drawn, _exact, _fitted, _parts, _shap_patches
from clipviz.explanation.target import Target
from clipviz.model import Look, Model

from ..conftest import small_model

TEXTS = ["a red circle", "the forest"]


def game(n: int, seed: int = 0) -> Any:
    """A score of coalitions [M, n] -> [M, 2]: weights, pairs that help or hinder each other, and a bend."""
    rng = np.random.default_rng(seed)
    weights, pairs = rng.normal(size=(n, 2)), rng.normal(size=(n, n)) / n

    def worth(bits: np.ndarray) -> np.ndarray:
        z = bits.astype(float)
        bent = np.tanh(z @ weights + np.einsum("mi,ij,mj->m", z, pairs, z)[:, None])
        return 0.3 + bent

    return worth


def by_orders(n: int, worth: Any) -> np.ndarray:
    """The definition: the mean gain over all orders of uncovering."""
    total = np.zeros((n, 2))
    for order in permutations(range(n)):
        bits = np.tri(n + 1, n, -1, dtype=bool)[:, np.argsort(order)]  # row k holds the first k of the order
        total[list(order)] += np.diff(worth(bits), axis=0)
    return total / math.factorial(n)


def by_enumeration(n: int, worth: Any) -> np.ndarray:
    """The same, a coalition at a time."""
    found = np.zeros((n, 2))
    for i in range(n):
        rest = [k for k in range(n) if k != i]
        for size in range(n):
            share = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for members in combinations(rest, size):
                without = np.isin(np.arange(n), members)
                both = np.stack([without, without | (np.arange(n) == i)])
                found[i] += share * np.diff(worth(both), axis=0)[0]
    return found


def test_enumeration_is_the_definition() -> None:
    for n in (1, 2, 3, 6):
        worth, plan = game(n), _all(n)
        assert plan.bits.shape == (2**n, n)
        assert len({tuple(row) for row in plan.bits.tolist()}) == 2**n
        assert not plan.bits[0].any()
        assert plan.bits[-1].all()
        values, error = _exact(plan, worth(plan.bits))
        np.testing.assert_allclose(values, by_orders(n, worth), atol=1e-12)
        np.testing.assert_allclose(values, by_enumeration(n, worth), atol=1e-12)
        assert not error.any()


@pytest.mark.parametrize("n", [2, 3, 4, 7, 10])
def test_least_squares_over_all_coalitions_are_exact(n: int) -> None:
    worth, plan = game(n), _drawn(n, 2**n + 5, np.random.default_rng(0))
    assert len({tuple(row) for row in plan.bits.tolist()}) == len(plan.bits) == 2**n
    assert (plan.group == -1).all()
    values, _ = _fitted(plan, worth(plan.bits))
    np.testing.assert_allclose(values, _exact(_all(n), worth(_all(n).bits))[0], atol=1e-10)


@pytest.mark.parametrize(("n", "samples"), [(10, 60), (10, 200), (16, 34), (16, 300), (49, 1024), (49, 500)])
def test_coalitions_come_in_pairs_within_the_budget(n: int, samples: int) -> None:
    plan = _drawn(n, samples, np.random.default_rng(0))
    assert samples - 1 <= len(plan.bits) <= samples
    drawn, counts = np.unique(plan.bits[1:-1], axis=0, return_counts=True)
    other, others = np.unique(~plan.bits[1:-1], axis=0, return_counts=True)
    np.testing.assert_array_equal(drawn, other)
    np.testing.assert_array_equal(counts, others)
    sizes = plan.bits[1:-1].sum(axis=1)
    assert sizes.min() == 1
    assert (sizes == 1).sum() == n  # the smallest are all taken
    # The weight of each size is that of the kernel, or of what stands for it.
    kernel = np.array([1 / (s * (n - s)) for s in range(1, n)])
    weights = np.bincount(sizes, plan.weights[1:-1], minlength=n)[1:]
    if samples > 2 * n + 2:
        np.testing.assert_allclose(weights.sum(), kernel.sum())
    whole = np.array([s for s in range(1, n) if (plan.group[1:-1][sizes == s] == -1).all() and (sizes == s).any()])
    np.testing.assert_allclose(weights[whole - 1], kernel[whole - 1])
    if samples >= 300:
        np.testing.assert_allclose(weights, kernel, atol=0.1 * kernel.max())


def test_an_additive_game_is_solved_by_any_sample() -> None:
    weights = np.random.default_rng(0).normal(size=(20, 2))
    plan = _drawn(20, 60, np.random.default_rng(1))
    values, error = _fitted(plan, 0.5 + plan.bits @ weights)
    np.testing.assert_allclose(values, weights, atol=1e-10)
    assert error.max() < 1e-10


def test_the_sampling_error_is_how_far_samples_scatter() -> None:
    n, worth = 11, game(11)
    truth = _exact(_all(n), worth(_all(n).bits))[0]
    runs = []
    for seed in range(60):
        plan = _drawn(n, 300, np.random.default_rng(seed))
        runs.append(_fitted(plan, worth(plan.bits)))
    values, errors = np.stack([v for v, _ in runs]), np.stack([e for _, e in runs])
    scatter = np.sqrt(np.square(values - truth).mean())
    assert 0.7 < np.sqrt(np.square(errors).mean()) / scatter < 1.4
    within = np.abs(values - truth) < 2 * errors
    assert within.mean() > 0.85
    total = (worth(np.ones((1, n))) - worth(np.zeros((1, n))))[0]
    np.testing.assert_allclose(values.sum(axis=1), np.broadcast_to(total, (60, 2)), atol=1e-12)
    more = _drawn(n, 1200, np.random.default_rng(0))
    assert np.abs(_fitted(more, worth(more.bits))[0] - truth).mean() < 0.7 * np.abs(values - truth).mean()


@pytest.mark.parametrize(("kind", "side"), [("vit", 5), ("resnet", 3)])
def test_ten_super_patches_are_exact_shapley_values(kind: str, side: int, picture: Image.Image) -> None:
    """Through the network, in float64, against a loop over coalitions that masks for itself (a ResNet: six)."""
    n, widths = 2 * side, [side - side // 2, side // 2]  # parts are a row high, and half of the columns wide
    model = small_model(kind, side * (16 if kind == "vit" else 32))
    model.clip.visual.double()
    pixels, frame = model.prepare(picture)
    pixels = pixels.double()
    texts = F.normalize(torch.randn(2, 24, generator=torch.Generator().manual_seed(0)).double(), dim=-1)
    target = Target(texts, texts[:0], tuple(TEXTS))
    found = _shap_patches(model, Look(model, pixels, picture, frame), target, cells=(side, 2), blank="black")
    base, cell = blank_pixels(model, pixels, "black"), model.image_size // side
    edges = [0, widths[0], side]

    def worth(bits: np.ndarray) -> np.ndarray:
        rows = []
        for row in bits:
            x = base.clone()
            for part in np.flatnonzero(row):
                down, across = divmod(int(part), 2)
                at = (..., slice(down * cell, (down + 1) * cell), slice(edges[across] * cell, edges[across + 1] * cell))
                x[at] = pixels[at]
            rows.append(x)
        with torch.no_grad():
            return (F.normalize(model.clip.visual(torch.cat(rows)), dim=-1) @ texts.T).numpy()

    scores = {tuple(row): value for row, value in zip(_all(n).bits.tolist(), worth(_all(n).bits), strict=True)}
    want = by_enumeration(n, lambda bits: np.stack([scores[tuple(row)] for row in bits.tolist()]))  # [n, 2]
    for j in range(2):
        parts = want[:, j].reshape(side, 2)
        whole = np.repeat(parts / widths, widths, axis=1)  # spread over the part's cells
        np.testing.assert_allclose(found.maps[0, j].numpy(), whole, atol=1e-6)
        told = found.details[j]
        assert told["exact"]
        assert told["samples"] == 2**n
        assert told["sampling_error"] == 0
        assert abs(told["completeness_error"]) < 1e-12
        full, empty = scores[(True,) * n][j], scores[(False,) * n][j]
        assert told["baseline_score"] == pytest.approx(empty, abs=1e-12)
        assert found.maps[0, j].sum().item() == pytest.approx(full - empty, abs=1e-12)


def test_a_sample_comes_near_and_says_how_near(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    truth = clipviz.explain(look, TEXTS, method="shap_patches", cells=(3, 3), samples=512)
    found = clipviz.explain(look, TEXTS, method="shap_patches", cells=(3, 3), samples=128)
    for j in range(2):
        one, all_of_them = found[0, j], truth[0, j]
        assert all_of_them.details["exact"]
        assert not one.details["exact"]
        assert 0 < one.details["sampling_error"] <= one.details["sampling_error_max"]
        assert np.abs(one.values - all_of_them.values).max() < 5 * one.details["sampling_error_max"]
        for heatmap in (one, all_of_them):
            assert heatmap.values.sum() == pytest.approx(heatmap.score - heatmap.details["baseline_score"], abs=1e-5)
            assert abs(heatmap.details["completeness_error"]) < 1e-12
    assert np.abs(truth[0, 0].values - truth[0, 1].values).max() > 1e-4


def test_where_too_few_are_drawn_no_error_is_told(vit: Model, picture: Image.Image) -> None:
    for samples in (34, 36):  # none and one pair beside the smallest and largest
        found = clipviz.explain([picture], "a dog", model=vit, method="shap_patches", samples=samples)[0, 0]
        assert found.details["sampling_error"] is None
        assert found.values.sum() == pytest.approx(found.score - found.details["baseline_score"], abs=1e-5)


def test_a_contrast_is_explained_as_it_is(vit: Model, picture: Image.Image) -> None:
    for contrast in ("margin", "softmax"):
        found = clipviz.explain(
            [picture], TEXTS[:1], model=vit, method="shap_patches", cells=2, against=TEXTS[1], contrast=contrast
        )[0, 0]
        assert found.values.sum() == pytest.approx(found.score - found.details["baseline_score"], abs=1e-5)


def test_parts_are_as_equal_as_cells_allow() -> None:
    assert _parts(4, 4, 2).tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2
    assert _parts(2, 5, (1, 2)).tolist() == [[0, 0, 0, 1, 1]] * 2
    assert int(_parts(14, 14, None).max()) == 48
    assert int(_parts(4, 4, None).max()) == 15


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cells": 5}, "cells=5 is not a whole number from 1 to 4"),
        ({"cells": (2, 3, 1)}, "is no number of parts"),
        ({"cells": "all"}, "is no number of parts"),
        ({"samples": 20}, "samples=20 is too few for 16 parts: take at least 34"),
        ({"samples": 0}, "samples=0"),
        ({"seed": -1}, "seed=-1"),
        ({"blank": "white"}, "blank='white' is not known"),
    ],
)
def test_what_is_refused(vit: Model, picture: Image.Image, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        clipviz.explain([picture], TEXTS, model=vit, method="shap_patches", **options)
    assert said in str(raised.value)
