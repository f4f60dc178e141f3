"""The model that a run begins from (``model.weights``), and what of it must be known to write the result down."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import assets
from ..clip import ARCHITECTURES, CBOWConfig, Config
from ..errors import SpecError
from ..model import Model, load
from .recipe import ModelRecipe, Recipe

VOCABULARY = 49408  # rows of CLIP's token table
RESIZE_MODES = {"crop": "shortest", "pad": "longest", "squash": "squash"}  # open_clip's words for a Model's view
CLASSES = "training_classes"  # of a card, see `clipviz.evaluation`


@dataclass(frozen=True)
class Parent:
    """What is kept of a parent while its child is trained: no weights, but for the token table where it is needed.

    ``preprocess`` are the words of `clipviz.weights.save_folder`; ``seen_token_ids`` is None where the parent's card
    does not tell; ``table`` [49408, D] where the child trains some of its rows.
    """

    config: Config
    preprocess: Mapping[str, Any]
    seen_token_ids: frozenset[int] | None
    training_classes: tuple[str, ...] | None
    provenance: Mapping[str, Any]
    table: Tensor | None

    def card(self, card: Mapping[str, Any]) -> dict[str, Any]:
        """A child's card: it names the parent, and has seen the classes that the parent saw."""
        out = {**card, "parent": dict(self.provenance)}
        own = out.pop(CLASSES, None)
        if own is not None and self.training_classes is not None:  # else it is not known what was seen
            out[CLASSES] = sorted({*own, *self.training_classes})
        return out


def parent_of(recipe: Recipe) -> Parent | None:
    """The parent of a recipe's network, or None where it begins from nothing. Raises as `open_parent` does."""
    if not recipe.model.weights:
        return None
    model = open_parent(recipe.model)
    preprocess: dict[str, Any] = {"mean": model.mean, "std": model.std, "interpolation": model.interpolation}
    preprocess["resize_mode"] = RESIZE_MODES[model.view]
    if model.view == "pad":
        preprocess["fill_color"] = model.fill
    facts = model.provenance
    told = {key: facts[key] for key in ("model", "tag", "weights_sha256", "activation", "image_size")}
    classes = model.card.get(CLASSES)
    return Parent(
        model.clip.config,
        preprocess,
        model.seen_token_ids,
        tuple(classes) if isinstance(classes, list) and classes else None,
        told,
        model.clip.text.token_embedding.weight.detach() if recipe.model.vocabulary == "seen" else None,
    )


def open_parent(recipe: ModelRecipe) -> Model:
    """The model that ``model.weights`` names: a folder, a file, "architecture:tag" or "architecture:file".

    Raises ModelError where it cannot be read, and SpecError where it cannot be trained here or is not what the rest
    of the recipe says.
    """
    name, how = recipe.weights, _told(recipe)
    if not Path(name).exists() and ":" in name:
        name, _, how["tag"] = name.partition(":")
    if recipe.architecture:
        how["image_size"] = ARCHITECTURES[recipe.architecture].vision.image_size
    model = load(None if name == assets.MODEL and not Path(name).exists() else name, **how)
    if model.kind == "other":
        raise SpecError(
            f"model.weights={recipe.weights!r} is run by open_clip, and only the paper's networks are trained here: "
            "name a ViT or a ResNet of CLIP, such as ViT-B-32:openai."
        )
    _agree(recipe, model.clip.config)
    return model


def _told(recipe: ModelRecipe) -> dict[str, Any]:
    told: dict[str, Any] = {"activation": recipe.activation, "mean": recipe.mean, "std": recipe.std}
    return {key: value for key, value in told.items() if value}


def _agree(recipe: ModelRecipe, config: Config) -> None:
    """SpecError where a model's shape is not what the recipe says of it."""
    if config.text.vocab_size != VOCABULARY:
        raise SpecError(
            f"model.weights={recipe.weights!r} has {config.text.vocab_size} tokens, and captions are read as CLIP's "
            f"{VOCABULARY}: name a model with CLIP's own tokenizer."
        )
    if recipe.text == "cbow" and not isinstance(config.text, CBOWConfig):
        raise SpecError(
            f'model.text="cbow", but model.weights={recipe.weights!r} has a text transformer, which is taken with '
            "its shape: leave model.text out."
        )
    if not recipe.architecture:
        return
    named = ARCHITECTURES[recipe.architecture]
    for part in ("embed_dim", "vision", "text"):
        if getattr(named, part) != getattr(config, part):
            raise SpecError(
                f"model.weights={recipe.weights!r} is no {recipe.architecture}: its {part} is "
                f"{_plain(getattr(config, part))} and not {_plain(getattr(named, part))}; leave model.architecture "
                "out to take the shape of the weights."
            )


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
