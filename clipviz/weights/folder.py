"""A model as a folder: open_clip's own local layout, which is also ours, and Hugging Face's.

    open_clip_config.json          model_cfg and preprocess_cfg
    open_clip_model.safetensors    or open_clip_pytorch_model.bin
    seen_tokens.json               optional: the token ids that occurred in training
    card.json                      optional: how the model was made, and what it scores

A small vocabulary may be stored as the rows that occurred (``token_embedding.seen_rows``); the others
are random values that were never trained, and are drawn again from the seed in ``seen_tokens.json``.
For Hugging Face's files see `huggingface`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..clip import Config
from ..errors import ModelError, nearest
from . import huggingface
from .configs import OtherArchitecture, check_names, config_from_open_clip
from .network import Weights, build
from .other import other_in_folder
from .positions import fit_positions, resize_config
from .preprocess import settle
from .states import from_open_clip, read_shards, read_state, refuse_part

CONFIG, SEEN, CARD = "open_clip_config.json", "seen_tokens.json", "card.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_TOP = ("model_cfg", "preprocess_cfg", "clipviz")
FORMAT = 1  # of what clipviz itself adds to a folder; a higher one was written by a newer clipviz
ROWS, TABLE = "token_embedding.seen_rows", "token_embedding.weight"


def read_folder(
    path: str | Path,
    quick_gelu: bool | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    image_size: int | None = None,
) -> Weights:
    """Read a model folder in open_clip's local layout or Hugging Face's; see the module's text for the files.

    ``quick_gelu``, ``mean`` and ``std`` are for a folder that does not tell; the contrary of what it tells is
    refused. ``image_size`` interpolates the position embeddings. Raises ModelError; nothing is half-loaded.
    """
    path = Path(path)
    asked = {"mean": mean, "std": std}
    if (path / CONFIG).is_file():
        return _read_open_clip(path, quick_gelu, asked, image_size)
    if (path / huggingface.CONFIG).is_file():
        return _read_huggingface(path, quick_gelu, asked, image_size)
    found = sorted(p.name for p in path.iterdir())[:8] if path.is_dir() else "no such folder"
    raise ModelError(
        f"{str(path)!r} has no {CONFIG} (found: {found}): a model folder holds {CONFIG} and {WEIGHTS[0]} or "
        f"{WEIGHTS[1]}, as open_clip's `local-dir:` does, or transformers' {huggingface.CONFIG} and its weights."
    )


def is_model_folder(path: Path) -> bool:
    """Whether ``path`` is a folder with a configuration of a model in it."""
    return (path / CONFIG).is_file() or (path / huggingface.CONFIG).is_file()


def read_config(path: Path) -> Config | dict[str, Any]:
    """The `Config` of a model folder, or open_clip's ``model_cfg`` where it is not the paper's; no weights are read."""
    if not (path / CONFIG).is_file():
        return huggingface.config_from_huggingface(read_json(path / huggingface.CONFIG))
    model_cfg = read_json(path / CONFIG).get("model_cfg", {})
    try:
        return config_from_open_clip(model_cfg)
    except OtherArchitecture:
        return model_cfg


def _read_open_clip(path: Path, quick_gelu: bool | None, asked: Mapping[str, Any], image_size: int | None) -> Weights:
    source = repr(str(path))
    config = read_json(path / CONFIG)
    if unknown := [key for key in config if key not in _TOP]:
        raise ModelError(f"{str(path / CONFIG)!r} has the unknown key {unknown[0]!r}. {nearest(unknown[0], _TOP)}")
    ours = config.get("clipviz") or {}
    made = ours.get("format", FORMAT) if isinstance(ours, Mapping) else None
    if type(made) is not int:
        raise ModelError(
            f"{str(path / CONFIG)!r} has 'clipviz': {ours!r}; it is a mapping with a whole number as 'format': "
            "leave 'clipviz' out."
        )
    if made > FORMAT:
        version = ours.get("version", "a newer version")
        raise ModelError(f"{source} was saved by clipviz {version}, which is newer than this one: update clipviz.")
    if "model_cfg" not in config:
        raise ModelError(f"{str(path / CONFIG)!r} has no 'model_cfg'; it has {sorted(config)}.")
    preprocess = settle(config.get("preprocess_cfg"), asked, source)
    weights_file = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if weights_file is None:
        _refuse_parts(path)
        raise ModelError(f"{source} has {CONFIG} but no weights: put {WEIGHTS[0]} or {WEIGHTS[1]} beside it.")
    card = read_json(path / CARD) if (path / CARD).is_file() else {}
    model_cfg = config["model_cfg"]
    try:
        network = config_from_open_clip(model_cfg)
    except OtherArchitecture:
        check_names(model_cfg, path)
        quick = bool(model_cfg.get("quick_gelu", False))
        if quick_gelu is not None and quick_gelu != quick:
            raise ModelError(contrary(f"The configuration of {source}", quick)) from None
        return Weights(other_in_folder(path, image_size), preprocess, None, card)
    if quick_gelu is not None and quick_gelu != network.quick_gelu:
        raise ModelError(contrary(f"The configuration of {source}", network.quick_gelu))
    state = read_state(weights_file)
    seen = _read_seen(path / SEEN, network.text.vocab_size) if (path / SEEN).is_file() else None
    if ROWS in state:
        if seen is None:
            raise ModelError(f"{str(weights_file)!r} holds only seen rows, and {SEEN}, which names them, is missing.")
        vocabulary = network.text.vocab_size
        state[TABLE] = _whole_table(state.pop(ROWS), seen, vocabulary)
    named = from_open_clip(state)
    if image_size is not None:
        network = resize_config(network, image_size)
        named = fit_positions(named, network)
    clip = build(network, named, repr(str(weights_file)))
    ids = frozenset(int(i) for i in seen["seen_token_ids"]) if seen else None
    return Weights(clip, preprocess, ids, card)


def _read_huggingface(path: Path, quick_gelu: bool | None, asked: Mapping[str, Any], image_size: int | None) -> Weights:
    source = repr(str(path))
    network = huggingface.config_from_huggingface(read_json(path / huggingface.CONFIG))
    if quick_gelu is not None and quick_gelu != network.quick_gelu:
        raise ModelError(contrary(f"The configuration of {source}", network.quick_gelu))
    told = None
    if (path / huggingface.PREPROCESS).is_file():
        told = huggingface.preprocess_from_huggingface(read_json(path / huggingface.PREPROCESS))
    preprocess = settle(told, asked, source)
    weights_file = next((path / name for name in huggingface.WEIGHTS if (path / name).is_file()), None)
    if weights_file is None:
        _refuse_parts(path)
        raise ModelError(f"{source} has {huggingface.CONFIG} but no weights: put {huggingface.WEIGHTS[0]} beside it.")
    read: Callable[[Path], dict[str, Tensor]] = read_shards if weights_file.suffix == ".json" else read_state
    named = huggingface.from_huggingface(read(weights_file))
    if image_size is not None:
        network = resize_config(network, image_size)
        named = fit_positions(named, network)
    return Weights(build(network, named, repr(str(weights_file))), preprocess)


def contrary(who: str, quick_gelu: bool) -> str:
    """What is said to a caller who names the activation that ``who`` does not."""
    says = "quick_gelu" if quick_gelu else "gelu"
    return f"{who} says {says}, and the other gives plausible, wrong numbers: leave `activation` out."


def _refuse_parts(path: Path) -> None:
    """ModelError for a folder with shards and no index of them."""
    for each in sorted(path.iterdir()):
        refuse_part(each)


def _read_seen(path: Path, vocabulary: int) -> dict[str, Any]:
    """``seen_tokens.json``, its values looked at once."""
    seen = read_json(path)
    ids, other = seen.get("seen_token_ids"), seen.get("other_rows", {"seed": 0, "std": 0.02})
    if not isinstance(ids, list) or not all(type(i) is int and 0 <= i < vocabulary for i in ids):
        raise ModelError(
            f"{str(path)!r} has no 'seen_token_ids' that is a list of whole numbers from 0 to {vocabulary - 1}, the "
            "ids of this vocabulary: fetch the file again."
        )
    drawn = other if isinstance(other, Mapping) else {}
    seed, std = drawn.get("seed"), drawn.get("std")
    if type(seed) is not int or seed < 0 or not isinstance(std, (int, float)) or not 0 <= std < float("inf"):
        raise ModelError(f"{str(path)!r} has other_rows = {other!r}; it is a mapping with a whole 'seed' and an 'std'.")
    return seen


def _whole_table(rows: Tensor, seen: Mapping[str, Any], vocabulary: int) -> Tensor:
    other, ids = seen.get("other_rows", {"seed": 0, "std": 0.02}), seen["seen_token_ids"]
    if rows.shape[0] != len(ids):
        raise ModelError(f"The weights hold {rows.shape[0]} seen token rows, but {SEEN} names {len(ids)}.")
    drawn = np.random.default_rng(other["seed"]).standard_normal((vocabulary, rows.shape[1]), dtype=np.float32)
    table = torch.from_numpy(drawn * np.float32(other["std"]))
    table[torch.as_tensor(ids)] = rows.float()
    return table


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{str(path)!r} is no JSON ({error}).") from error
    if not isinstance(found, dict):
        raise ModelError(f"{str(path)!r} holds a {type(found).__name__}, not a mapping of keys.")
    return found


__all__ = ["CARD", "CONFIG", "FORMAT", "ROWS", "SEEN", "TABLE", "WEIGHTS", "contrary", "read_folder"]
