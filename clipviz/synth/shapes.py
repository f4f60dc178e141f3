"""The eight shapes as signed distances: below zero inside, so that a mask is exact and an edge is smooth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

STAR_INNER = 0.45  # radius of a star's notches, its points being at 1
MOON = (0.45, 0.8)  # the disc that is cut out of a crescent: where its centre is, its radius


def _circle(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 1


def _box(x: Array, y: Array, a: float, b: float) -> Array:
    return np.maximum(np.abs(x) - a, np.abs(y) - b)


def _triangle(x: Array, y: Array) -> Array:
    side = 0.8660254 * np.abs(x) - 0.5 * y  # both slopes at once, the triangle being symmetric
    return np.maximum(side, y) - 0.5


def _star(x: Array, y: Array) -> Array:
    fifth = 2 * math.pi / 5
    angle = np.arctan2(x, -y)  # from the upward point
    angle = np.abs(angle - fifth * np.round(angle / fifth))  # folded onto one edge: [0, 36 degrees]
    radius = np.hypot(x, y)
    notch = STAR_INNER * math.cos(fifth / 2), STAR_INNER * math.sin(fifth / 2)
    along = notch[0] - 1, notch[1]
    length = math.hypot(*along)
    return ((radius * np.cos(angle) - 1) * along[1] - radius * np.sin(angle) * along[0]) / length


def _cross(x: Array, y: Array) -> Array:
    return np.minimum(_box(x, y, 1, 0.33), _box(x, y, 0.33, 1))


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.79) - 0.21


def _crescent(x: Array, y: Array) -> Array:
    return np.maximum(np.hypot(x, y) - 1, MOON[1] - np.hypot(x - MOON[0], y))


def _lens(d: float, r: float, s: float) -> float:
    """Area that two discs of radii r and s share, their centres d apart."""
    a = (d * d + r * r - s * s) / (2 * d * r)
    b = (d * d + s * s - r * r) / (2 * d * s)
    kite = (-d + r + s) * (d + r - s) * (d - r + s) * (d + r + s)
    return r * r * math.acos(a) + s * s * math.acos(b) - 0.5 * math.sqrt(kite)


@dataclass(frozen=True)
class Shape:
    """A shape of unit size: its signed distance, its area, how far it reaches, how far it may be turned."""

    distance: Callable[[Array, Array], Array]
    area: float
    reach: float
    turn: float = math.radians(15)
    mirrored: bool = False

    def draw(self, area: float, rng: np.random.Generator, rim: int) -> Array:
        """Signed distances in pixels [h, w] of one such shape of ``area`` pixels, turned at random, and a rim."""
        scale = math.sqrt(area / self.area)
        reach = math.ceil(scale * self.reach) + 1 + rim
        angle = rng.uniform(-self.turn, self.turn) + (math.pi if self.mirrored and rng.random() < 0.5 else 0.0)
        dx, dy = rng.uniform(-0.5, 0.5, size=2)
        axis = np.arange(-reach, reach + 1, dtype=np.float32)
        x, y = (axis - np.float32(dx))[None, :], (axis - np.float32(dy))[:, None]
        cos, sin = np.float32(math.cos(angle) / scale), np.float32(math.sin(angle) / scale)
        return self.distance(cos * x + sin * y, cos * y - sin * x) * np.float32(scale)


OUTLINES: dict[str, Shape] = {
    "circle": Shape(_circle, math.pi, 1.0),
    "square": Shape(lambda x, y: _box(x, y, 1, 1), 4.0, math.sqrt(2)),
    "triangle": Shape(_triangle, 3 * math.sqrt(3) / 4, 1.0),
    "star": Shape(_star, 5 * STAR_INNER * math.sin(math.pi / 5), 1.0),
    "cross": Shape(_cross, 4 * 0.66 - 0.66**2, 1.06),
    "ring": Shape(_ring, math.pi * (1 - 0.58**2), 1.0),
    "crescent": Shape(_crescent, math.pi - _lens(MOON[0], 1.0, MOON[1]), 1.0, mirrored=True),
    "bar": Shape(lambda x, y: _box(x, y, 1, 0.27), 4 * 0.27, 1.04, turn=math.pi / 2),
}
