"""A score as the sum of what every block, head and patch wrote into the class token (Gandelsman et al. 2024)."""

from __future__ import annotations

import math

import numpy as np

from .network import EPSILON, Net, grid, project, run


def head_decomposition(net: Net, picture: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, float]:
    """The patches' map [h, w] and the remainder; both together are the score."""
    seen = run(net, picture)
    z = seen.streams[-1][0]
    mean = sum(z) / len(z)
    sigma = math.sqrt(sum((x - mean) ** 2 for x in z) / len(z) + EPSILON)
    length = math.sqrt(sum(x * x for x in project(net, z)))

    def contribution(addend: np.ndarray) -> float:
        centred = addend - sum(addend) / len(addend)
        return float((net["ln_post.weight"] * centred / sigma) @ net["proj"] @ direction / length)

    tokens, d = len(seen.streams[0]), net.head_width
    patches = [0.0] * tokens
    remainder = contribution(seen.streams[0][0])
    for l in range(net.layers):
        for head in range(net.heads):
            writes = net.block(l, "attn.out_proj.weight")[:, head * d : (head + 1) * d]  # [D, d]
            for i in range(tokens):
                patches[i] += contribution(seen.probs[l][head, 0, i] * (writes @ seen.v[l][head, i]))
        remainder += contribution(net.block(l, "attn.out_proj.bias"))
        remainder += contribution(seen.mlp[l][0])
    remainder += patches[0]  # what the class token told itself
    remainder += float(net["ln_post.bias"] @ net["proj"] @ direction / length)
    return grid(patches[1:]), remainder
