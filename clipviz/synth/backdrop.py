"""What lies behind the objects: muted textures, and clutter too thin to be taken for an object."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

# Hue in degrees and its spread, then the ranges of saturation and value. Grounds keep to middling
# values and low saturation, so that white and black stand out on them as well as red does.
PAINT: dict[str, tuple[float, float, tuple[float, float], tuple[float, float]]] = {
    "red": (0, 6, (0.80, 1.0), (0.80, 1.0)),
    "yellow": (54, 5, (0.80, 1.0), (0.90, 1.0)),
    "green": (125, 12, (0.75, 1.0), (0.60, 0.85)),
    "cyan": (182, 7, (0.75, 1.0), (0.85, 1.0)),
    "blue": (226, 8, (0.80, 1.0), (0.75, 1.0)),
    "purple": (286, 10, (0.70, 0.95), (0.65, 0.9)),
    "white": (0, 180, (0.00, 0.04), (0.94, 1.0)),
    "black": (0, 180, (0.00, 0.50), (0.00, 0.09)),
}
GROUND = (0.0, 180.0, (0.0, 0.35), (0.35, 0.68))

Paint = tuple[float, float, tuple[float, float], tuple[float, float]]


def pick(paint: Paint, rng: np.random.Generator) -> NDArray[np.floating]:
    """One colour [3] in 0 to 255 out of what goes by a name."""
    hue, spread, saturation, value = paint
    h = ((hue + rng.uniform(-spread, spread)) / 360) % 1.0
    rgb = colorsys.hsv_to_rgb(h, rng.uniform(*saturation), rng.uniform(*value))
    return np.asarray(rgb, dtype=np.float32) * 255


def plain(size: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """One muted colour [size, size, 3]."""
    return np.broadcast_to(pick(GROUND, rng), (size, size, 3)).copy()


def textured(size: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """Two muted colours mixed by a random texture, grain, and clutter drawn thinly [size, size, 3]."""
    mix = _texture(size, rng)[:, :, None]
    ground = pick(GROUND, rng) * mix + pick(GROUND, rng) * (1 - mix)
    grain = np.frombuffer(rng.bytes(size * size), dtype=np.uint8).reshape(size, size, 1)
    ground += (grain.astype(np.float32) - 127.5) * np.float32(rng.uniform(0.02, 0.2))
    image = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    _clutter(image, rng)
    return np.asarray(image, dtype=np.float32)


def _texture(size: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """A field [size, size] in 0 to 1: a gradient, stripes, checks, or blobs of a random coarseness."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    kind = rng.integers(4)
    angle = np.float32(rng.uniform(0, 2 * np.pi))
    along = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
    if kind == 0:
        return np.clip(0.5 + 0.5 * along, 0, 1)
    if kind == 1:
        return 0.5 + 0.5 * np.sin(along * np.float32(rng.uniform(6, 60)) + np.float32(rng.uniform(0, 6)))
    if kind == 2:
        across = np.cos(angle) * axis[:, None] - np.sin(angle) * axis[None, :]
        pitch = np.float32(rng.uniform(6, 30))
        return 0.5 + 0.5 * np.sin(along * pitch) * np.sin(across * pitch)
    cells = int(rng.integers(3, 40))
    coarse = Image.fromarray(rng.integers(0, 256, size=(cells, cells), dtype=np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32) / 255


def _clutter(image: Image.Image, rng: np.random.Generator) -> None:
    """Strokes and speckles of any colour, at most 3 and 4 of 224 pixels thick: far below the smallest object."""
    draw = ImageDraw.Draw(image)
    size = image.width
    unit = size / 224
    for _ in range(int(rng.integers(4, 12))):
        x, y, dx, dy = rng.uniform(0, size), rng.uniform(0, size), *rng.normal(0, size / 5, size=2)
        bend = rng.normal(0, size / 12, size=2)
        points = [(x, y), (x + dx / 2 + bend[0], y + dy / 2 + bend[1]), (x + dx, y + dy)]
        draw.line(points, fill=_any_colour(rng), width=max(1, round(rng.uniform(1, 3) * unit)))
    for _ in range(int(rng.integers(10, 40))):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.5, 2) * unit
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_any_colour(rng))


def _any_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    r, g, b = rng.integers(0, 256, size=3)
    return int(r), int(g), int(b)
