"""The words of the scenes, and which pairs of them no training scene ever holds."""

from __future__ import annotations

import functools
import hashlib

COLOURS = ("red", "yellow", "green", "cyan", "blue", "purple", "white", "black")
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "crescent", "bar")


@functools.cache
def held_out(colour: str, shape: str) -> bool:
    """Whether the pair never occurs in training: one pair in five, by a hash that nobody chose.

    The rule: the SHA-256 of ``"<colour> <shape>"`` in UTF-8, read as one big-endian integer, is
    divisible by five. Every word of a pair is trained in other pairs, so such a pair is the true
    zero-shot part: known words, never seen together, not even in the background of a picture.

    >>> sum(held_out(colour, shape) for colour, shape in pairs())
    12
    """
    digest = hashlib.sha256(f"{colour} {shape}".encode()).digest()
    return int.from_bytes(digest, "big") % 5 == 0


@functools.cache
def pairs(split: str = "all") -> tuple[tuple[str, str], ...]:
    """The (colour, shape) pairs: ``"all"`` 64, ``"train"`` those that occur in training, ``"unseen"`` the others."""
    every = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
    if split == "all":
        return every
    return tuple(pair for pair in every if held_out(*pair) == (split == "unseen"))
