"""One file of weights with no configuration beside it: what it does not tell is asked by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import ModelError
from . import huggingface
from .archive import is_archive
from .configs import OtherArchitecture, config_from_open_clip
from .network import Weights, build
from .other import build_other
from .positions import fit_positions, resize_config
from .preprocess import settle
from .shapes import infer_config
from .states import from_open_clip, read_shards, read_state, refuse_part
from .tags import architecture, not_contrary

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json")


def read_file(
    path: str | Path,
    quick_gelu: bool | None,
    *,
    name: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    image_size: int | None = None,
) -> Weights:
    """The network in one file: a state dict, a training checkpoint, OpenAI's archive, or an index of shards.

    The architecture is ``name`` of open_clip, or inferred from the shapes. The activation, the mean and the std are
    not in a state dict; ModelError says how to give them.
    """
    path = Path(path)
    source = repr(str(path))
    model_cfg = None if name is None else architecture(name)
    refuse_part(path)
    if name is not None and model_cfg is not None:
        not_contrary(name, model_cfg, quick_gelu)
        try:
            config_from_open_clip(model_cfg)
        except OtherArchitecture:
            preprocess = settle(None, {"mean": mean, "std": std}, source)
            return Weights(build_other(name, str(path), quick_gelu=quick_gelu, image_size=image_size), preprocess)
    if quick_gelu is None and model_cfg is not None and model_cfg.get("quick_gelu"):
        quick_gelu = True  # architectures with it are named so; those without are used with both
    if quick_gelu is None:
        raise ModelError(
            f"{source} does not tell its activation, and the wrong one gives plausible, wrong numbers: add "
            'activation="quick_gelu" (OpenAI\'s, and those trained from them) or activation="gelu".'
        )
    preprocess = settle(None, {"mean": mean, "std": std}, source)
    state = read_shards(path) if path.suffix == ".json" else read_state(path)
    named = huggingface.from_huggingface(state) if huggingface.is_huggingface(state) else from_open_clip(state)
    if model_cfg is not None:
        config = config_from_open_clip(model_cfg, quick_gelu)
    else:
        config = infer_config(named, quick_gelu, source, openai=is_archive(path))
    if image_size is not None:
        config = resize_config(config, image_size)
        named = fit_positions(named, config)
    return Weights(build(config, named, source), preprocess)
