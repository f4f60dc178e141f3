"""The map of a store: its vectors on two axes, with what the axes show and what they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, InputError, nearest
from .queries import Block, Floats

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Canvas
    from .embeddings import Embeddings

METHODS = ("pca", "umap")
NEIGHBOURS, ASKED = 10, 2000  # how many neighbours of a point are compared, of so many points
_FEW = 12  # different numbers of a column that are groups still
_UMAP_NEIGHBOURS = 15

Doubles = NDArray[np.float64]


def principal(blocks: Iterable[Block], width: int) -> tuple[Doubles, Doubles, Doubles]:
    """Mean [E], the first two principal components [2, E] and their shares of the variance [2].

    Exact, from one reading: sums and products in float64, block by block, and the eigenvectors of the covariance. A
    component's sign is free; here its largest number is positive. Equal to scikit-learn's PCA, which wants all at once.
    """
    count, shift, total, products = 0, np.zeros(width, np.float32), np.zeros(width), np.zeros((width, width))
    for _, block in blocks:
        if not count:
            shift = block.mean(axis=0)  # near the mean: the squares of what all have in common would drown the rest
        apart = block - shift
        count += len(block)
        total += apart.sum(axis=0, dtype=np.float64)
        products += apart.T @ apart
    if count < 3:
        raise InputError(f"A map wants at least 3 rows, got {count}; select more.")
    mean = total / count
    variances, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    axes = vectors[:, [-1, -2]].T
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    whole = variances.clip(0).sum()
    if not whole > 1e-10:
        raise InputError(f"All {count} vectors are the same, and there is nothing to spread over a map.")
    return mean + shift, axes, variances[[-1, -2]].clip(0) / whole


def kept_neighbours(vectors: Floats, points: Doubles) -> float:
    """The share of each vector's 10 nearest, among those given, that are among its 10 nearest on the map."""
    near = _nearest(-(vectors @ vectors.T))
    lengths = (points**2).sum(axis=1)
    on_map = _nearest(lengths[:, None] + lengths[None] - 2 * points @ points.T)
    return float(np.mean([len({*a} & {*b}) / len(a) for a, b in zip(near.tolist(), on_map.tolist(), strict=True)]))


def _nearest(distances: NDArray[Any]) -> NDArray[np.intp]:
    np.fill_diagonal(distances, np.inf)
    return np.argpartition(distances, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]


def drawn(embeddings: Embeddings, color: str | None, *, method: str, shown: int, seed: int) -> Canvas:
    """The figure of `Embeddings.plot`."""
    from .. import plots

    if method not in METHODS:
        raise InputError(f"method={method!r} is not known; it is 'pca' or 'umap'.")
    if color is not None and color not in embeddings.columns:
        raise DataError(f"There is no column {color!r} to colour by. {nearest(color, embeddings.columns)}")
    if isinstance(shown, bool) or not isinstance(shown, int) or not 3 <= shown <= plots.MOST_POINTS:
        raise InputError(f"shown={shown!r} is no number of points; type one from 3 to {plots.MOST_POINTS:,}.")
    chosen = embeddings
    if len(embeddings) > shown:
        chosen = embeddings.select(np.random.default_rng(seed).choice(len(embeddings), shown, replace=False))
    width = embeddings.stored.width
    vectors = chosen.to_numpy()
    if method == "pca":
        mean, axes, shares = principal(embeddings.stored.blocks(embeddings.rows), width)
        points = (vectors - mean) @ axes.T
        first, second = (f"principal component {i + 1}: {share:.1%} of the variance" for i, share in enumerate(shares))
        said = (
            f"The two axes hold {shares.sum():.1%} of the variance of {len(embeddings):,} vectors in {width} "
            f"dimensions, and {1 - shares.sum():.1%} is not shown: groups that overlap here may lie apart in the "
            "others. No difference is tested."
        )
    else:
        points = _umap(vectors, seed)
        first, second = "UMAP 1, no unit and no share of variance", "UMAP 2"
        said = (
            f"UMAP ({_UMAP_NEIGHBOURS} neighbours, cosine, seed {seed}) keeps neighbourhoods: how far apart groups "
            "are, how large and how dense they are means nothing, and noise can look like groups."
        )
    few = np.random.default_rng(seed).permutation(len(points))[:ASKED]
    if len(few) > 2 * NEIGHBOURS:
        kept, chance = kept_neighbours(vectors[few], points[few]), NEIGHBOURS / (len(few) - 1)
        said += (
            f" Of a point's {NEIGHBOURS} nearest in all dimensions {kept:.0%} are among its {NEIGHBOURS} nearest here "
            f"(chance {chance:.1%}; {len(few):,} points)."
        )
    if len(chosen) < len(embeddings):
        said += f" {len(chosen):,} of {len(embeddings):,} are drawn, by chance (seed {seed}); the counts are of all."
    if color is not None:
        said += f" {color!r} is as the data have it."
    half = "" if embeddings.part == "all" else f", half {embeddings.part!r}"
    return plots.scatter(
        points, **_colours(embeddings, chosen, color), name=color or "", axes_names=(first, second),
        equal=method == "pca",
        title=f"{embeddings.manifest.model['model']}: {len(embeddings):,} {embeddings.manifest.kind}{half}",
        caption=said,
    )  # fmt: skip


def _colours(embeddings: Embeddings, chosen: Embeddings, color: str | None) -> dict[str, Any]:
    """What `plots.scatter` is to colour by: groups, or numbers of many values."""
    if color is None:
        return {}
    every, here = (view.table([color])[color].to_pandas() for view in (embeddings, chosen))
    if every.dtype.kind in "iuf" and every.nunique() > _FEW:
        return {"values": here.astype(float).to_numpy()}
    return {"groups": _words(here), "counts": dict(Counter(_words(every)))}


def _words(column: pd.Series) -> list[str | None]:
    return [None if empty else str(value) for value, empty in zip(column, column.isna(), strict=True)]


def _umap(vectors: Floats, seed: int) -> Doubles:
    try:
        import umap  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise InputError(
            "method='umap' needs the package umap-learn, which is not installed: pip install \"clipviz[search]\", or "
            "take method='pca'."
        ) from None
    if len(vectors) <= _UMAP_NEIGHBOURS:
        raise InputError(f"UMAP wants more than {_UMAP_NEIGHBOURS} rows, got {len(vectors)}; take method='pca'.")
    import torch

    fit = umap.UMAP(n_neighbors=_UMAP_NEIGHBOURS, metric="cosine", random_state=seed, n_jobs=1)
    threads = torch.get_num_threads()
    try:
        return np.asarray(fit.fit_transform(vectors), dtype=np.float64)
    finally:
        torch.set_num_threads(threads)  # numba sets those of all that share its OpenMP, and leaves them so
