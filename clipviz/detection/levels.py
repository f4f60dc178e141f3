"""A picture as the model sees it at several sizes, square by square, and the dense evidence of each size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL.Image import Image

from ..errors import InputError, ModelError
from ..explanation.registry import check_maps, check_options, find_explainer
from ..explanation.target import Target
from ..frame import Frame
from ..model import Look, Model, at_size
from .asking import Asked
from .pyramid import cut, level, pyramid

if TYPE_CHECKING:
    from tqdm import tqdm

CELLS = 14  # a side that the whole picture is seen with at least: coarser grids cannot draw a box
AT_ONCE = 16  # squares in memory together
# What is measured best as evidence for boxes, where the model's card names no explainer of its own.
EXPLAINERS = {"vit": "head_decomposition", "resnet": "maskclip"}


@dataclass(frozen=True, eq=False)
class Level:
    """One size of a picture: what each square scores with each label, and where the evidence is.

    ``margins`` [T, P] of the T squares of ``frame``; ``maps`` [P, h, w] stitched over the whole picture, in the
    explainer's own unit.
    """

    frame: Frame
    margins: NDArray[np.float64]
    maps: NDArray[np.float32]


def default_explainer(model: Model) -> str:
    """The explainer that gives evidence for boxes where none is named: of the model's card, else of its kind."""
    if model.kind not in EXPLAINERS:
        raise ModelError(
            f"{model.name} shows no patches, and dense scores need them: take method='grid', which asks crops."
        )
    named = model.card.get("explainer")
    return named if isinstance(named, str) and named in ("maskclip", "clearclip", "naclip") else EXPLAINERS[model.kind]


def seen_at(
    asked: Asked, picture: Image, explainer: str, options: Mapping[str, Any], smallest: float, most: int,
    bar: tqdm[Any] | None = None,
) -> tuple[list[Level], tuple[str, ...]]:  # fmt: skip
    """Every `Level` of a picture, the whole of it first, and notes of what was left out.

    ``smallest`` is the side in pixels of the smallest thing of interest. Where one square shows all that there is to
    see, the whole picture is seen at a finer grid too, if the model's own has under 14 cells a side.
    """
    model = asked.model
    cell = model.image_size // model.grid[0]
    plan = pyramid(picture.size, model.image_size, cell, smallest=smallest, most=most)
    seen = [(model, frame) for frame in plan.frames]
    finer = -(-CELLS // model.grid[0])
    if finer > 1 and len(seen) == 1:  # squares of the next size show more than interpolated positions do
        large = _finer(model, model.image_size * finer)
        seen.insert(
            1, (large, level(picture.size, large.image_size, cell, large.image_size / min(picture.size), most=most))
        )
    if bar is not None:
        bar.reset(total=sum(len(frame.tiles) for _, frame in seen))
    return [_level(asked, by, picture, frame, explainer, options, bar) for by, frame in seen], plan.notes


def _finer(model: Model, size: int) -> Model:
    """``model`` at a larger input, made once and kept with it; all but the positions are the same tensors."""
    kept: dict[int, Model] = model.__dict__.setdefault("_finer", {})
    if size not in kept:
        kept[size] = large = at_size(model, size)
        own = dict(model.clip.named_parameters())
        for name, parameter in large.clip.named_parameters():
            if own[name].shape == parameter.shape:
                parameter.data = own[name].data
    return kept[size]


def _level(
    asked: Asked, model: Model, picture: Image, frame: Frame, name: str, options: Mapping[str, Any],
    bar: tqdm[Any] | None,
) -> Level:  # fmt: skip
    """The squares of a frame, a few at a time, so that memory does not grow with the picture."""
    explainer = find_explainer(name, model)
    check_options(explainer, options)
    if not explainer.uses_text:
        raise InputError(f"The explainer {name!r} does not read the text, so that it finds no label: name another.")
    with torch.inference_mode(False):
        target = Target(asked.vectors.clone(), asked.vectors[:0].clone(), asked.labels, (), "margin",
                        asked.model.logit_scale)  # fmt: skip
    margins, maps = [], []
    for _, pixels in cut(picture, frame, model, at_once=AT_ONCE, bar=bar):
        with torch.inference_mode(False):
            look = Look(model, torch.from_numpy(pixels).to(model.device), picture, frame)
        given = explainer.function(model, look, target, **options)
        found = check_maps(given, explainer, len(pixels), len(asked.labels)).maps
        if not torch.isfinite(found).all():
            raise InputError(f"The explainer {name!r} gave NaN or infinite scores: no box can be found in them.")
        maps.append(found.detach().cpu().numpy())
        margins.append(asked.margins(look.unit))
    every = np.concatenate(maps)  # [T, P, h, w]
    return Level(
        frame, np.concatenate(margins), np.stack([frame.stitch(every[:, j]) for j in range(len(asked.labels))])
    )


def together(levels: list[Level]) -> tuple[NDArray[np.float32], Frame]:
    """The evidence of all levels [P, h, w] on the finest one's cells: the mean of their maps in standard deviations.

    Each map is taken less its mean and over its standard deviation, for every label by itself: what an explainer's unit
    is, or how it differs between sizes, has no say. A map that is the same everywhere says nothing.
    """
    finest = max(levels, key=lambda one: one.maps.shape[-1] * one.maps.shape[-2])
    shape = finest.maps.shape[-2:]
    total = np.zeros((len(finest.maps), *shape), dtype=np.float64)
    for one in levels:
        drawn = F.interpolate(torch.from_numpy(one.maps)[None], size=shape, mode="bilinear", align_corners=False)[0]
        total += standardised(drawn.numpy())
    return standardised(total / len(levels)).astype(np.float32), finest.frame


def standardised(maps: NDArray[Any]) -> NDArray[np.float64]:
    """Maps [..., h, w] less their mean and over their standard deviation; zeros where a map is the same everywhere."""
    maps = np.asarray(maps, dtype=np.float64)
    centred = maps - maps.mean(axis=(-2, -1), keepdims=True)
    spread = centred.std(axis=(-2, -1), keepdims=True)
    still = spread <= 1e-6 * np.abs(maps).max(axis=(-2, -1), keepdims=True)
    return np.where(still, 0.0, centred / np.where(still, 1.0, spread))
