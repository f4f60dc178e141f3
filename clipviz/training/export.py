"""A checkpoint as a model that `clipviz.load` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from ..synth import pairs
from .checkpoint import Checkpoints, Torn, read
from .network import VOCABULARY, build, save
from .parent import Parent, parent_of
from .places import CHECKPOINTS, MODELS
from .reading import read_recipe
from .recipe import Recipe


def model_at(out: str | Path, step: int | None = None) -> Path:
    """The model of a run as it was at a checkpoint (by default the newest), in a folder that `clipviz.load` reads.

    ``step=0`` is the network before its first step. Written to ``out/models/step-...``. Raises DataError where that
    checkpoint is not (or no longer) there, or is not whole.

    >>> clipviz.load(model_at("runs/mine", 200))  # doctest: +SKIP
    """
    out = Path(out)
    checkpoints = Checkpoints(out / CHECKPOINTS, 1)
    there = checkpoints.steps()
    if not there or (step and step not in there):
        asked = "No checkpoint" if step is None else f"No checkpoint of step {step}"
        raise DataError(f"{asked} is in {str(out)!r}; there are {there or 'none'} (keep.last says how many are kept).")
    state = _state(checkpoints.path(step or there[-1]))
    recipe = read_recipe(state["recipe"])
    if step == 0:
        state |= {"clip": build(recipe, state["seen"]).state_dict(), "done": 0, "skipped": []}
    return write_model(state, recipe, out / MODELS / f"step-{state['done']}", {}, parent_of(recipe))


def _state(path: Path) -> dict[str, Any]:
    try:
        return read(path)
    except FileNotFoundError as error:
        raise DataError(
            f"The checkpoint {str(path)!r} was dropped for newer ones meanwhile; take a later one."
        ) from error
    except Torn as error:
        raise DataError(f"The checkpoint {str(path)!r} is not whole ({error}); take another.") from error


def write_model(
    state: Mapping[str, Any], recipe: Recipe, path: Path, card: Mapping[str, Any], parent: Parent | None
) -> Path:
    """Write the network of a checkpoint's ``state``, with ``card`` added to what every card says."""
    clip = build(recipe, state["seen"])
    clip.load_state_dict(state["clip"])
    occurred = torch.zeros(VOCABULARY, dtype=torch.bool)
    occurred[state["occurred"]] = True
    whole = {
        "name": recipe.name,
        "recipe": recipe.to_dict(),
        "samples_seen": state["done"] * recipe.optim.batch,
        "skipped": len(state["skipped"]),
        "torch": torch.__version__,
        **card,
    }
    if any(s.kind == "scenes" and s.split == "train" for s in recipe.data.sources):
        whole["held_out_pairs"] = [" ".join(pair) for pair in pairs("unseen")]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # for the rows of tokens that no caption had
        return save(clip, state["seen"], ids_of(occurred), path, whole, half=True, parent=parent)


def ids_of(occurred: Tensor) -> Tensor:
    """The numbers of what is True."""
    return torch.nonzero(occurred).flatten()
