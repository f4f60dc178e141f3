"""Pairs of avatars that differ in one thing only: what a model answers differently, it answers by that thing."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest
from .avatar import ATTRIBUTES, GROUPS, Avatar, Avatars, avatars

DIFFER = {"attribute": ATTRIBUTES, "group": GROUPS, "glasses": ("glasses", "none")}


@dataclass(frozen=True)
class AvatarPair:
    """Two pictures of one person. ``differ`` says in what: ``one`` has ``values[0]`` of it, ``other`` ``values[1]``."""

    one: Avatar = field(repr=False)
    other: Avatar = field(repr=False)
    differ: str

    @property
    def values(self) -> tuple[str, str]:
        return DIFFER[self.differ]

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Where the two pictures are not the same, [H, W]."""
        one, other = (np.asarray(avatar.picture) for avatar in (self.one, self.other))
        return np.asarray((one != other).any(axis=2))


class AvatarPairs(Sequence[AvatarPair]):
    """Pairs drawn when they are asked for; see `avatar_pairs`."""

    def __init__(self, people: Avatars, differ: str):
        self.people, self.differ = people, differ

    def __len__(self) -> int:
        return len(self.people)

    def __repr__(self) -> str:
        return f"AvatarPairs(n={len(self)}, differ={self.differ!r}, seed={self.people.seed}, size={self.people.size})"

    @overload
    def __getitem__(self, i: int) -> AvatarPair: ...
    @overload
    def __getitem__(self, i: slice) -> list[AvatarPair]: ...
    def __getitem__(self, i: int | slice) -> AvatarPair | list[AvatarPair]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        look, group, attribute = self.people.drawn(operator.index(i))
        both = []
        for place, value in enumerate(DIFFER[self.differ]):
            said = {"group": group, "attribute": attribute, self.differ: value}
            worn = replace(look, glasses=place == 0) if self.differ == "glasses" else look
            both.append(self.people.draw(worn, said["group"], said["attribute"]))
        return AvatarPair(both[0], both[1], self.differ)

    def __iter__(self) -> Iterator[AvatarPair]:
        return (self[i] for i in range(len(self)))


def avatar_pairs(
    n: int,
    *,
    differ: str = "attribute",
    seed: int = 0,
    rates: Mapping[str, float] | None = None,
    shares: Mapping[str, float] | None = None,
    size: int = 224,
) -> AvatarPairs:
    """Draw ``n`` cartoon people twice, each time alike but for one thing.

    ``differ`` names it: "attribute" (a stethoscope, then a tie), "group" (moss, then plum) or "glasses" (with, then
    without). Nothing else moves: person ``i`` is avatar ``i`` of `avatars` with the same seed, size, rates and shares,
    one of the two being that very picture. So the effect of the thing on a model's answer is a difference within
    pairs, free of everything else that is drawn.

    Raises InputError for another ``differ``, and as `avatars` does.

    >>> pair = avatar_pairs(10, differ="group", seed=7)[3]
    >>> pair.one.group, pair.other.group, pair.one.attribute == pair.other.attribute
    ('moss', 'plum', True)
    """
    if differ not in DIFFER:
        raise InputError(f"differ={differ!r} is nothing that pairs differ in. {nearest(str(differ), list(DIFFER))}")
    return AvatarPairs(avatars(n, seed=seed, rates=rates, shares=shares, size=size), differ)
