"""Dense features: each patch is carried into the texts' space and read there. Maps [h, w] of one text's direction."""

from __future__ import annotations

import math

import numpy as np

from .network import Net, attention, grid, in_text_space, mix, mlp, normalised, out_proj, parts, run


def read(net: Net, tokens: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The patches among ``tokens`` [T, D], the class token left out, against ``direction`` [E]."""
    return grid([in_text_space(net, token) @ direction for token in tokens[1:]])


def _before_last(net: Net, picture: np.ndarray) -> tuple[int, np.ndarray]:
    return net.layers - 1, run(net, picture).streams[-2]


def patch_similarity(net: Net, picture: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The unchanged network's last tokens."""
    return read(net, run(net, picture).streams[-1], direction)


def maskclip(net: Net, picture: np.ndarray, direction: np.ndarray, residual: bool = False) -> np.ndarray:
    """Zhou et al. 2022: in the last block every token attends to itself alone; with or without what is about it."""
    last, x = _before_last(net, picture)
    _, _, v = parts(net, last, x)
    alone = np.stack([np.eye(len(x))] * net.heads)
    y = out_proj(net, last, mix(alone, v))
    if residual:
        y = x + y
        y = y + mlp(net, last, y)
    return read(net, y, direction)


def maskclip_resnet(weights: dict[str, np.ndarray], cells: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The same of a ResNet's stage 4 [C, h, w]: each cell through the values' and the output's projection."""
    _, h, w = cells.shape
    found = np.zeros((h, w))
    for row in range(h):
        for column in range(w):
            value = weights["attnpool.v_proj.weight"] @ cells[:, row, column] + weights["attnpool.v_proj.bias"]
            token = weights["attnpool.c_proj.weight"] @ value + weights["attnpool.c_proj.bias"]
            found[row, column] = normalised(token) @ direction
    return found


def sclip(net: Net, picture: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Wang et al. 2023: the sum of two self-correlations, in a last block that is whole otherwise."""
    last, x = _before_last(net, picture)
    q, k, v = parts(net, last, x)
    y = x + out_proj(net, last, mix(attention(q, q) + attention(k, k), v))
    y = y + mlp(net, last, y)
    return read(net, y, direction)


def clearclip(net: Net, picture: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Lan et al. 2024: queries ask queries, and nothing is added to the answer."""
    last, x = _before_last(net, picture)
    q, _, v = parts(net, last, x)
    return read(net, out_proj(net, last, mix(attention(q, q), v)), direction)


def naclip(net: Net, picture: np.ndarray, direction: np.ndarray, std: float = 5.0) -> np.ndarray:
    """Hajimiri et al. 2024: keys ask keys, near ones first, and nothing is added to the answer."""
    last, x = _before_last(net, picture)
    _, k, v = parts(net, last, x)
    tokens, side = len(x), math.isqrt(len(x) - 1)
    A = np.zeros((net.heads, tokens, tokens))
    for head in range(net.heads):
        for i in range(tokens):
            e = []
            for j in range(tokens):
                near = 0.0
                if i > 0 and j > 0:
                    down = (i - 1) // side - (j - 1) // side
                    right = (i - 1) % side - (j - 1) % side
                    near = math.exp(-(down**2 + right**2) / (2 * std**2))
                e.append(math.exp(k[head, i] @ k[head, j] / math.sqrt(net.head_width) + near))
            A[head, i] = np.array(e) / sum(e)
    return read(net, out_proj(net, last, mix(A, v)), direction)
