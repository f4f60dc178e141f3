"""The map of a store: axes as scikit-learn's, shares and neighbours as counted by hand, and a figure that says so."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from clipviz import plots
from clipviz.embedding.embeddings import Embeddings
from clipviz.embedding.mapping import kept_neighbours, principal
from clipviz.errors import DataError, InputError

Make = Callable[..., Path]
Require = Callable[[object, str], None]


def clouds(count: int = 300, width: int = 24) -> np.ndarray:
    """Three clouds of unit vectors about directions of their own."""
    random = np.random.default_rng(3)
    centres = random.standard_normal((3, width))
    vectors = centres[np.arange(count) % 3] + 0.7 * random.standard_normal((count, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


GROUPS = [("north", "east", None)[i % 3] for i in range(300)]


@pytest.fixture
def store(make_store: Make) -> Embeddings:
    columns = {
        "group": GROUPS,
        "age": list(range(300)),
        "many": [f"{i % 11}" for i in range(300)],
        "empty": [None] * 300,
    }
    return Embeddings.load(make_store(vectors=clouds(), columns=columns, size=64, dtype="float32"))


@pytest.mark.parametrize("size", [1, 17, 300])
def test_the_axes_are_those_of_scikit_learn(size: int) -> None:
    vectors = clouds()
    mean, axes, shares = principal(((i, vectors[i : i + size]) for i in range(0, 300, size)), 24)
    theirs = PCA(2, svd_solver="full").fit(vectors.astype(float))
    np.testing.assert_allclose(mean, theirs.mean_, atol=1e-7)
    np.testing.assert_allclose(shares, theirs.explained_variance_ratio_, atol=1e-6)
    np.testing.assert_allclose(np.abs(axes @ theirs.components_.T), np.eye(2), atol=1e-5)
    assert (axes[np.arange(2), np.abs(axes).argmax(axis=1)] > 0).all()


def test_neighbours_that_are_kept_are_counted() -> None:
    vectors = clouds(60)
    points = vectors[:, :2].astype(float)
    kept = []
    for i in range(60):
        others = [j for j in range(60) if j != i]
        near = sorted(others, key=lambda j: -float(vectors[i].astype(float) @ vectors[j]))
        here = sorted(others, key=lambda j: float(((points[i] - points[j]) ** 2).sum()))
        kept.append(len({*near[:10]} & {*here[:10]}) / 10)
    assert kept_neighbours(vectors, points) == pytest.approx(np.mean(kept))
    circle = np.stack([np.cos(np.arange(40)), np.sin(np.arange(40))], axis=1)
    assert kept_neighbours(np.pad(circle, [(0, 0), (0, 3)]).astype(np.float32), circle) == 1


def words(figure: plots.Canvas) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def test_the_figure_says_how_much_it_shows(store: Embeddings) -> None:
    figure = store.plot(color="group")
    share = PCA(2).fit(clouds().astype(float)).explained_variance_ratio_
    said = words(figure)
    for i in range(2):
        assert f"principal component {i + 1}: {share[i]:.1%} of the variance" in said
    assert f"hold {share.sum():.1%} of the variance of 300 vectors in 24 dimensions" in said
    assert f"{1 - share.sum():.1%} is not shown" in said and "nearest" in said and "chance 3.3%" in said
    assert "east" in said and "north" in said and "not known" in said and said.count(" 100") == 3
    points = np.concatenate([part.get_offsets() for part in figure.axes[0].collections])
    mean, axes, _ = principal([(0, clouds())], 24)
    wanted = (clouds() - mean) @ axes.T
    np.testing.assert_allclose(np.array(sorted(map(tuple, points))), sorted(map(tuple, wanted)), atol=1e-6)
    assert plots.png(figure) == plots.png(store.plot(color="group"))


@pytest.mark.slow  # its network of neighbours is compiled when it is first used
def test_umap_keeps_the_clouds_apart_and_claims_no_more(store: Embeddings, require: Require) -> None:
    require(find_spec("umap"), "umap-learn")
    threads = torch.get_num_threads()
    figure = store.select("group == group").plot(color="group", method="umap")
    assert torch.get_num_threads() == threads  # or whatever is computed after a map is rounded otherwise
    drawn = figure.axes[0].collections
    points = np.concatenate([part.get_offsets() for part in drawn])
    truth = np.concatenate([[part.get_facecolor()[0].tobytes()] * len(part.get_offsets()) for part in drawn])
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    assert len(points) == 200 and len(set(truth)) == 2 and (truth[distances.argmin(axis=1)] == truth).mean() > 0.95
    assert "no share of variance" in words(figure) and "variance of" not in words(figure)


def test_of_many_rows_some_are_drawn_and_all_counted(store: Embeddings) -> None:
    figure = store.half("dev").plot(color="group", shown=50)
    count = len(store.half("dev"))
    assert sum(len(part.get_offsets()) for part in figure.axes[0].collections) == 50
    assert f"50 of {count} are drawn, by chance (seed 0)" in words(figure) and "half 'dev'" in words(figure)
    assert words(figure) != words(store.half("dev").plot(color="group", shown=50, seed=1))


def test_numbers_have_a_scale_and_many_groups_share_a_colour(store: Embeddings) -> None:
    figure = store.plot(color="age")
    assert len(figure.axes) == 2 and "300 known" in words(figure)
    assert "4 others" in words(store.plot(color="many"))
    assert len(store.plot().axes) == 1
    assert "not known 300" in words(store.plot(color="empty"))


def test_what_cannot_be_drawn(store: Embeddings, make_store: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no column 'rgoup'.*'group'"):
        store.plot(color="rgoup")
    with pytest.raises(InputError, match="'pca' or 'umap'"):
        store.plot(method="tsne")
    with pytest.raises(InputError, match="number of points"):
        store.plot(shown=10**9)
    with pytest.raises(InputError, match="at least 3 rows"):
        store.select([0, 1]).plot()
    with pytest.raises(InputError, match="are the same"):
        Embeddings.load(make_store("same", np.repeat(clouds()[:1], 9, axis=0))).plot()
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(InputError, match=r"pip install \"clipviz\[search\]\""):
        store.plot(method="umap")
