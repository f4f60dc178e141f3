"""The parts of a cartoon person, drawn in the person's own coordinates: (0, 0) is where the neck meets the chest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from .avatar_look import RGB, Look, mixed

Points = Sequence[tuple[float, float]]
Box = tuple[int, int, int, int]

WHITE: RGB = (255, 255, 255)
INK: RGB = (40, 34, 38)


class Pen:
    """Draws on a canvas ``fine`` times larger than the picture; while ``marking``, also into the attribute's mask."""

    def __init__(self, canvas: Image.Image, mask: Image.Image, look: Look):
        self.canvas, self.mask = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
        self.unit = canvas.width * look.scale
        self.at = canvas.width * look.x, canvas.width * look.y
        self.cos, self.sin = math.cos(math.radians(look.turn)), math.sin(math.radians(look.turn))
        self.marking = False

    def place(self, points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        """Where the person's points lie on the canvas."""
        cos, sin, unit, (left, top) = self.cos, self.sin, self.unit, self.at
        return [(left + unit * (cos * x - sin * y), top + unit * (sin * x + cos * y)) for x, y in points]

    def polygon(self, points: Iterable[tuple[float, float]], fill: RGB) -> None:
        placed = self.place(points)
        self.canvas.polygon(placed, fill=fill)
        if self.marking:
            self.mask.polygon(placed, fill=255)

    def line(self, points: Points, fill: RGB, width: float) -> None:
        """A stroke with round joints and ends."""
        placed, thick = self.place(points), max(1, round(width * self.unit))
        r = thick / 2
        for draw, colour in ((self.canvas, fill), (self.mask, 255)) if self.marking else ((self.canvas, fill),):
            draw.line(placed, fill=colour, width=thick, joint="curve")
            for x, y in (placed[0], placed[-1]):
                draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def disc(self, x: float, y: float, rx: float, fill: RGB, ry: float | None = None) -> None:
        self.polygon(oval(x, y, rx, rx if ry is None else ry), fill)


def oval(x: float, y: float, rx: float, ry: float, power: float = 2.0) -> list[tuple[float, float]]:
    """Points of an ellipse; a higher power squares its lower half."""
    points = []
    for angle in np.linspace(0, 2 * math.pi, 48, endpoint=False):
        c, s = math.cos(angle), math.sin(angle)
        p = 2 / power if s > 0 else 1.0
        points.append((x + rx * math.copysign(abs(c) ** p, c), y + ry * math.copysign(abs(s) ** p, s)))
    return points


def curve(*knots: tuple[float, float], steps: int = 14) -> list[tuple[float, float]]:
    """A Bezier curve of three or four knots."""
    points = []
    for t in np.linspace(0, 1, steps).tolist():
        ends: list[tuple[float, float]] = list(knots)
        while len(ends) > 1:
            ends = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for a, b in itertools.pairwise(ends)]
        points.append(ends[0])
    return points


def ground(look: Look, size: int) -> Image.Image:
    """What lies behind: one colour, a gradient, or a light pattern [size, size]."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    cos, sin = np.float32(math.cos(look.ground_angle)), np.float32(math.sin(look.ground_angle))
    along = cos * axis[None, :] + sin * axis[:, None]
    across = cos * axis[:, None] - sin * axis[None, :]
    wave = np.float32(2 * math.pi / look.ground_pitch)
    if look.ground == "plain":
        share = np.zeros_like(along)
    elif look.ground == "gradient":
        share = (along - along.min()) / np.ptp(along)
    elif look.ground == "stripes":
        share = np.clip(0.5 + 2 * np.sin(wave * along), 0, 1)
    elif look.ground == "dots":
        share = np.clip(2 * (np.sin(wave * along) + np.sin(wave * across)) - 2, 0, 1)
    else:
        share = np.clip(0.5 + 4 * np.sin(wave * along) * np.sin(wave * across), 0, 1)
    first, second = (np.asarray(c, dtype=np.float32) for c in look.ground_colours)
    return Image.fromarray((first + share[:, :, None] * (second - first) + 0.5).astype(np.uint8))


def head_points(look: Look) -> list[tuple[float, float]]:
    return oval(0, -0.035 - look.head_height, look.head_width, look.head_height, look.jaw)


def back_hair(pen: Pen, look: Look) -> None:
    """The hair that falls behind the neck."""
    w, h, top = look.head_width, look.head_height, -0.035 - look.head_height
    if look.hair == "long":
        pen.polygon(oval(0, top + 0.09, w * 1.25, h * 1.55, 3.0), look.hair_colour)
    elif look.hair == "bob":
        pen.polygon(oval(0, top, w * 1.24, h * 1.12, 3.5), look.hair_colour)
    elif look.hair == "bun":
        pen.disc(0, top - h * 1.12, w * 0.42, look.hair_colour)
    elif look.hair == "curly":
        for angle in np.linspace(math.pi * 0.95, math.pi * 2.05, 9):
            pen.disc(w * math.cos(angle), top + h * 0.9 * math.sin(angle), w * 0.36, look.hair_colour)
    elif look.hair == "spiky":
        for angle in np.linspace(math.pi * 1.08, math.pi * 1.92, 7):
            a, b = angle - 0.22, angle + 0.22
            tip = (w * 1.32 * math.cos(angle), top + h * 1.28 * math.sin(angle))
            ends = [(w * 0.95 * math.cos(t), top + h * 0.95 * math.sin(t)) for t in (a, b)]
            pen.polygon([ends[0], tip, ends[1]], look.hair_colour)


def front_hair(pen: Pen, look: Look) -> None:
    """The hair on the brow: a cap whose lower edge is the hairline."""
    if look.hair == "bald":
        return
    w, h, middle = look.head_width, look.head_height, -0.035 - look.head_height
    crown = [(w * 1.06 * math.cos(t), middle + h * 1.08 * math.sin(t)) for t in np.linspace(math.pi, 2 * math.pi, 24)]
    right, left = crown[-1], crown[0]
    if look.hair == "side":
        knots = [(look.side * 0.5 * w, middle - h * 0.95), (-look.side * 0.3 * w, middle - h * 0.35)]
        knots = knots if look.side > 0 else knots[::-1]
        low = curve(right, knots[0], knots[1], left)
    elif look.hair in ("bob", "curly"):
        low = curve(right, (w * 0.6, middle - h * 0.55), (-w * 0.6, middle - h * 0.55), left)
    else:
        low = curve(right, (w * 0.7, middle - h * 0.95), (-w * 0.7, middle - h * 0.95), left)
    pen.polygon([*crown, *low], look.hair_colour)


def head(pen: Pen, look: Look, skin: RGB) -> None:
    """Ears, face, eyes, nose and mouth."""
    w, h, middle = look.head_width, look.head_height, -0.035 - look.head_height
    dark = mixed(skin, INK, 0.35)
    for sign in (-1, 1):
        pen.disc(sign * w * 1.0, middle + h * 0.08, w * 0.17, mixed(skin, INK, 0.12), ry=h * 0.2)
    pen.polygon(head_points(look), skin)
    for sign in (-1, 1):
        x, y, r = sign * w * look.eye_gap, middle + h * 0.02, look.eye_size
        pen.disc(x, y, r * 1.35, WHITE, ry=r * 1.2)
        pen.disc(x, y, r * 0.8, look.iris)
        brow = y - r * 2.3
        pen.line(curve((x - r * 1.5, brow + r * 0.3), (x, brow - r * 0.5), (x + r * 1.5, brow + r * 0.3)), dark, 0.011)
        if look.glasses:
            pen.line([*oval(x, y, r * 2.1, r * 1.9), (x + r * 2.1, y)], INK, 0.008)
    if look.glasses:
        inner = w * look.eye_gap - look.eye_size * 2.1
        pen.line([(-inner, middle + h * 0.02), (inner, middle + h * 0.02)], INK, 0.008)
    pen.line(curve((0, middle + h * 0.12), (look.side * 0.022, middle + h * 0.34), (0, middle + h * 0.34)), dark, 0.009)
    y, half = middle + h * 0.6, w * 0.36
    if look.mouth == "smile":
        pen.line(curve((-half, y - 0.01), (0, y + 0.05), (half, y - 0.01)), INK, 0.011)
    elif look.mouth == "flat":
        pen.line([(-half * 0.8, y), (half * 0.8, y)], INK, 0.011)
    elif look.mouth == "open":
        pen.polygon(curve((-half, y - 0.012), (0, y + 0.08), (half, y - 0.012)), INK)
    else:
        pen.line(curve((-half, y), (look.side * half, y + 0.035), (half, y - 0.015)), INK, 0.011)


def torso(pen: Pen, look: Look, skin: RGB) -> None:
    """Neck, shoulders and clothes."""
    pen.polygon([(-0.065, -0.12), (0.065, -0.12), (0.075, 0.05), (-0.075, 0.05)], mixed(skin, INK, 0.15))
    s, cloth = look.shoulders, look.clothes_colour
    right = curve((0.085, 0.0), (s * 0.6, 0.03), (s, 0.05), (s * 1.08, 0.26))
    left = [(-x, y) for x, y in reversed(right)]
    pen.polygon([*right, (s * 1.15, 0.9), (-s * 1.15, 0.9), *left], cloth)
    throat = mixed(skin, INK, 0.15)
    pen.polygon(curve((-0.08, -0.002), (-0.05, 0.06), (0.05, 0.06), (0.08, -0.002)), throat)
    edge = mixed(cloth, INK, 0.35)
    if look.clothes == "crew":
        pen.line(curve((-0.085, 0.0), (-0.05, 0.065), (0.05, 0.065), (0.085, 0.0)), edge, 0.016)
    elif look.clothes == "shirt":
        for sign in (-1, 1):
            pen.polygon(
                [(sign * 0.085, -0.02), (0, 0.05), (sign * 0.075, 0.105), (sign * 0.13, 0.02)], look.inner_colour
            )
    elif look.clothes == "v-neck":
        pen.polygon([(-0.085, 0.0), (0.085, 0.0), (0, 0.17)], look.inner_colour)
        pen.polygon(curve((-0.08, -0.002), (-0.05, 0.06), (0.05, 0.06), (0.08, -0.002)), throat)
        pen.line([(-0.09, 0.0), (0, 0.17), (0.09, 0.0)], edge, 0.014)
    else:
        pen.polygon([(-0.09, 0.0), (0.09, 0.0), (0.0, 0.5)], look.inner_colour)
        pen.polygon(curve((-0.08, -0.002), (-0.05, 0.06), (0.05, 0.06), (0.08, -0.002)), throat)
        for sign in (-1, 1):
            pen.polygon(
                [(sign * 0.085, -0.01), (sign * 0.17, 0.09), (sign * 0.13, 0.15), (sign * 0.01, 0.46)],
                mixed(cloth, INK, 0.2),
            )


def stethoscope(pen: Pen, look: Look) -> None:
    """A tube from both sides of the neck, joined on the chest, and a round chest piece at its end."""
    width, radius = 0.036 + 0.008 * look.girth, 0.078 + 0.014 * look.girth
    join = (0.0, 0.185 + 0.02 * look.drop)
    end = (look.side * (0.13 + 0.03 * look.drop), 0.30 + 0.02 * look.drop)
    for sign in (-1, 1):
        pen.line(curve((sign * 0.10, -0.03), (sign * 0.17, 0.08), (sign * 0.11, 0.15), join), look.colour, width)
    pen.line(curve(join, (0.0, join[1] + 0.13), (end[0] * 0.3, end[1] + 0.08), end), look.colour, width)
    pen.disc(*end, radius, look.colour)
    pen.disc(*end, radius * 0.66, look.second_colour)
    if look.striped:
        pen.disc(*end, radius * 0.3, look.colour)


def tie(pen: Pen, look: Look) -> None:
    """A knot at the throat and a blade down the chest."""
    half, long = 0.066 + 0.014 * look.girth, 0.36 + 0.03 * look.drop
    blade = [(-0.028, 0.085), (0.028, 0.085), (half, long - 0.07), (0.0, long), (-half, long - 0.07)]
    pen.polygon(blade, look.colour)
    if look.striped:
        for top in (0.15, 0.22, 0.29 if long > 0.375 else 0.28):
            wide = 0.028 + (half - 0.028) * (top - 0.085) / (long - 0.155)
            tilt = look.side * 0.02
            pen.polygon(
                [(-wide, top - tilt), (wide, top + tilt), (wide, top + tilt + 0.025), (-wide, top - tilt + 0.025)],
                look.second_colour,
            )
    pen.polygon([(-0.055, 0.02), (0.055, 0.02), (0.03, 0.095), (-0.03, 0.095)], look.colour)
    pen.line([(-0.03, 0.095), (0.03, 0.095)], look.second_colour, 0.01)
