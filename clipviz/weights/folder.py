"""open_clip's own local layout: a folder with a configuration and one file of weights.

    open_clip_config.json          model_cfg and preprocess_cfg
    open_clip_model.safetensors    or open_clip_pytorch_model.bin
    seen_tokens.json               optional: the token ids that occurred in training
    card.json                      optional: how the model was made, and what it scores

A small vocabulary may be stored as the rows that occurred (``token_embedding.seen_rows``); the others
are random values that were never trained, and are drawn again from the seed in ``seen_tokens.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..clip import CLIP
from ..errors import ModelError
from ..files import replace, write
from .configs import config_from_open_clip, config_to_open_clip
from .network import OPENAI_MEAN, OPENAI_STD, Weights, build
from .states import from_open_clip, read_state, to_open_clip

CONFIG, SEEN, CARD = "open_clip_config.json", "seen_tokens.json", "card.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_ROWS, _TABLE = "token_embedding.seen_rows", "token_embedding.weight"
_PREPROCESS = ("size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color")


def read_folder(path: str | Path, quick_gelu: bool | None = None) -> Weights:
    """Read a model folder in open_clip's local layout; see the module's text for its files."""
    path = Path(path)
    config_file = path / CONFIG
    if not config_file.is_file():
        found = sorted(p.name for p in path.iterdir())[:8] if path.is_dir() else "no such folder"
        raise ModelError(
            f"{str(path)!r} has no {CONFIG} (found: {found}): a model folder holds {CONFIG} "
            f"and {WEIGHTS[0]} or {WEIGHTS[1]}, as open_clip's `local-dir:` does."
        )
    config = _read_json(config_file)
    if "model_cfg" not in config:
        raise ModelError(f"{str(config_file)!r} has no 'model_cfg'; it has {sorted(config)}.")
    preprocess = config.get("preprocess_cfg")
    if not isinstance(preprocess, dict) or not {"mean", "std"} <= set(preprocess):
        raise ModelError(
            f"{str(config_file)!r} does not say how pictures are prepared, and a wrong mean and std give plausible, "
            'wrong numbers: add "preprocess_cfg": {"mean": [...], "std": [...]} as the model was trained with.'
        )
    if unknown := sorted(set(preprocess) - set(_PREPROCESS)):
        raise ModelError(f"preprocess_cfg has the unknown key {unknown[0]!r}; known: {', '.join(_PREPROCESS)}.")
    network = config_from_open_clip(config["model_cfg"], quick_gelu)
    weights_file = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if weights_file is None:
        raise ModelError(f"{str(path)!r} has {CONFIG} but no weights: put {WEIGHTS[0]} or {WEIGHTS[1]} beside it.")
    state = read_state(weights_file)
    seen = _read_json(path / SEEN) if (path / SEEN).is_file() else None
    if _ROWS in state:
        if seen is None:
            raise ModelError(f"{str(weights_file)!r} holds only seen rows, and {SEEN}, which names them, is missing.")
        state[_TABLE] = _whole_table(state.pop(_ROWS), seen, network.text.vocab_size)
    clip = build(network, from_open_clip(state), repr(str(weights_file)))
    ids = frozenset(seen["seen_token_ids"]) if seen else None
    return Weights(clip, preprocess, ids, _read_json(path / CARD) if (path / CARD).is_file() else {})


def save_folder(
    path: str | Path,
    clip: CLIP,
    *,
    mean: Iterable[float] = OPENAI_MEAN,
    std: Iterable[float] = OPENAI_STD,
    interpolation: str = "bicubic",
    resize_mode: str = "shortest",
    seen_token_ids: Iterable[int] | None = None,
    card: Mapping[str, Any] | None = None,
    half: bool = False,
    only_seen_rows: bool = False,
) -> Path:
    """Write ``clip`` in open_clip's local layout, each file whole or not at all.

    ``half`` stores float16; ``only_seen_rows`` leaves out the token embeddings that were never trained
    (clipviz reads that, open_clip does not).
    """
    from safetensors.torch import save_file

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    state = to_open_clip(clip.state_dict())
    seen: dict[str, Any] | None = None
    if seen_token_ids is not None:
        seen = {"seen_token_ids": sorted(int(i) for i in seen_token_ids)}
    if only_seen_rows:
        if seen is None:
            raise ModelError("only_seen_rows needs seen_token_ids: pass the token ids that occurred in training.")
        seen["other_rows"] = {"seed": 0, "std": 0.02}
        state[_ROWS] = state.pop(_TABLE)[seen["seen_token_ids"]]
    dtype = torch.float16 if half else torch.float32
    tensors = {
        k: v.detach().to("cpu", dtype if v.is_floating_point() else v.dtype).contiguous() for k, v in state.items()
    }
    replace(path / WEIGHTS[0], lambda temporary: save_file(tensors, temporary, metadata={"format": "pt"}))
    preprocess = {"mean": list(mean), "std": list(std), "interpolation": interpolation, "resize_mode": resize_mode}
    config = {"model_cfg": config_to_open_clip(clip.config), "preprocess_cfg": preprocess}
    for name, content in ((CONFIG, config), (SEEN, seen), (CARD, card)):
        if content is not None:
            write(path / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def _whole_table(rows: Tensor, seen: Mapping[str, Any], vocabulary: int) -> Tensor:
    other, ids = seen.get("other_rows", {"seed": 0, "std": 0.02}), seen["seen_token_ids"]
    if rows.shape[0] != len(ids):
        raise ModelError(f"The weights hold {rows.shape[0]} seen token rows, but {SEEN} names {len(ids)}.")
    drawn = np.random.default_rng(other["seed"]).standard_normal((vocabulary, rows.shape[1]), dtype=np.float32)
    table = torch.from_numpy(drawn * np.float32(other["std"]))
    table[torch.as_tensor(ids)] = rows.float()
    return table


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{str(path)!r} is no JSON ({error}).") from error
