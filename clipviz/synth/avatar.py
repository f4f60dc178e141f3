"""Avatars: cartoon people of two invented groups, each with a stethoscope or a tie, at rates that the caller sets."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError, nearest
from ..files import replace, write
from .avatar_look import RGB, Look, draw_look, paint
from .avatar_parts import Pen, back_hair, front_hair, ground, head, head_points, stethoscope, tie, torso

GROUPS = ("moss", "plum")
ATTRIBUTES = ("stethoscope", "tie")
_SKIN = {"moss": (95.0, 0.40, 0.70), "plum": (292.0, 0.36, 0.70)}  # hue in degrees, saturation, value
_KEY = 0xA7A7A5  # keeps these draws apart from those of the scenes of the same seed
_PARTS = {"stethoscope": stethoscope, "tie": tie}


@dataclass(frozen=True)
class Avatar:
    """A picture (PIL, RGB) of one person; boxes are (x0, y0, x1, y1) in pixels, x1 and y1 excluded.

    ``box`` holds the face; ``attribute_mask`` [H, W] is where the attribute is, to the pixel; ``look`` tells
    whatever else was drawn, which neither the group nor the attribute has any part in.
    """

    picture: Image.Image = field(repr=False)
    group: str
    attribute: str
    box: tuple[int, int, int, int]
    attribute_mask: NDArray[np.bool_] = field(repr=False)
    look: Look = field(repr=False)

    @property
    def caption(self) -> str:
        return f"a person with a {self.attribute}"

    @property
    def attribute_box(self) -> tuple[int, int, int, int]:
        rows, columns = (np.flatnonzero(self.attribute_mask.any(axis=a)) for a in (1, 0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


class Avatars(Sequence[Avatar]):
    """Avatars drawn when they are asked for; see `avatars`."""

    def __init__(self, n: int, seed: int, size: int, rates: dict[str, float], shares: dict[str, float] | None):
        self.n, self.seed, self.size, self.rates, self.shares = n, seed, size, rates, shares

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        return f"Avatars(n={self.n}, seed={self.seed}, size={self.size}, rates={self.rates}, shares={self.shares})"

    @overload
    def __getitem__(self, i: int) -> Avatar: ...
    @overload
    def __getitem__(self, i: slice) -> list[Avatar]: ...
    def __getitem__(self, i: int | slice) -> Avatar | list[Avatar]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(self.n))]
        return self.draw(*self.drawn(i))

    def __iter__(self) -> Iterator[Avatar]:
        return (self[i] for i in range(self.n))

    def drawn(self, i: int) -> tuple[Look, str, str]:
        """The look, the group and the attribute of avatar ``i``, without its picture."""
        rng, group, attribute = self._lots(i)
        return draw_look(rng), group, attribute

    def draw(self, look: Look, group: str, attribute: str) -> Avatar:
        """An avatar of this size that looks as it is told to."""
        return _draw(look, self.size, group, attribute)

    def _lots(self, i: int) -> tuple[np.random.Generator, str, str]:
        """The generator for the look, the group and the attribute of avatar ``i``, nothing being drawn yet."""
        i = operator.index(i)
        if not -self.n <= i < self.n:
            raise IndexError(f"Avatar {i} was asked for, and there are {self.n}.")
        i %= self.n
        rng = np.random.default_rng([_KEY, self.seed, i, self.size])
        by_share, by_rate = rng.random(2)  # both always, so that no option moves what is drawn after
        group = GROUPS[i % 2] if self.shares is None else GROUPS[int(by_share >= self.shares[GROUPS[0]])]
        return rng, group, ATTRIBUTES[int(by_rate >= self.rates[group])]

    def table(self) -> list[dict[str, Any]]:
        """One row for each avatar, in order: id, group, attribute and the face's box."""
        rows = []
        for i in range(self.n):
            look, group, attribute = self.drawn(i)
            rows.append({"id": i, "group": group, "attribute": attribute, "box": _face(look, self.size)})
        return rows

    def save(self, folder: str | Path) -> Path:
        """Write the pictures as PNG into ``folder``, and avatars.csv beside them, which `clipviz.open_source` reads.

        Its columns: path, group, attribute, and the face's ``box`` as "[x0, y0, x1, y1]". The path of it is given.
        """
        folder, lines = Path(folder), ["path,group,attribute,box"]
        folder.mkdir(parents=True, exist_ok=True)
        for i, avatar in enumerate(self):
            name = f"{i:05d}.png"
            replace(folder / name, partial(avatar.picture.save, format="PNG"))
            lines.append(f'{name},{avatar.group},{avatar.attribute},"{list(avatar.box)}"')
        return write(folder / "avatars.csv", "\n".join(lines) + "\n")


def avatars(
    n: int,
    *,
    seed: int = 0,
    rates: Mapping[str, float] | None = None,
    shares: Mapping[str, float] | None = None,
    size: int = 224,
) -> Avatars:
    """Draw ``n`` cartoon people of two invented groups, each with a stethoscope or a tie.

    The groups are told by the tint of the skin: moss green or plum violet. ``rates`` maps a group to the
    chance of the stethoscope, 0.5 where it is not named; the others wear the tie. The groups alternate,
    or are drawn by ``shares`` (one may be left out: it is the rest of 1). ``size`` is the side in pixels,
    56 at least. Avatars are drawn when asked for, a few milliseconds each.

    Avatar ``i`` depends on seed, size and ``i``; rates and shares decide its attribute and its group and
    change nothing else in the picture. So the same seed with other rates gives pairs that differ in the
    attribute alone, and with other shares pairs that differ in the group alone.

    Raises InputError for an unknown group, a rate outside 0 to 1, shares that do not add up to 1, a
    negative number or a size below 56.

    >>> avatars(100, seed=7, rates={"moss": 0.9, "plum": 0.1})[3].picture.size
    (224, 224)
    """
    if n < 0 or seed < 0:
        raise InputError(f"n={n} and seed={seed} were given, and both must be 0 or more.")
    if size < 56:
        raise InputError(f"size={size} is too small to tell a tie; give 56 pixels or more.")
    chances = dict.fromkeys(GROUPS, 0.5) | _checked("rates", {} if rates is None else rates)
    parts = None
    if shares is not None:
        parts = _checked("shares", shares)
        if len(parts) == 1:
            (named,) = parts
            parts[GROUPS[1 - GROUPS.index(named)]] = 1 - parts[named]
        if not math.isclose(sum(parts.values()), 1, abs_tol=1e-6):
            raise InputError(f"shares={dict(shares)} do not add up to 1; give the share of one group alone.")
    return Avatars(n, seed, size, chances, parts)


def _checked(name: str, values: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise InputError(f"{name}={values!r} names no group; give a number for each: {{'moss': 0.9}}.")
    for group, value in values.items():
        if group not in GROUPS:
            raise InputError(f"{name} names {group!r}, which is no group of avatars. {nearest(str(group), GROUPS)}")
        if not isinstance(value, Real) or not 0 <= float(value) <= 1:
            raise InputError(f"{name}[{group!r}]={value!r} was given; give a number from 0 to 1.")
    return {group: float(value) for group, value in values.items()}


def _skin(group: str, look: Look) -> RGB:
    hue, saturation, value = _SKIN[group]
    return paint(hue + 10 * look.shade[0], saturation, value + 0.12 * look.shade[1])


def _fine(size: int) -> int:
    """How many times larger than the picture it is drawn, for smooth edges."""
    return 3 if size >= 160 else 4


def _face(look: Look, size: int) -> tuple[int, int, int, int]:
    """The face's box, cut to the picture."""
    blank = Image.new("L", (1, 1))
    pen = Pen(blank, blank, look)  # a canvas of one pixel: places are shares of the side
    points = np.clip(np.asarray(pen.place(head_points(look))) * size, 0, size)
    (x0, y0), (x1, y1) = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
    return int(x0), int(y0), int(x1), int(y1)


def _draw(look: Look, size: int, group: str, attribute: str) -> Avatar:
    fine = _fine(size)
    canvas = ground(look, size).resize((size * fine, size * fine), Image.Resampling.NEAREST)
    mask = Image.new("L", canvas.size)
    pen, skin = Pen(canvas, mask, look), _skin(group, look)
    back_hair(pen, look)
    torso(pen, look, skin)
    head(pen, look, skin)
    front_hair(pen, look)
    pen.marking = True  # the attribute comes last: nothing covers it
    _PARTS[attribute](pen, look)
    covered = np.asarray(mask.reduce(fine)) >= 128
    return Avatar(canvas.reduce(fine), group, attribute, _face(look, size), covered, look)
