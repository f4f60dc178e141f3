"""CLIP Surgery (Li et al. 2023): a second path of value-value attention, and what all texts share taken away."""

from __future__ import annotations

import math

import numpy as np

from .network import Net, Run, attention, grid, in_text_space, mix, out_proj, parts, run


def second_path(net: Net, picture: np.ndarray, depth: int = 6) -> tuple[list[np.ndarray], Run]:
    """F_i [E] of each patch, and the unchanged network's run."""
    seen = run(net, picture)
    start = max(0, net.layers - depth)
    n = seen.streams[start]
    for l in range(start, net.layers):
        _, _, v = parts(net, l, seen.streams[l])  # of the original path
        n = n + out_proj(net, l, mix(attention(v, v), v))
    return [in_text_space(net, token) for token in n[1:]], seen


def of_one_text(net: Net, picture: np.ndarray, text: np.ndarray, empty: np.ndarray, depth: int = 6) -> np.ndarray:
    """[h, w]: a text alone, less the empty text; both unit vectors [E]."""
    F, _ = second_path(net, picture, depth)
    return grid([f @ text - f @ empty for f in F])


def of_labels(net: Net, picture: np.ndarray, labels: list[np.ndarray], depth: int = 6) -> list[np.ndarray]:
    """A map [h, w] for each of two or more unit vectors [E]."""
    F, seen = second_path(net, picture, depth)
    e = [math.exp(2 * (seen.unit @ label)) for label in labels]
    prob = [x / sum(e) for x in e]
    weight = [p / (sum(prob) / len(prob)) for p in prob]
    maps = []
    for t in range(len(labels)):
        values = []
        for f in F:
            weighted = [weight[s] * (f @ labels[s]) for s in range(len(labels))]
            values.append(weighted[t] - sum(weighted) / len(labels))
        maps.append(grid(values))
    return maps
