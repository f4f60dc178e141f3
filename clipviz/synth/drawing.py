"""Scenes: coloured shapes on textured grounds, with a caption that names one and the exact mask of each."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError, nearest
from .backdrop import PAINT, pick, plain, textured
from .shapes import OUTLINES
from .words import held_out, pairs

LEVELS = ("easy", "hard")
SPLITS = ("all", "train", "unseen")
SMALLEST, LARGEST = 0.03, 0.10  # of the picture, for each object's mask
CROWD = 4  # objects that fit at the full range of sizes; among more, LARGEST shrinks so that all fit
MOST = 4  # copies of the named pair
GAP = 3  # pixels between two objects
RIM = GAP + 1


@dataclass(frozen=True)
class SceneObject:
    """One drawn thing: its words, its mask (bool [H, W]), its box (x0, y0, x1, y1) in pixels, x1 and y1 excluded."""

    colour: str
    shape: str
    mask: NDArray[np.bool_] = field(repr=False)
    box: tuple[int, int, int, int]

    @property
    def pair(self) -> tuple[str, str]:
        return self.colour, self.shape

    @property
    def caption(self) -> str:
        return f"a {self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """A picture (PIL, RGB), what is in it, and the (colour, shape) pair that the caption names."""

    picture: Image.Image = field(repr=False)
    objects: tuple[SceneObject, ...]
    pair: tuple[str, str]

    @property
    def targets(self) -> tuple[SceneObject, ...]:
        """All objects that the caption names: one, unless ``copies`` was given; none with ``copies=0``."""
        return tuple(thing for thing in self.objects if thing.pair == self.pair)

    @property
    def named(self) -> int:
        """Where in ``objects`` the (first) named one is; InputError where there is none."""
        for k, thing in enumerate(self.objects):
            if thing.pair == self.pair:
                return k
        raise InputError(
            f"This scene holds no {' '.join(self.pair)}: it was drawn with copies=0. "
            "Read scene.targets, which is empty, or draw it with copies=1 or more."
        )

    @property
    def target(self) -> SceneObject:
        """The (first) object that the caption names; InputError where there is none."""
        return self.objects[self.named]

    @property
    def caption(self) -> str:
        return f"a {self.pair[0]} {self.pair[1]}"

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where the named objects are, [H, W]: the pixels whose centres lie inside one."""
        masks = [thing.mask for thing in self.targets]
        if len(masks) == 1:
            return masks[0]
        empty = np.zeros((self.picture.height, self.picture.width), dtype=bool)
        return np.logical_or.reduce([empty, *masks])

    @property
    def seen(self) -> bool:
        """Whether the named pair occurs in training."""
        return not held_out(*self.pair)


class Scenes(Sequence[Scene]):
    """Scenes drawn when they are asked for; scene ``i`` depends on its options, the seed and ``i`` alone."""

    def __init__(self, n: int, seed: int, level: str, size: int, split: str, copies: tuple[int, int] | None = None):
        self.n, self.seed, self.level, self.size, self.split, self.copies = n, seed, level, size, split, copies

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        told = f"n={self.n}, seed={self.seed}, level={self.level!r}, size={self.size}, split={self.split!r}"
        return f"Scenes({told})" if self.copies is None else f"Scenes({told}, copies={self.copies})"

    @overload
    def __getitem__(self, i: int) -> Scene: ...
    @overload
    def __getitem__(self, i: slice) -> list[Scene]: ...
    def __getitem__(self, i: int | slice) -> Scene | list[Scene]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(self.n))]
        i = operator.index(i)
        if not -self.n <= i < self.n:
            raise IndexError(f"Scene {i} was asked for, and there are {self.n}.")
        key = [self.seed, i % self.n, LEVELS.index(self.level), SPLITS.index(self.split), self.size]
        if self.copies is not None:
            key += self.copies  # a key of before ends in a size of 56 or more: no scene is drawn twice
        return _draw(np.random.default_rng(key), self.level, self.size, self.split, self.copies)

    def __iter__(self) -> Iterator[Scene]:
        return (self[i] for i in range(self.n))


def scenes(
    n: int,
    *,
    seed: int = 0,
    level: str = "hard",
    size: int = 224,
    split: str = "all",
    copies: int | tuple[int, int] | None = None,
) -> Scenes:
    """Draw ``n`` pictures of coloured shapes with captions and exact masks.

    ``level="hard"``: 3 or 4 objects, no colour-shape pair twice; one shares the named one's colour and
    another its shape; each mask covers 3 to 10 % of the picture, uniformly placed, not overlapping; the
    ground is textured and cluttered. ``"easy"``: the named object alone, on a plain ground.

    ``copies=2`` or ``(1, 3)`` (from 1 to 3, equally often) draws the named pair that many times, 4 at most: each is
    an object of its own in ``scene.targets``, beside the other 2 or 3. Where that makes more than 4 objects, masks
    cover 3 to 40 / objects % (6.7 % for 6). With 0 the named pair is not there: 3 or 4 others are, the near ones
    among them (one alone for "easy"), and ``scene.target`` raises InputError.

    ``split="all"`` draws from all 64 pairs; ``"train"`` holds no held-out pair anywhere in a picture (see
    `held_out`); ``"unseen"`` names held-out pairs only. ``size`` is the side in pixels, 56 at least. Scenes
    are drawn when asked for, a few milliseconds each. The same seed gives other pictures in another split or with
    ``copies``, so test scenes never repeat training scenes.

    Raises InputError for an unknown level or split, a negative number, a size below 56, or other copies.

    >>> scene = scenes(100, seed=7, copies=(1, 3))[3]
    >>> scene.picture.size, len(scene.targets)
    ((224, 224), 1)
    """
    if level not in LEVELS:
        raise InputError(f"level={level!r} is not a level of scenes. {nearest(str(level), LEVELS)}")
    if split not in SPLITS:
        raise InputError(f"split={split!r} is not a split of scenes. {nearest(str(split), SPLITS)}")
    if n < 0 or seed < 0:
        raise InputError(f"n={n} and seed={seed} were given, and both must be 0 or more.")
    if size < 56:
        raise InputError(f"size={size} is too small to draw shapes; give 56 pixels or more.")
    return Scenes(n, seed, level, size, split, _range(copies))


def _range(copies: Any) -> tuple[int, int] | None:
    """The fewest and the most copies; InputError where they are no such numbers."""
    if copies is None:
        return None
    ends = tuple(copies) if isinstance(copies, tuple | list) else (copies, copies)
    whole = all(isinstance(c, int | np.integer) and not isinstance(c, bool) for c in ends)
    if not whole or len(ends) != 2 or not 0 <= ends[0] <= ends[1] <= MOST:
        raise InputError(
            f"copies={copies!r} does not say how often the named pair is drawn: give a number from 0 to {MOST}, "
            "or the fewest and the most, as copies=(1, 3)."
        )
    return int(ends[0]), int(ends[1])


def _draw(rng: np.random.Generator, level: str, size: int, split: str, copies: tuple[int, int] | None) -> Scene:
    count = 1 if copies is None else int(rng.integers(copies[0], copies[1] + 1))
    named, others = _cast(rng, level, split, absent=count == 0)
    words = [named] * count + others
    while (placed := _place(words, rng, size)) is None:
        pass  # the sizes drawn do not fit together: draw others
    ground = textured if level == "hard" else plain
    canvas = ground(size + 2 * RIM, rng)  # with a rim, so that soft edges need no clipping
    objects = []
    for (colour, shape), (distance, x, y) in zip(words, placed, strict=True):
        h, w = distance.shape
        alpha = np.clip(0.5 - distance, 0, 1)[:, :, None]
        shade = 1 + np.float32(rng.uniform(-0.08, 0.08)) * np.linspace(-1, 1, h, dtype=np.float32)[:, None, None]
        patch = canvas[y : y + h, x : x + w]
        patch += alpha * (pick(PAINT[colour], rng) * shade - patch)
        mask = np.zeros((size, size), dtype=bool)
        box = (x, y, x + w - 2 * RIM, y + h - 2 * RIM)
        mask[box[1] : box[3], box[0] : box[2]] = distance[RIM:-RIM, RIM:-RIM] < 0
        objects.append(SceneObject(colour, shape, mask, box))
    inside = canvas[RIM:-RIM, RIM:-RIM]
    picture = Image.fromarray(np.clip(inside + 0.5, 0, 255).astype(np.uint8))
    order = rng.permutation(len(objects))  # the named one is not always the first
    return Scene(picture, tuple(objects[k] for k in order), named)


def _cast(
    rng: np.random.Generator, level: str, split: str, absent: bool
) -> tuple[tuple[str, str], list[tuple[str, str]]]:
    """The pair that is named and those of the other objects of one scene; more others where the named is ``absent``."""

    def choose(from_: list[tuple[str, str]]) -> tuple[str, str]:
        return from_[rng.integers(len(from_))]

    allowed = pairs("train" if split == "train" else "all")
    named = choose(list(pairs("unseen") if split == "unseen" else allowed))
    if level == "easy":
        return named, [choose([p for p in allowed if p != named])] if absent else []
    words = [named]
    words.append(choose([p for p in allowed if p[0] == named[0] and p not in words]))
    words.append(choose([p for p in allowed if p[1] == named[1] and p not in words]))
    for more in (absent, rng.random() < 0.5):
        if more:
            words.append(choose([p for p in allowed if p not in words]))
    return named, words[1:]


def _place(
    words: list[tuple[str, str]], rng: np.random.Generator, size: int
) -> list[tuple[NDArray[np.floating], int, int]] | None:
    """Signed distances (with a rim) and where each one's rim begins on the rimmed canvas; None where it will not do."""
    whole = size * size
    largest = LARGEST * min(1.0, CROWD / len(words))
    taken = np.zeros((size + 2 * RIM, size + 2 * RIM), dtype=bool)
    placed = []
    for _, shape in words:
        distance = OUTLINES[shape].draw(rng.uniform(SMALLEST, largest) * whole, rng, RIM)
        inside = distance < 0
        if not SMALLEST * whole <= inside.sum() <= largest * whole:
            return None  # a whole number of pixels just beyond the bounds
        distance = _crop(distance, inside)
        h, w = distance.shape
        near = distance < GAP
        for _ in range(20):
            x, y = int(rng.integers(size + 2 * RIM - w + 1)), int(rng.integers(size + 2 * RIM - h + 1))
            if not (taken[y : y + h, x : x + w] & near).any():
                break
        else:
            return None
        taken[y : y + h, x : x + w] |= distance < 0
        placed.append((distance, x, y))
    return placed


def _crop(distance: NDArray[np.floating], inside: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Cut to the mask's box and a rim around it."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return distance[rows[0] - RIM : rows[-1] + RIM + 1, columns[0] - RIM : columns[-1] + RIM + 1]
