"""State dicts: reading them without running anything they hold, and the names their tensors carry."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError
from .archive import is_archive, read_archive

# Top-level names of open_clip's `CLIP` that belong to the text tower; `CustomTextCLIP` has them under "text.".
_TEXT_NAMES = ("token_embedding.", "positional_embedding", "transformer.", "ln_final.", "text_projection")
# Constants that ride along in a state dict and are no weights.
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.")
_NO_WEIGHTS = ("attn_mask", "text.attn_mask", "input_resolution", "context_length", "vocab_size")


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file, by name, as they are stored.

    Takes ``.safetensors``, ``.bin`` and ``.pt`` (a state dict, or a training checkpoint around one) and OpenAI's
    TorchScript archives, whatever the suffix. Nothing is unpickled but tensors. Raises ModelError.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if is_archive(path):
            return read_archive(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except FileNotFoundError:
        raise ModelError(f"There is no weights file {str(path)!r}.") from None
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise ModelError(
            f"{str(path)!r} holds more than tensors, or is damaged ({str(error).splitlines()[0][:160]}): "
            "save its state dict as safetensors with safetensors.torch.save_file and load that."
        ) from error
    except Exception as error:  # safetensors raises its own types for each kind of damage
        raise ModelError(f"{str(path)!r} cannot be read as weights ({error}): fetch the file again.") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{str(path)!r} holds a {type(state).__name__}, not a state dict of tensors by name.")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)


def read_shards(index: Path) -> dict[str, Tensor]:
    """The tensors of all the files that a ``*.index.json`` of Hugging Face names; ModelError if one is missing."""
    try:
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        named = list(files.values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{str(index)!r} is no index of shards ({error}): fetch the file again.") from error
    if odd := [name for name in named if not _bare(name)]:
        raise ModelError(
            f"{str(index)!r} names the shard {odd[0]!r}: shards are files beside the index, named without a folder; "
            "put them there and write their bare names."
        )
    shards = sorted(set(named))
    if missing := [name for name in shards if not (index.parent / name).is_file()]:
        raise ModelError(
            f"{str(index.parent)!r} holds {len(shards) - len(missing)} of {len(shards)} shards: put "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''} beside {index.name}."
        )
    state: dict[str, Tensor] = {}
    for name in shards:
        state |= read_state(index.parent / name)
    if lacking := [name for name in files if name not in state]:
        raise ModelError(
            f"The shards of {str(index)!r} lack {len(lacking)} tensors that it names ({', '.join(lacking[:5])}): "
            "they are of different downloads; fetch them again."
        )
    return state


def refuse_part(path: Path) -> None:
    """ModelError where the name of ``path`` is that of one shard of several, which is half a model."""
    part = _PART.search(path.name)
    if part and int(part[2]) > 1:
        raise ModelError(
            f"{str(path)!r} is part {int(part[1])} of {int(part[2])} of a model stored in several files: put them and "
            "their *.index.json into one folder, and load that folder or the index."
        )


def _bare(name: object) -> bool:
    """Whether ``name`` is that of a file and leads nowhere else."""
    return isinstance(name, str) and name not in ("", "..") and name == Path(name).name and "\\" not in name


def from_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """open_clip's names (`CLIP` or `CustomTextCLIP`, as OpenAI's) -> the reference network's."""
    named = {}
    for name, tensor in state.items():
        if name in _NO_WEIGHTS:
            continue
        named["text." + name if name.startswith(_TEXT_NAMES) else name] = tensor
    if "logit_scale" in named and named["logit_scale"].numel() == 1:
        named["logit_scale"] = named["logit_scale"].reshape(())  # some checkpoints hold it as one of one
    return named


def to_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reference network's names -> those of open_clip's `CLIP`."""
    return {name.removeprefix("text."): tensor for name, tensor in state.items()}
