"""Maps made of attention probabilities, with and without the derivative of a score. All [h, w]."""

from __future__ import annotations

import numpy as np

from .gradients import Score, gradients
from .network import Net, grid, run


def attention(net: Net, picture: np.ndarray) -> np.ndarray:
    """Where the class token looks in the last block, the mean over the heads."""
    A = run(net, picture).probs[-1]
    return grid([sum(A[head, 0, i] for head in range(net.heads)) / net.heads for i in range(1, A.shape[1])])


def rollout(net: Net, picture: np.ndarray) -> np.ndarray:
    """Abnar & Zuidema 2020."""
    seen = run(net, picture)
    tokens = len(seen.streams[0])
    R = np.eye(tokens)
    for A in seen.probs:
        mean = sum(A[head] for head in range(net.heads)) / net.heads
        R = (0.5 * mean + 0.5 * np.eye(tokens)) @ R
    return grid(list(R[0, 1:]))


def relevance(net: Net, picture: np.ndarray, score: Score, logit_scale: float, start: int = 0) -> np.ndarray:
    """Chefer et al. 2021, the rule for bi-modal networks whose towers do not mix."""
    seen = run(net, picture)
    G, _ = gradients(net, picture, score)
    tokens = len(seen.streams[0])
    R = np.eye(tokens)
    for l in range(start, net.layers):
        C = np.zeros((tokens, tokens))
        for head in range(net.heads):
            for i in range(tokens):
                for j in range(tokens):
                    C[i, j] += max(0.0, logit_scale * G[l][head, i, j] * seen.probs[l][head, i, j]) / net.heads
        R = R + C @ R
    return grid(list(R[0, 1:]))


def attention_x_gradient(net: Net, picture: np.ndarray, score: Score) -> np.ndarray:
    A = run(net, picture).probs[-1]
    G = gradients(net, picture, score)[0][-1]
    return grid([sum(A[head, 0, i] * G[head, 0, i] for head in range(net.heads)) for i in range(1, A.shape[1])])


def grad_eclip(net: Net, picture: np.ndarray, score: Score) -> np.ndarray:
    """Zhao et al. 2024, before the ReLU of the paper."""
    seen = run(net, picture)
    q, k, v = (np.concatenate(list(part[-1]), axis=1) for part in (seen.q, seen.k, seen.v))  # [T, D], heads joined
    g = gradients(net, picture, score)[1][-1][0]  # [D], of the class token
    cosines = [q[0] @ k[i] / np.sqrt((q[0] @ q[0]) * (k[i] @ k[i])) for i in range(1, len(k))]
    low, high = min(cosines), max(cosines)
    return grid([(c - low) / (high - low) * (g @ v[i]) for i, c in enumerate(cosines, start=1)])
