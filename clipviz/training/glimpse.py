"""The pictures of a source without its cache: a check looks at a few and writes nothing."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from PIL import Image

from .captions import Row
from .data_recipe import SourceRecipe
from .drawn import draw
from .pictures import Pictures, Stored

DRAWN = 64  # of scenes and avatars, which take long to draw


class Glimpse(Pictures):
    """A source as `open_pictures` gives it, where what it would decode or draw at first is made when it is asked for.

    ``looked`` is the number of pictures that were made and ``seconds`` what that took. Of a drawn source the first
    few stand for all ``n``, again and again.
    """

    def __init__(self, recipe: SourceRecipe, image_size: int):
        self.recipe, self.side = recipe, recipe.cache_side or round(image_size * 8 / 7)
        self.kept: dict[int, Image.Image] = {}
        self.drawn = 0
        began = time.perf_counter()
        self.stored = Stored(recipe) if recipe.kind == "pictures" else None
        if self.stored is not None:
            self.rows: Sequence[Sequence[Row]] = self.stored.rows
            self.ids: Sequence[str] = self.stored.ids
            self.looked, self.seconds = 0, 0.0
            return
        self.drawn = min(recipe.n, DRAWN)
        pixels, few = draw(dataclasses.replace(recipe, n=self.drawn), self.side, quiet=True)
        self.looked, self.seconds = self.drawn, time.perf_counter() - began
        self.kept = {i: Image.fromarray(one) for i, one in enumerate(pixels)}
        self.rows = [few[i % self.drawn] for i in range(recipe.n)]
        self.ids = [f"{recipe.label}-{i % self.drawn}" for i in range(recipe.n)]

    @property
    def prepared(self) -> bool:
        """Whether the run makes all of them before its first step."""
        return self.stored is None or self.recipe.cache

    @property
    def lost(self) -> list[tuple[str, str]]:
        """(id, reason) of what the source knows to be broken before anything is decoded."""
        return [] if self.stored is None else list(self.stored.source.failed)

    def image(self, i: int) -> Image.Image:
        if self.stored is None:
            return self.kept[i % self.drawn]
        if i in self.kept:
            return self.kept[i]
        began = time.perf_counter()
        try:
            image = self.stored.image(i)
            if self.recipe.cache:
                image = self.kept[i] = central(image, self.side)
        finally:
            self.looked += 1
            self.seconds += time.perf_counter() - began
        return image

    def facts(self, with_caption: int) -> dict[str, Any]:
        """The row of this source in a check's table."""
        return {
            "source": self.recipe.label,
            "pictures": len(self),
            "with a caption": with_caption,
            "empty, dropped": len(self) - with_caption,
            "looked at": self.looked,
            "weight": self.recipe.weight,
        }


def central(image: Image.Image, side: int) -> Image.Image:
    """The central square at ``side`` pixels, as a cache holds it."""
    least = min(image.size)
    x, y = (image.width - least) / 2, (image.height - least) / 2
    return image.resize((side, side), Image.Resampling.BICUBIC, box=(x, y, x + least, y + least))
