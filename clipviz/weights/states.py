"""State dicts: reading them without running anything they hold, and the names their tensors carry."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError

# Top-level names of open_clip's `CLIP` that belong to the text tower; `CustomTextCLIP` has them under "text.".
_TEXT_NAMES = ("token_embedding.", "positional_embedding", "transformer.", "ln_final.", "text_projection")
# Constants that ride along in a state dict and are no weights.
_NO_WEIGHTS = ("attn_mask", "text.attn_mask", "input_resolution", "context_length", "vocab_size")


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, ``.bin`` or ``.pt`` file, by name, as they are stored.

    Nothing is unpickled but tensors (``weights_only=True``).
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
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
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{str(path)!r} holds a {type(state).__name__}, not a state dict of tensors by name.")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)


def from_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """open_clip's names (`CLIP` or `CustomTextCLIP`, as OpenAI's) -> the reference network's."""
    named = {}
    for name, tensor in state.items():
        if name in _NO_WEIGHTS:
            continue
        named["text." + name if name.startswith(_TEXT_NAMES) else name] = tensor
    if "logit_scale" in named:
        named["logit_scale"] = named["logit_scale"].reshape(())  # some checkpoints hold it as one of one
    return named


def to_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reference network's names -> those of open_clip's `CLIP`."""
    return {name.removeprefix("text."): tensor for name, tensor in state.items()}
