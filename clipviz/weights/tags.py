"""Architectures and tags that open_clip knows: it finds the file, we read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..clip import Config
from ..errors import ModelError, nearest
from .configs import config_from_open_clip
from .network import Weights, build
from .states import from_open_clip, read_state

_ACTIVATIONS = {True: "quick_gelu", False: "gelu"}


def architecture(name: str) -> Mapping[str, Any]:
    """open_clip's ``model_cfg`` of a built-in architecture, or a ModelError with the nearest names."""
    import open_clip

    config = open_clip.get_model_config(name)
    if config is None:
        raise ModelError(
            f"{name!r} is no architecture of open_clip and no folder. {nearest(name, open_clip.list_models())}"
        )
    return config


def read_tag(name: str, tag: str, quick_gelu: bool | None = None, cache_dir: str | Path | None = None) -> Weights:
    """The weights of open_clip's pretrained ``tag`` of architecture ``name``, with the tag's own activation.

    open_clip's `ViT-B-32` has no QuickGELU although its tag `openai` was trained with it; it only warns.
    Here the tag's word wins, and naming the contrary is refused.
    """
    from open_clip import pretrained

    model_cfg = architecture(name)
    tags = pretrained.list_pretrained_tags_by_model(name)
    if tag not in tags and tag.lower().replace("-", "_") not in tags:
        known = nearest(tag, tags) if tags else "It has none: load(name, None) gives random weights."
        raise ModelError(f"{tag!r} is no tag of {name}. {known}")
    tag_cfg = pretrained.get_pretrained_cfg(name, tag)
    trained_with = bool(tag_cfg.get("quick_gelu", False))
    if quick_gelu is not None and quick_gelu != trained_with:
        raise ModelError(
            f"{name} {tag!r} was trained with {_ACTIVATIONS[trained_with]}, and {_ACTIVATIONS[quick_gelu]} would give "
            "plausible, wrong numbers: leave `activation` out."
        )
    config = config_from_open_clip(model_cfg, trained_with)
    state = from_open_clip(read_state(_file(name, tag, tag_cfg, cache_dir)))
    keys = ("mean", "std", "interpolation", "resize_mode", "fill_color")
    return Weights(build(config, state, f"{name} {tag!r}"), {k: tag_cfg[k] for k in keys if tag_cfg.get(k) is not None})


def random_weights(name: str, quick_gelu: bool | None = None) -> Weights:
    """Architecture ``name`` as it is before training."""
    config: Config = config_from_open_clip(architecture(name), quick_gelu)
    return Weights(build(config, None, name))


def _file(name: str, tag: str, tag_cfg: Mapping[str, Any], cache_dir: str | Path | None) -> str:
    from open_clip import pretrained

    try:
        return pretrained.download_pretrained(dict(tag_cfg), cache_dir=str(cache_dir) if cache_dir else None)
    except Exception as error:  # whatever the hub's client or urllib raise when there is no network
        wanted = tag_cfg.get("hf_hub") or tag_cfg.get("url") or "its weights"
        if wanted.endswith("/"):
            wanted += "open_clip_model.safetensors"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"open_clip wanted the file {wanted!r} for {name} {tag!r} and could not get it ({reason}): put it and "
            "the open_clip_config.json beside it into one folder and type clipviz.load(that folder), or "
            "clipviz.load(), which works offline."
        ) from error
