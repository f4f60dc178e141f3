"""`list_models`: what can be loaded here and now."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import assets
from ..clip import CLIP, Config, ResNetConfig
from ..errors import ClipvizWarning, DataError, InputError, ModelError, nearest
from ..weights import OtherArchitecture, cached_file, config_from_open_clip, is_model_folder, read_config, square

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "name", "tag", "source", "kind", "image_size", "activation", "embed_dim", "parameters", "cached", "where",
)  # fmt: skip
_WHOLE = ("source", "kind", "activation")  # columns of a few fixed words: a part of "quick_gelu" is "gelu"
# Counted once on the meta device (see the test): building them takes minutes, and open_clip's version is pinned.
_COUNTS = Path(__file__).with_name("open_clip_parameters.json")


def list_models(*folders: str | os.PathLike[str], cache_dir: str | Path | None = None, **where: Any) -> pd.DataFrame:
    """What can be loaded here and now, one model a row: the bundled one, ``folders``, and every tag of open_clip.

    Columns: ``name`` and ``tag`` as `load` takes them; ``source`` "bundled", "local" or "open_clip"; ``kind`` "vit",
    "resnet" or "other" (run by open_clip: no explainer that looks inside); ``image_size`` px; ``activation``;
    ``embed_dim``; ``parameters`` (missing where only the Hugging Face hub describes a tower); ``cached``: on this
    disk; ``where`` it is or comes from. A folder may be a model or hold models.
    ``where`` filters: a value, a list of values, None for the rows without one, or a part of the text (of ``source``,
    ``kind`` and ``activation`` the whole). A folder that cannot be read is left out, with a ClipvizWarning.
    Raises InputError for an unknown column, ModelError for a folder without a model.

        >>> bool(list_models(name="ViT-B-32", tag="openai")["image_size"].eq(224).all())
        True
    """
    import pandas as pd

    if unknown := [key for key in where if key not in COLUMNS]:
        raise InputError(f"list_models has no column {unknown[0]!r}. {nearest(unknown[0], COLUMNS)}")
    rows = [*_bundled(), *_local(folders), *_tags(cache_dir)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"parameters": "Int64", "image_size": "Int64"})
    for key, wanted in where.items():
        table = table[_fits(table[key], wanted, whole=key in _WHOLE)]
    return table.reset_index(drop=True)


def _fits(column: pd.Series[Any], wanted: Any, whole: bool) -> pd.Series[bool]:
    if wanted is None:
        return column.isna()
    if isinstance(wanted, str):
        texts = column.fillna("").astype(str)
        if whole:
            return texts.str.lower() == wanted.lower()
        return texts.str.contains(wanted, case=False, regex=False)
    if isinstance(wanted, Iterable):
        values = list(wanted)
        found = column.isin([value for value in values if value is not None])
        return found | column.isna() if None in values else found
    return column.eq(wanted).fillna(False).astype(bool)


def _bundled() -> Iterator[dict[str, Any]]:
    try:
        folder = assets.folder(assets.MODEL)
    except DataError:
        return
    yield {**_of_folder(folder), "name": assets.MODEL, "source": "bundled"}


def _local(folders: Iterable[str | os.PathLike[str]]) -> Iterator[dict[str, Any]]:
    for given in folders:
        path = Path(given)
        if is_model_folder(path):
            inside = [path]
        else:
            inside = [p for p in sorted(path.iterdir()) if is_model_folder(p)] if path.is_dir() else []
        if not inside:
            raise ModelError(f"{str(path)!r} is no model folder and holds none: one has an open_clip_config.json.")
        for folder in inside:
            try:
                yield _of_folder(folder)
            except (ModelError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
                warnings.warn(
                    f"{str(folder)!r} cannot be read and is left out of the table ({error}): mend it or take it away.",
                    ClipvizWarning,
                    stacklevel=3,
                )


def _tags(cache_dir: str | Path | None) -> Iterator[dict[str, Any]]:
    import open_clip

    for name, tag in open_clip.list_pretrained():
        told = open_clip.get_pretrained_cfg(name, tag)
        yield {
            **_of_architecture(open_clip.get_model_config(name), bool(told.get("quick_gelu", False))),
            "name": name,
            "tag": tag,
            "source": "open_clip",
            "parameters": _counts().get(name),
            "cached": cached_file(told, cache_dir) is not None,
            "where": told.get("file") or told.get("hf_hub") or told.get("url"),
        }


def _of_folder(folder: Path) -> dict[str, Any]:
    config = read_config(folder)
    row = _of_config(config) if isinstance(config, Config) else _of_architecture(config, None)
    return {**row, "name": folder.resolve().name, "source": "local", "cached": True, "where": str(folder)}


def _of_architecture(model_cfg: Mapping[str, Any], quick_gelu: bool | None) -> dict[str, Any]:
    try:
        return _of_config(config_from_open_clip(model_cfg, quick_gelu), counted=False)
    except OtherArchitecture:
        quick = bool(quick_gelu) or bool(model_cfg.get("quick_gelu", False))  # open_clip can force it on, never off
        return {
            "kind": "other",
            "image_size": square(model_cfg["vision_cfg"].get("image_size", 224)),
            "activation": "quick_gelu" if quick else "gelu",
            "embed_dim": model_cfg["embed_dim"],
        }


def _of_config(config: Config, counted: bool = True) -> dict[str, Any]:
    return {
        "kind": "resnet" if isinstance(config.vision, ResNetConfig) else "vit",
        "image_size": config.vision.image_size,
        "activation": "quick_gelu" if config.quick_gelu else "gelu",
        "embed_dim": config.embed_dim,
        "parameters": _count(config) if counted else None,
    }


def _count(config: Config) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in CLIP(config).parameters())


@cache
def _counts() -> dict[str, int | None]:
    return json.loads(_COUNTS.read_text(encoding="utf-8"))
