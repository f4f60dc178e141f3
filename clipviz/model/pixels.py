"""Pictures that other processes decoded: what these must know of a model, and the vectors of what they send."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError, nearest
from ..frame import VIEWS
from .encoding import Batches
from .handle import Model


def preparation(model: Model, view: str | None = None) -> dict[str, Any]:
    """The arguments of `clipviz.images.squares` for ``model``, plain values that can be sent to another process."""
    view = model.view if view is None else view
    if view not in VIEWS:
        raise InputError(f"view={view!r} is not known; it is one of {', '.join(VIEWS)}. {nearest(view, VIEWS)}")
    cells = model.grid[0] if model.kind != "other" else math.gcd(model.image_size, 16)
    return {
        "size": model.image_size,
        "view": view,
        "mean": model.mean,
        "interpolation": model.interpolation,
        "cell": model.image_size // cells,
        "fill": model.fill if view == model.view == "pad" else None,
    }


def encode_squares(model: Model, pictures: Sequence[NDArray[np.uint8]], *, batch_size: int = 32) -> NDArray[np.float32]:
    """Unit vectors [N, E] of pictures as `clipviz.images.squares` gives them, each uint8 [tiles, S, S, 3].

    Equal to ``model.encode_images`` of the same pictures in the same batches.

    >>> squares, _ = clipviz.images.squares(picture, **preparation(model))  # doctest: +SKIP
    >>> encode_squares(model, [squares]).shape  # doctest: +SKIP
    (1, 512)
    """
    if not pictures:
        return np.zeros((0, model.embed_dim), np.float32)
    batches = Batches(batch_size)
    with torch.inference_mode():
        pixels = _normalised(model, np.concatenate(list(pictures)))
        return np.stack(model.mean_of_tiles(pixels, [len(picture) for picture in pictures], batches))


def _normalised(model: Model, squares: NDArray[np.uint8]) -> Tensor:
    """[N, S, S, 3] -> float32 [N, 3, S, S] on the model's device, by the steps of `clipviz.images.normalised`."""
    given = torch.from_numpy(squares).to(model.device)  # bytes travel: a quarter of what the floats would be
    mean, std = (
        torch.tensor(v, dtype=torch.float32, device=model.device).view(3, 1, 1) for v in (model.mean, model.std)
    )
    out = torch.empty(len(given), 3, *given.shape[1:3], device=model.device)
    step = 1 if model.device.type == "cpu" else len(given)  # one at a time stays in a core's cache
    for start in range(0, len(given), step):
        some = out[start : start + step]
        some.copy_(given[start : start + step].permute(0, 3, 1, 2))
        some.div_(255).sub_(mean).div_(std)
    return out
