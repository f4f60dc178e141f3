"""What a cartoon person looks like, drawn by lot before the group and the attribute have any say."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

RGB = tuple[int, int, int]

HAIR = ("bald", "short", "side", "curly", "bob", "long", "bun", "spiky")
CLOTHES = ("crew", "shirt", "v-neck", "jacket")
MOUTHS = ("smile", "flat", "open", "wry")
GROUNDS = ("plain", "gradient", "stripes", "dots", "checks")
CONTRAST = 75.0  # of 255 in brightness, between the attribute and each cloth that it may lie on

_HAIR_PAINT = (  # hue in degrees, saturation, value
    (25, 0.5, 0.15),
    (22, 0.6, 0.35),
    (28, 0.6, 0.55),
    (45, 0.5, 0.88),
    (14, 0.75, 0.72),
    (0, 0.0, 0.75),
    (205, 0.6, 0.65),
    (345, 0.5, 0.85),
)


@dataclass(frozen=True)
class Look:
    """Everything drawn but group and attribute. Lengths are shares of the picture's side, ``turn`` is in degrees."""

    hair: str
    hair_colour: RGB
    clothes: str
    clothes_colour: RGB
    inner_colour: RGB
    mouth: str
    ground: str
    ground_colours: tuple[RGB, RGB]
    ground_pitch: float
    ground_angle: float
    x: float
    y: float
    scale: float
    turn: float
    head_width: float
    head_height: float
    jaw: float
    shoulders: float
    eye_gap: float
    eye_size: float
    iris: RGB
    glasses: bool
    shade: tuple[float, float]
    colour: RGB
    second_colour: RGB
    side: int
    drop: float
    girth: float
    striped: bool


def paint(hue: float, saturation: float, value: float) -> RGB:
    """A colour of 0 to 255 for a hue in degrees, saturation and value in 0 to 1."""
    r, g, b = colorsys.hsv_to_rgb(hue / 360 % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return round(r * 255), round(g * 255), round(b * 255)


def brightness(colour: RGB) -> float:
    """How bright a colour looks, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def mixed(a: RGB, b: RGB, share: float) -> RGB:
    """``a`` with a share of ``b`` in it."""
    r, g, c = (round(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return r, g, c


def draw_look(rng: np.random.Generator) -> Look:
    """One look. The attribute's colours are drawn here too: neither it nor the group can tilt them."""

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def one_of(words: tuple[str, ...]) -> str:
        return words[int(rng.integers(len(words)))]

    hue, saturation, value = _HAIR_PAINT[int(rng.integers(len(_HAIR_PAINT)))]
    hair_colour = paint(hue + between(-6, 6), saturation + between(-0.08, 0.08), value + between(-0.08, 0.08))
    # Clothes are dark or light, never between: then vivid colours, not black and white alone, stand out on them.
    value = between(0.2, 0.42) if rng.random() < 0.5 else between(0.8, 0.98)
    clothes_colour = paint(between(0, 360), between(0.1, 0.75) if value < 0.5 else between(0.05, 0.4), value)
    inner = mixed(clothes_colour, (0, 0, 0) if value < 0.5 else (255, 255, 255), between(0.3, 0.55))
    colour = _standing_out(rng, (clothes_colour, inner))
    towards = (255, 255, 255) if brightness(colour) < 128 else (0, 0, 0)
    ground = paint(between(0, 360), between(0.0, 0.35), between(0.6, 0.98))
    other = mixed(ground, paint(between(0, 360), between(0.0, 0.4), between(0.5, 1.0)), between(0.35, 0.7))
    return Look(
        hair=one_of(HAIR),
        hair_colour=hair_colour,
        clothes=one_of(CLOTHES),
        clothes_colour=clothes_colour,
        inner_colour=inner,
        mouth=one_of(MOUTHS),
        ground=one_of(GROUNDS),
        ground_colours=(ground, other),
        ground_pitch=between(0.06, 0.16),
        ground_angle=between(0, np.pi),
        x=between(0.42, 0.58),
        y=between(0.50, 0.55),
        scale=between(0.82, 1.0),
        turn=between(-7, 7),
        head_width=between(0.145, 0.18),
        head_height=between(0.185, 0.215),
        jaw=between(1.8, 2.7),
        shoulders=between(0.30, 0.40),
        eye_gap=between(0.36, 0.50),
        eye_size=between(0.016, 0.026),
        iris=paint(between(0, 360), between(0.2, 0.7), between(0.1, 0.5)),
        glasses=bool(rng.random() < 0.2),
        shade=(between(-1, 1), between(-1, 1)),
        colour=colour,
        second_colour=mixed(colour, towards, between(0.25, 0.4)),
        side=1 if rng.random() < 0.5 else -1,
        drop=between(0.0, 1.0),
        girth=between(0.0, 1.0),
        striped=bool(rng.random() < 0.5),
    )


def _standing_out(rng: np.random.Generator, cloths: tuple[RGB, ...]) -> RGB:
    """A colour that stands out from each of the cloths."""
    best, reach = (0, 0, 0), -1.0
    for _ in range(24):
        colour = paint(float(rng.uniform(0, 360)), float(rng.uniform(0.45, 1.0)), float(rng.uniform(0.25, 1.0)))
        far = min(abs(brightness(colour) - brightness(cloth)) for cloth in cloths)
        if far >= CONTRAST:
            return colour
        if far > reach:
            best, reach = colour, far
    return best
