"""CLIP's vision transformer once more, from the numbers alone: numpy, float64, one loop a head and a token.

Slow and plain on purpose. It shares no line with the package, which is tested against it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

EPSILON = 1e-5  # of every layer norm


@dataclass
class Net:
    """The parameters of ``clip.visual`` by name, in float64, and the numbers that their shapes do not tell."""

    weights: Mapping[str, np.ndarray]
    heads: int
    quick_gelu: bool

    def __getitem__(self, name: str) -> np.ndarray:
        return self.weights[name]

    def block(self, l: int, name: str) -> np.ndarray:
        return self.weights[f"transformer.resblocks.{l}.{name}"]

    @property
    def layers(self) -> int:
        return len([name for name in self.weights if name.endswith("attn.in_proj_weight")])

    @property
    def width(self) -> int:
        return len(self.weights["class_embedding"])

    @property
    def head_width(self) -> int:
        return self.width // self.heads


@dataclass
class Run:
    """What one picture leaves behind, by block: ``streams[l]`` [T, D] stands before block l, the last after all."""

    streams: list[np.ndarray] = field(default_factory=list)
    q: list[np.ndarray] = field(default_factory=list)  # [H, T, d]
    k: list[np.ndarray] = field(default_factory=list)
    v: list[np.ndarray] = field(default_factory=list)
    probs: list[np.ndarray] = field(default_factory=list)  # [H, T, T]
    heads: list[np.ndarray] = field(default_factory=list)  # [T, D], before the output projection
    attn: list[np.ndarray] = field(default_factory=list)  # [T, D], after it
    mlp: list[np.ndarray] = field(default_factory=list)  # [T, D]
    embedding: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [E]

    @property
    def unit(self) -> np.ndarray:
        return normalised(self.embedding)


def normalised(vector: np.ndarray) -> np.ndarray:
    return vector / math.sqrt(sum(x * x for x in vector))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Of one row [T]."""
    e = np.array([math.exp(x - max(logits)) for x in logits])
    return e / e.sum()


def layer_norm(token: np.ndarray, gain: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Of one token [D]."""
    mean = sum(token) / len(token)
    variance = sum((x - mean) ** 2 for x in token) / len(token)
    return (token - mean) / math.sqrt(variance + EPSILON) * gain + shift


def gelu(x: float, quick: bool) -> float:
    if quick:
        return x / (1 + math.exp(-1.702 * x))
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def embed(net: Net, picture: np.ndarray) -> np.ndarray:
    """Pixels [3, S, S] -> the first stream [T, D]: the class token, then the patches row by row."""
    kernels = net["conv1.weight"]  # [D, 3, p, p]
    p = kernels.shape[-1]
    tokens = [net["class_embedding"]]
    for row in range(picture.shape[1] // p):
        for column in range(picture.shape[2] // p):
            patch = picture[:, row * p : (row + 1) * p, column * p : (column + 1) * p]
            tokens.append(np.array([(kernel * patch).sum() for kernel in kernels]))
    placed = [token + place for token, place in zip(tokens, net["positional_embedding"], strict=True)]
    return np.stack([layer_norm(t, net["ln_pre.weight"], net["ln_pre.bias"]) for t in placed])


def first_norm(net: Net, l: int, x: np.ndarray) -> np.ndarray:
    return np.stack([layer_norm(t, net.block(l, "ln_1.weight"), net.block(l, "ln_1.bias")) for t in x])


def parts(net: Net, l: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries, keys and values [H, T, d] of block ``l`` before which the stream is ``x``."""
    weight, bias = net.block(l, "attn.in_proj_weight"), net.block(l, "attn.in_proj_bias")
    D, d = net.width, net.head_width
    three = np.zeros((3, net.heads, len(x), d))
    for i, token in enumerate(first_norm(net, l, x)):
        long = weight @ token + bias  # [3 D]: all queries, all keys, all values
        for part in range(3):
            for head in range(net.heads):
                start = part * D + head * d
                three[part, head, i] = long[start : start + d]
    return three[0], three[1], three[2]


def attention(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """softmax(s a b^T) for each head: [H, T, d] twice -> [H, T, T]."""
    heads, tokens, d = a.shape
    A = np.zeros((heads, tokens, tokens))
    for head in range(heads):
        for i in range(tokens):
            A[head, i] = softmax(np.array([a[head, i] @ b[head, j] / math.sqrt(d) for j in range(tokens)]))
    return A


def mix(A: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The heads' outputs side by side: [H, T, T], [H, T, d] -> [T, D]."""
    heads, tokens, d = v.shape
    out = np.zeros((tokens, heads * d))
    for head in range(heads):
        for i in range(tokens):
            out[i, head * d : (head + 1) * d] = sum(A[head, i, j] * v[head, j] for j in range(tokens))
    return out


def out_proj(net: Net, l: int, heads: np.ndarray) -> np.ndarray:
    weight, bias = net.block(l, "attn.out_proj.weight"), net.block(l, "attn.out_proj.bias")
    return np.stack([weight @ token + bias for token in heads])


def mlp(net: Net, l: int, x: np.ndarray) -> np.ndarray:
    """What the MLP of block ``l`` adds to the stream ``x`` [T, D]."""
    rows = []
    for token in x:
        h = layer_norm(token, net.block(l, "ln_2.weight"), net.block(l, "ln_2.bias"))
        h = net.block(l, "mlp.c_fc.weight") @ h + net.block(l, "mlp.c_fc.bias")
        h = np.array([gelu(value, net.quick_gelu) for value in h])
        rows.append(net.block(l, "mlp.c_proj.weight") @ h + net.block(l, "mlp.c_proj.bias"))
    return np.stack(rows)


def project(net: Net, token: np.ndarray) -> np.ndarray:
    """A token [D] in the texts' space [E], of any length."""
    return layer_norm(token, net["ln_post.weight"], net["ln_post.bias"]) @ net["proj"]


def in_text_space(net: Net, token: np.ndarray) -> np.ndarray:
    return normalised(project(net, token))


def run(net: Net, picture: np.ndarray, nudge: tuple[str, int, tuple[int, ...], float] | None = None) -> Run:
    """Pixels [3, S, S] through the network. ``nudge`` (what, block, index, by) adds to one number on the way.

    What is "probs" or "heads"; all that follows is computed from the changed number: for finite differences.
    """
    seen = Run()
    x = embed(net, picture)
    for l in range(net.layers):
        seen.streams.append(x)
        q, k, v = parts(net, l, x)
        A = attention(q, k)
        if nudge is not None and nudge[:2] == ("probs", l):
            A[nudge[2]] += nudge[3]
        heads = mix(A, v)
        if nudge is not None and nudge[:2] == ("heads", l):
            heads[nudge[2]] += nudge[3]
        attn = out_proj(net, l, heads)
        x = x + attn
        change = mlp(net, l, x)
        x = x + change
        for kept, value in (
            (seen.q, q), (seen.k, k), (seen.v, v), (seen.probs, A), (seen.heads, heads), (seen.attn, attn),
            (seen.mlp, change),
        ):  # fmt: skip
            kept.append(value)
    seen.streams.append(x)
    seen.embedding = project(net, x[0])
    return seen


def grid(values: list[float]) -> np.ndarray:
    """One number a patch, row by row -> [h, w]."""
    side = math.isqrt(len(values))
    return np.array(values).reshape(side, side)
