"""`load`: a name, a folder or a file -> `Model`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import assets
from ..errors import ClipvizWarning, ModelError
from ..weights import SUFFIXES, Weights, architecture, random_weights, read_file, read_folder, read_tag
from .handle import Model

_ACTIVATIONS = {"quick_gelu": True, "gelu": False}
_UNSAID = "unsaid"


def load(
    name: str | Path | None = None,
    tag: str | Path | None = _UNSAID,
    *,
    activation: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    image_size: int | None = None,
    precision: str = "fp32",
    compile: bool = False,
    device: str = "cpu",
    cache_dir: str | Path | None = None,
) -> Model:
    """Load a CLIP to look into.

    - ``load()``: the bundled clipviz-tiny, offline.
    - ``load("ViT-B-32", "openai")``: open_clip finds weights, tokenizer and preprocessing.
    - ``load("path/to/folder")``: open_clip's local layout, or transformers'.
    - ``load("file.pt")``, ``load("ViT-B-32", "file.pt")``: a state dict, a checkpoint, OpenAI's archive.
    - ``load("ViT-B-32", None)``: random weights, with a warning.

    ``activation`` ("quick_gelu" or "gelu"), ``mean`` and ``std`` are only needed where nothing else tells (a file);
    the contrary of what is told is refused, because it gives plausible, wrong numbers. ``image_size`` interpolates
    the position embeddings; ``precision="bf16"`` and ``compile`` are for quicker encoding. Raises ModelError.

        >>> clipviz.load().name  # doctest: +SKIP
        'clipviz-tiny'
    """
    if activation is not None and activation not in _ACTIVATIONS:
        raise ModelError(f"activation={activation!r} is not known; it is 'quick_gelu' or 'gelu'.")
    quick = None if activation is None else _ACTIVATIONS[activation]
    how: dict[str, Any] = {"mean": mean, "std": std, "image_size": image_size}
    called, told = _tell(name, tag)
    if name is None:
        weights = read_folder(assets.folder(called), quick, **how)
    elif Path(name).is_dir():
        weights = read_folder(name, quick, **how)
    elif Path(name).is_file():
        weights = read_file(name, quick, **how)
    elif tag is None:
        weights = _random(called, quick, **how)
    elif Path(str(tag)).is_file():
        weights = read_file(Path(str(tag)), quick, name=called, **how)
    else:
        weights = read_tag(called, str(tag), quick, cache_dir, **how)
    return Model(called, weights, told, device=device, precision=precision, compile=compile)


def _tell(name: str | Path | None, tag: str | Path | None) -> tuple[str, str | None]:
    """What the model is called, and its tag; ModelError where the two do not say which weights are meant."""
    if name is None:
        if tag != _UNSAID:
            raise ModelError(
                f"tag={tag!r} belongs to an architecture, and none is named: type load('ViT-B-32', {tag!r}), "
                "or load() for the bundled model."
            )
        return assets.MODEL, None
    path = Path(name)
    if path.exists():
        if tag not in (_UNSAID, None):
            raise ModelError(f"{str(name)!r} is a folder or a file of weights, which has no tag: leave {tag!r} out.")
        return (path.resolve().name if path.is_dir() else path.stem), None
    name = str(name)
    if tag is None or (tag != _UNSAID and Path(str(tag)).is_file()):
        return name, "random" if tag is None else Path(str(tag)).name
    if tag != _UNSAID:
        if "/" in str(tag) or "\\" in str(tag) or Path(str(tag)).suffix in SUFFIXES:
            raise ModelError(f"There is no file of weights {str(tag)!r}: load({name!r}, file) takes one that is there.")
        return name, str(tag)
    if path.suffix in SUFFIXES or "/" in name or "\\" in name:
        raise ModelError(f"There is no folder or file {name!r}: load() takes one, or an architecture and a tag.")
    if name == assets.MODEL:
        raise ModelError(f"{name} is the bundled model: type load() without a name.")
    import open_clip

    architecture(name)  # an unknown name is told before a missing tag
    tags = open_clip.list_pretrained_tags_by_model(name)[:6]
    choice = f"load({name!r}, {tags[0]!r}) (it has {', '.join(tags)})" if tags else f"load({name!r}, None)"
    raise ModelError(f"{name!r} alone does not say which weights: type {choice}, or None for random weights.")


def _random(name: str, quick: bool | None, mean: Any, std: Any, image_size: int | None) -> Weights:
    if mean is not None or std is not None:
        raise ModelError("Random weights were trained with no mean and std: leave them out.")
    weights = random_weights(name, quick, image_size=image_size)
    warnings.warn(f"{name} has random weights: what it shows means nothing.", ClipvizWarning, stacklevel=3)
    return weights
