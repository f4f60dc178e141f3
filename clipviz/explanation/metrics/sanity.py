"""Does a map depend on what it should: the trained weights, the text, the labels? And does it add up?"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import InputError
from ...frame import Frame
from ...model import Model
from ...weights import Weights, build
from .agreement import rank_correlation
from .pointing import peak_of
from .region import Seed, as_map, chance


def randomised(model: Model, seed: int = 0, *, layers: int | None = None) -> Model:
    """A copy of ``model`` whose weights are those of a network before training; ``model`` stays as it was.

    By default all weights of both towers are drawn anew ("full"). ``layers`` draws only the last so many layers of the
    image tower, from the output on ("cascading"): 1 is the head (``ln_post`` and the projection, or the attention
    pooling), each further one a block of the ViT or a stage of the ResNet; then the text tower stays trained. The
    global random state is not touched. Raises ModelError for a model that open_clip runs. Adebayo et al. 2018, Sanity
    Checks for Saliency Maps (arXiv 1810.03292).

    >>> randomised(clipviz.load()).name  # doctest: +SKIP
    'clipviz-tiny with random weights'
    """
    clip = model.clip
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        fresh = build(clip.config, None, model.name)
    what = "random weights"
    if layers is not None:
        depth = layer_prefixes(model)
        if isinstance(layers, bool) or not isinstance(layers, int) or not 1 <= layers <= len(depth):
            raise InputError(f"layers={layers!r} is not in {model.name}: pass 1 (the head) to {len(depth)}.")
        what = f"random weights in its last {layers} layers"
        chosen = tuple(prefix for prefixes in depth[:layers] for prefix in prefixes)
        drawn = {name: value for name, value in fresh.state_dict().items() if name.startswith(chosen)}
        with torch.inference_mode(False), torch.no_grad():
            fresh = copy.deepcopy(clip)
            fresh.load_state_dict(drawn, strict=False)
    dtype = next(clip.parameters()).dtype
    modes = {"crop": "shortest", "pad": "longest", "squash": "squash"}
    preprocess = {
        "mean": model.mean, "std": model.std, "interpolation": model.interpolation,
        "resize_mode": modes[model.view], "fill_color": model.fill,
    }  # fmt: skip
    # What a word means to random weights is asked of nobody, so no word counts as unseen.
    weights = Weights(fresh.to(dtype), preprocess)
    return Model(f"{model.name} with {what}", weights, "random", model._tokenizer, str(model.device))


def layer_prefixes(model: Model) -> list[tuple[str, ...]]:
    """The layers of the image tower from the output to the input, each as the beginnings of its parameters' names."""
    if model.kind == "resnet":
        return [("visual.attnpool.",), *((f"visual.layer{i}.",) for i in (4, 3, 2, 1)), ("visual.conv", "visual.bn")]
    count = model.clip.config.vision.layers
    if not isinstance(count, int):
        raise InputError(f"{model.name} is no ViT whose blocks can be counted.")
    first = ("visual.conv1.", "visual.class_embedding", "visual.positional_embedding", "visual.ln_pre.")
    blocks = [(f"visual.transformer.resblocks.{i}.",) for i in reversed(range(count))]
    return [("visual.ln_post.", "visual.proj"), *blocks, first]


@dataclass(frozen=True, eq=False)
class Likeness:
    """How alike the maps of two models are, picture by picture: ``correlations`` [n], NaN where a map is constant.

    ``mean_absolute`` is the mean of |rank correlation| over the others, NaN if there are none; ``flat`` counts them.
    """

    correlations: NDArray[np.float64]

    @property
    def flat(self) -> int:
        return int(np.isnan(self.correlations).sum())

    @property
    def mean_absolute(self) -> float:
        there = self.correlations[~np.isnan(self.correlations)]
        return float(np.abs(there).mean()) if len(there) else math.nan


def likeness(maps: Sequence[Any], others: Sequence[Any]) -> Likeness:
    """Rank correlations of maps [n][h, w] with those of another model, of the same pictures and texts in one order.

    Parameter randomisation: the others are of `randomised(model)`, and a trustworthy method has a mean absolute rank
    correlation of at most 0.3. Label randomisation: the others are of a model trained on shuffled captions. A map that
    stays the same shows the picture and not what was learnt (Adebayo et al. 2018, arXiv 1810.03292).

    >>> likeness([[[1, 2], [3, 4]]], [[[4, 3], [2, 1]]]).mean_absolute
    1.0
    """
    if len(maps) != len(others) or not len(maps):
        raise InputError(f"{len(maps)} maps stand beside {len(others)}: pass one of each, at least one, in one order.")
    return Likeness(np.array([rank_correlation(a, b) for a, b in zip(maps, others, strict=True)]))


@dataclass(frozen=True)
class TextSensitivity:
    """What another text changes: the ``rank_correlation`` of the maps, and how far the peak moved.

    ``peak_moved`` is the distance in pixels of the picture (in cells without a frame); both are NaN where a map is
    constant, which has neither order nor peak. ``moved`` says whether the peak went elsewhere.
    """

    rank_correlation: float
    peak_moved: float

    @property
    def moved(self) -> bool:
        return self.peak_moved > 0


def text_sensitivity(values: Any, other: Any, *, frame: Frame | None = None, seed: Seed = 0) -> TextSensitivity:
    """What of a map [h, w] changes when another text is asked of the same picture.

    Of a method that does not see the text the correlation is 1 and the peak stays. Equal peaks are told apart by
    ``seed``, the same way for both maps, so that a map beside itself has not moved.

    >>> text_sensitivity([[1, 2], [3, 9]], [[9, 3], [2, 1]]).peak_moved
    1.4142135623730951
    """
    correlation = rank_correlation(values, other)
    state = chance(seed)
    one, two = (peak_of(grid, frame=frame, seed=copy.deepcopy(state)) for grid in (values, other))
    return TextSensitivity(correlation, math.nan if one is None or two is None else math.dist(one, two))


def completeness_error(
    values: Any, score: float, baseline_score: float, *, remainder: float = 0.0, relative: bool = False
) -> float:
    """|sum of the map + remainder - (score - baseline_score)|, in units of the score: 0 where the cells add up to it.

    ``remainder`` is what the method itself tells apart from the cells. ``relative`` divides by
    |score - baseline_score|, and gives NaN where that is 0. Sundararajan et al. 2017, Axiomatic Attribution for Deep
    Networks (arXiv 1703.01365).

    >>> completeness_error([[0.25, 0.5]], 1.0, 0.25)
    0.0
    """
    if not all(math.isfinite(x) for x in (score, baseline_score, remainder)):
        raise InputError(f"Scores are finite; got {score}, {baseline_score} and a remainder of {remainder}.")
    owed = score - baseline_score
    error = abs(float(as_map(values).sum()) + remainder - owed)
    if not relative:
        return error
    return error / abs(owed) if owed else math.nan
