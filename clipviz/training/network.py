"""The network that a recipe trains, and how it is written down for `clipviz.load`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..clip import ARCHITECTURES, CLIP, CBOWConfig, Config, TextConfig, ViTConfig
from ..weights import save_folder
from ..weights.network import OPENAI_MEAN, OPENAI_STD
from .batches import tokenize
from .optim import settle
from .recipe import ModelRecipe, Recipe

VOCABULARY = 49408


def config_of(recipe: ModelRecipe, vocabulary: int = VOCABULARY) -> Config:
    """The shape of a recipe's network."""
    if recipe.architecture:
        config = ARCHITECTURES[recipe.architecture]
        if recipe.text == "cbow":
            config = dataclasses.replace(config, text=CBOWConfig(width=config.text.width))
        return config
    vision = ViTConfig(recipe.image_size, recipe.patch_size, recipe.width, recipe.layers, recipe.head_width)
    text: TextConfig | CBOWConfig
    if recipe.text == "cbow":
        text = CBOWConfig(recipe.context_length, vocabulary, recipe.text_width)
    else:
        text = TextConfig(
            recipe.context_length, vocabulary, recipe.text_width, recipe.text_heads, recipe.text_layers
        )
    return Config(recipe.embed_dim, vision, text, quick_gelu=True)


def build(recipe: Recipe, seen: Tensor | None) -> CLIP:
    """The network with its first weights, drawn from the recipe's seed; ``seen`` token ids have rows, or all (None)."""
    state = torch.random.get_rng_state()
    torch.manual_seed(recipe.seed)
    try:
        clip = CLIP(config_of(recipe.model, VOCABULARY if seen is None else len(seen)))
        if recipe.model.start == "convolution":
            settle(clip)
    finally:
        torch.random.set_rng_state(state)
    return clip


def seen_tokens(texts: Iterable[str], context: int) -> Tensor:
    """The token ids that occur in texts, in rising order, the start and the end among them.

    Their places serve as rows of a table for those tokens alone: the end stays the highest.
    """
    return torch.unique(torch.cat([tokenize([text], context)[0] for text in texts]))


def save(clip: CLIP, seen: Tensor | None, occurred: Tensor, path: Path, card: dict[str, Any], half: bool) -> Path:
    """Write the folder that `clipviz.load` reads.

    ``seen``: the ids whose rows were trained, where the table holds those alone: they are spread over the
    released vocabulary. ``occurred``: the ids that were in any caption of the run.
    """
    if seen is not None:
        small = clip.config
        whole = CLIP(dataclasses.replace(small, text=dataclasses.replace(small.text, vocab_size=VOCABULARY)))
        state = clip.state_dict()
        table = whole.text.token_embedding.weight.detach().clone()
        table[seen] = state["text.token_embedding.weight"]
        whole.load_state_dict({**state, "text.token_embedding.weight": table})
        clip = whole
    mode = clip.training
    folder = save_folder(
        path,
        clip.eval(),
        mean=OPENAI_MEAN,
        std=OPENAI_STD,
        seen_token_ids=occurred.tolist(),
        card=card,
        half=half,
        only_seen_rows=seen is not None,
    )
    clip.train(mode)
    return folder
