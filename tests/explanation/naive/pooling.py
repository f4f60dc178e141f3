"""The attention pooling of CLIP's ResNet from the numbers alone, so that its cells are known to be read rightly."""

from __future__ import annotations

import math

import numpy as np

from .network import softmax


def attention_pool(weights: dict[str, np.ndarray], cells: np.ndarray, heads: int) -> np.ndarray:
    """Cells of stage 4 [C, h, w] -> embedding [E]: their mean asks itself and all of them."""
    C, h, w = cells.shape
    listed = [cells[:, row, column] for row in range(h) for column in range(w)]
    tokens = [sum(listed) / len(listed), *listed]
    tokens = [t + place for t, place in zip(tokens, weights["attnpool.positional_embedding"], strict=True)]

    def through(name: str, token: np.ndarray) -> np.ndarray:
        return weights[f"attnpool.{name}.weight"] @ token + weights[f"attnpool.{name}.bias"]

    q = through("q_proj", tokens[0])
    k, v = [through("k_proj", t) for t in tokens], [through("v_proj", t) for t in tokens]
    d = C // heads
    out = np.zeros(C)
    for head in range(heads):
        part = slice(head * d, (head + 1) * d)
        probs = softmax(np.array([q[part] @ key[part] / math.sqrt(d) for key in k]))
        out[part] = sum(p * value[part] for p, value in zip(probs, v, strict=True))
    return through("c_proj", out)
