"""Writing a network as a folder that open_clip, transformers and clipviz read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..clip import CLIP
from ..errors import ModelError, nearest
from . import huggingface
from .configs import config_to_open_clip
from .folder import CARD, CONFIG, FORMAT, ROWS, SEEN, TABLE
from .folder import WEIGHTS as OPEN_CLIP_WEIGHTS
from .network import OPENAI_MEAN, OPENAI_STD
from .staging import write_folder
from .states import to_open_clip

LAYOUTS = ("open_clip", "transformers")
_OURS = (CONFIG, SEEN, CARD, *OPEN_CLIP_WEIGHTS, huggingface.CONFIG, huggingface.PREPROCESS, *huggingface.WEIGHTS)


def save_folder(
    path: str | Path,
    clip: CLIP,
    *,
    mean: Iterable[float] = OPENAI_MEAN,
    std: Iterable[float] = OPENAI_STD,
    interpolation: str = "bicubic",
    resize_mode: str = "shortest",
    fill_color: int | Sequence[int] | None = None,
    seen_token_ids: Iterable[int] | None = None,
    card: Mapping[str, Any] | None = None,
    half: bool = False,
    only_seen_rows: bool = False,
    layout: str = "open_clip",
) -> Path:
    """Write ``clip`` as a folder, whole or not at all: an interruption leaves the old one.

    ``layout`` is "open_clip" (its `local-dir:`, and ours) or "transformers" (`CLIPModel.from_pretrained`).
    ``half`` stores float16; ``only_seen_rows`` leaves out the token embeddings that were never trained
    (clipviz reads that, open_clip does not). Raises ModelError, or InputError where the folder holds other files.
    """
    if layout not in LAYOUTS:
        raise ModelError(f"layout={layout!r} is not known; it is 'open_clip' or 'transformers'. "
                         f"{nearest(layout, LAYOUTS)}")  # fmt: skip
    preprocess: dict[str, Any] = {"mean": list(mean), "std": list(std), "interpolation": interpolation}
    preprocess["resize_mode"] = resize_mode
    if fill_color is not None:  # of what "longest" pads with
        preprocess["fill_color"] = fill_color if isinstance(fill_color, int) else list(fill_color)
    seen: dict[str, Any] | None = None
    if seen_token_ids is not None:
        seen = {"seen_token_ids": sorted(int(i) for i in seen_token_ids)}
    jsons: dict[str, Mapping[str, Any] | None]
    if layout == "transformers":
        if only_seen_rows:
            raise ModelError("only_seen_rows is for layout='open_clip': transformers cannot draw the other rows.")
        jsons = {
            huggingface.CONFIG: huggingface.config_to_huggingface(clip.config),
            huggingface.PREPROCESS: huggingface.preprocess_to_huggingface(preprocess, clip.config.vision.image_size),
        }
        state, file = huggingface.to_huggingface(clip.state_dict()), huggingface.WEIGHTS[0]
    else:
        state, file = to_open_clip(clip.state_dict()), OPEN_CLIP_WEIGHTS[0]
        if only_seen_rows:
            if seen is None:
                raise ModelError("only_seen_rows needs seen_token_ids: pass the token ids that occurred in training.")
            seen["other_rows"] = {"seed": 0, "std": 0.02}
            state[ROWS] = state.pop(TABLE)[seen["seen_token_ids"]]
        config = {"model_cfg": config_to_open_clip(clip.config), "preprocess_cfg": preprocess}
        jsons = {CONFIG: {**config, "clipviz": {"format": FORMAT, "version": _version()}}, SEEN: seen, CARD: card}

    def write(folder: Path) -> None:
        from safetensors.torch import save_file

        save_file(_stored(state, half), folder / file, metadata={"format": "pt"})
        for name, content in jsons.items():
            if content is not None:
                text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
                (folder / name).write_text(text, encoding="utf-8")

    return write_folder(path, write, _OURS)


def _stored(state: Mapping[str, Tensor], half: bool) -> dict[str, Tensor]:
    dtype = torch.float16 if half else torch.float32
    return {
        # a copy of each: safetensors refuses tensors that share memory, as the thirds of one matrix do
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).clone().contiguous()
        for name, tensor in state.items()
    }


def _version() -> str:
    from .. import __version__

    return __version__
