"""A model at another input size, from one that is in memory."""

from __future__ import annotations

from ..weights import Weights, build
from ..weights.positions import fit_positions, resize_config
from .handle import _VIEW_OF_RESIZE_MODE, Model


def at_size(model: Model, image_size: int) -> Model:
    """``model`` for pictures of ``image_size`` pixels, its position embeddings interpolated; the old one stays.

    The same as `load(..., image_size=)` of the same weights: more, smaller places to look at, as a mosaic needs. Where
    the size is the model's own, the model itself. Raises ModelError for a size that is no whole number of cells, and
    for a model that open_clip runs.

    >>> at_size(clipviz.load(), 112).grid  # doctest: +SKIP
    (14, 14)
    """
    config = resize_config(model.clip.config, image_size)
    if config == model.clip.config:
        return model
    dtype = next(model.clip.parameters()).dtype
    # On the host, whence the new handle takes it to its device.
    state = {name: tensor.cpu() for name, tensor in model.clip.state_dict().items()}
    clip = build(config, fit_positions(state, config), model.name).to(dtype)
    modes = {view: mode for mode, view in _VIEW_OF_RESIZE_MODE.items()}
    preprocess = {
        "mean": model.mean, "std": model.std, "interpolation": model.interpolation,
        "resize_mode": modes[model.view], "fill_color": model.fill,
    }  # fmt: skip
    weights = Weights(clip, preprocess, model.seen_token_ids, model.card)
    return Model(model.name, weights, model.tag, model._tokenizer, str(model.device), precision=model.precision)
