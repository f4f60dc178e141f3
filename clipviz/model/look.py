"""`Look`: pictures as a model saw them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..frame import Frame

if TYPE_CHECKING:
    from PIL.Image import Image

    from .handle import Model


class Look:
    """Pictures as a model saw them, with what was traced of them: `Model.look`.

    Accepted wherever an image is. What an explainer needs is computed once and kept, so that another text
    for the same picture costs no image pass. ``pixels`` [N, 3, S, S]: the tiles of one picture.
    """

    def __init__(self, model: Model, pixels: Tensor, picture: Image, frame: Frame):
        self.model, self.pixels, self.picture, self.frame = model, pixels, picture, frame
        self._seen: dict[str, Tensor] = {}
        self._made: dict[Hashable, Tensor] = {}

    def trace(self, want: Collection[str] = ()) -> dict[str, Tensor]:
        """The tensors named in ``want``, what `tail` needs beside them, and ``embedding`` [N, E].

        Of a model that is run by open_clip (``model.kind`` "other") only ``embedding`` is to be had.
        """
        want = [name for name in want if name != "embedding"]  # which comes unasked, and is no tap
        seen = self._seen  # replaced whole, never changed: two threads may look at once
        if "embedding" not in seen or not set(want) <= set(seen):
            # Outside of any inference mode of the caller's, whose tensors could not be differentiated through.
            with torch.inference_mode(False), torch.no_grad():
                if self.model.kind == "other" and not want:
                    found = {"embedding": self.model.network.visual(self.pixels)}
                else:
                    found = self.model.clip.visual.trace(self.pixels, want)
            seen = self._seen = {**seen, **found}
        return seen

    @property
    def unit(self) -> Tensor:
        """The unit vectors [N, E] of the tiles."""
        return F.normalize(self.trace()["embedding"], dim=-1)

    def remember(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """What ``make()`` gives, made once for this ``key``: dense features that other texts will ask for again."""
        if key not in self._made:
            with torch.inference_mode(False), torch.no_grad():
                self._made = {**self._made, key: make()}
        return self._made[key]

    def __repr__(self) -> str:
        return (
            f"Look({self.pixels.shape[0]} x {self.model.image_size} px, {self.model.name}, kept: {sorted(self._seen)})"
        )
