"""Architectures and tags that open_clip knows: it finds the file, we read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ModelError, nearest
from .configs import OtherArchitecture, config_from_open_clip
from .network import OPENAI_MEAN, OPENAI_STD, Weights, build
from .other import build_other
from .positions import fit_positions, resize_config
from .preprocess import KEYS, settle
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


def read_tag(
    name: str,
    tag: str,
    quick_gelu: bool | None = None,
    cache_dir: str | Path | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    image_size: int | None = None,
) -> Weights:
    """The weights of open_clip's pretrained ``tag`` of architecture ``name``, with the tag's own activation.

    open_clip's `ViT-B-32` has no QuickGELU although its tag `openai` was trained with it; it only warns.
    Here the tag's word wins, and naming the contrary (of activation, mean or std) is refused.
    """
    from open_clip import pretrained

    model_cfg = architecture(name)
    tags = pretrained.list_pretrained_tags_by_model(name)
    if tag not in tags and tag.lower().replace("-", "_") not in tags:
        known = nearest(tag, tags) if tags else "It has none: load(name, None) gives random weights."
        raise ModelError(f"{tag!r} is no tag of {name}. {known}")
    tag_cfg = pretrained.get_pretrained_cfg(name, tag)
    trained_with = bool(tag_cfg.get("quick_gelu", False))
    try:
        config = config_from_open_clip(model_cfg, trained_with)
    except OtherArchitecture:  # there open_clip takes the word of either
        config, trained_with = None, trained_with or bool(model_cfg.get("quick_gelu", False))
    if quick_gelu is not None and quick_gelu != trained_with:
        raise ModelError(
            f"{name} {tag!r} was trained with {_ACTIVATIONS[trained_with]}, and {_ACTIVATIONS[quick_gelu]} would give "
            "plausible, wrong numbers: leave `activation` out."
        )
    told = {k: tag_cfg[k] for k in KEYS if tag_cfg.get(k) is not None}
    preprocess = settle(told or None, {"mean": mean, "std": std}, f"{name} {tag!r}")
    if config is None:
        file = _file(name, tag, tag_cfg, trained_with, cache_dir)
        return Weights(build_other(name, file, quick_gelu=trained_with, image_size=image_size), preprocess)
    state = from_open_clip(read_state(_file(name, tag, tag_cfg, trained_with, cache_dir)))
    if image_size is not None:
        config = resize_config(config, image_size)
    return Weights(build(config, fit_positions(state, config), f"{name} {tag!r}"), preprocess)


def not_contrary(name: str, model_cfg: Mapping[str, Any], quick_gelu: bool | None) -> None:
    """ModelError where architecture ``name`` has QuickGELU, as those called so, and the caller names the other."""
    if quick_gelu is False and model_cfg.get("quick_gelu"):
        raise ModelError(
            f"{name} has quick_gelu, and gelu would give plausible, wrong numbers: leave `activation` out, or name the "
            "architecture without it."
        )


def random_weights(name: str, quick_gelu: bool | None = None, *, image_size: int | None = None) -> Weights:
    """Architecture ``name`` as it is before training, with OpenAI's preprocessing or, for SigLIP, its own."""
    preprocess = {"mean": OPENAI_MEAN, "std": OPENAI_STD}
    model_cfg = architecture(name)
    not_contrary(name, model_cfg, quick_gelu)
    try:
        config = config_from_open_clip(model_cfg, quick_gelu)
    except OtherArchitecture:
        if "siglip" in name.lower():
            preprocess = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize_mode": "squash"}  # type: ignore[dict-item]
        return Weights(build_other(name, None, quick_gelu=quick_gelu, image_size=image_size), preprocess)
    if image_size is not None:
        config = resize_config(config, image_size)
    return Weights(build(config, None, name), preprocess)


def _file(name: str, tag: str, tag_cfg: Mapping[str, Any], quick: bool, cache_dir: str | Path | None) -> str:
    from open_clip import pretrained

    try:
        return pretrained.download_pretrained(dict(tag_cfg), cache_dir=str(cache_dir) if cache_dir else None)
    except Exception as error:  # whatever the hub's client or urllib raise when there is no network
        wanted = tag_cfg.get("hf_hub") or tag_cfg.get("url") or "its weights"
        if wanted.endswith("/"):
            wanted += "open_clip_model.safetensors"
        act = _ACTIVATIONS[quick]
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"open_clip wanted the file {wanted!r} for {name} {tag!r} and could not get it ({reason}): fetch it "
            f"where there is a network and type clipviz.load({name!r}, 'that file', activation={act!r}, mean=..., "
            "std=...), or clipviz.load(), which works offline."
        ) from error


def cached_file(tag_cfg: Mapping[str, Any], cache_dir: str | Path | None = None) -> Path | None:
    """The file of a tag that is on this disk already, where open_clip would look for it; None where there is none."""
    if file := tag_cfg.get("file"):
        return Path(file) if Path(file).is_file() else None
    if tag_cfg.get("hf_hub"):
        from huggingface_hub import try_to_load_from_cache

        repository, _, name = tag_cfg["hf_hub"].rpartition("/")
        stem = name.rpartition(".")[0]
        names = (
            [f"{stem}.safetensors", name] if name else ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
        )
        for each in names:
            found = try_to_load_from_cache(repository, each, cache_dir=str(cache_dir) if cache_dir else None)
            if isinstance(found, str):
                return Path(found)
        return None
    url = str(tag_cfg.get("url") or "")
    path = Path(cache_dir or Path.home() / ".cache" / "clip") / url.rpartition("/")[2]
    return path if url and path.is_file() else None
