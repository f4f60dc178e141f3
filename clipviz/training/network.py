"""The network that a recipe trains, and how it is written down for `clipviz.load`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..clip import ARCHITECTURES, CLIP, CBOWConfig, Config, TextConfig, ViTConfig
from ..errors import SpecError
from ..weights import save_folder
from ..weights.network import OPENAI_MEAN, OPENAI_STD
from .optim import settle
from .parent import VOCABULARY as VOCABULARY
from .parent import Parent, open_parent, parent_of
from .recipe import ModelRecipe, Recipe
from .tokens import tokenize

TABLE = "text.token_embedding.weight"


class Shape(NamedTuple):
    """What the data must be for a network: pixels a side, tokens, patches a side (None: a ResNet), mean and std."""

    image_size: int
    context_length: int
    grid: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Trained(CLIP):
    """A CLIP of whose towers some are ``frozen``: these stay in evaluation mode, so that batch norms learn nothing."""

    frozen: tuple[str, ...] = ()

    def train(self, mode: bool = True) -> Trained:
        super().train(mode)
        for tower in self.frozen:
            getattr(self, tower).eval()
        return self


def config_of(recipe: ModelRecipe, vocabulary: int = VOCABULARY) -> Config:
    """The shape of a recipe's network where it begins from nothing."""
    if recipe.architecture:
        config = ARCHITECTURES[recipe.architecture]
        if recipe.text == "cbow":
            config = dataclasses.replace(config, text=CBOWConfig(width=config.text.width))
        return _with_rows(config, vocabulary)
    vision = ViTConfig(recipe.image_size, recipe.patch_size, recipe.width, recipe.layers, recipe.head_width)
    text: TextConfig | CBOWConfig
    if recipe.text == "cbow":
        text = CBOWConfig(recipe.context_length, vocabulary, recipe.text_width)
    else:
        text = TextConfig(recipe.context_length, vocabulary, recipe.text_width, recipe.text_heads, recipe.text_layers)
    return Config(recipe.embed_dim, vision, text, quick_gelu=True)


def shape_of(recipe: Recipe, parent: Parent | None = None) -> Shape:
    """What pictures and texts must be for a recipe's network; of ``model.weights``, what they were trained with.

    ``parent`` is `parent_of` the recipe, which is read again where it is not given. Raises SpecError where the recipe
    asks something of the network that such a network cannot do, ModelError where its weights cannot be read.

    >>> from clipviz.training import read_recipe
    >>> shape_of(read_recipe("train/tiny.toml"))[:3]
    (56, 16, 7)
    """
    m = recipe.model
    parent = parent or parent_of(recipe)
    if parent is None and (m.activation or m.mean or m.std):
        raise SpecError("model.activation, model.mean and model.std tell of model.weights; leave them out without.")
    config = config_of(m) if parent is None else parent.config
    vision, grid = config.vision, None
    if isinstance(vision, ViTConfig):
        grid = vision.grid
    elif recipe.optim.keep_patches < 1 or recipe.loss.local_weight:
        key = "optim.keep_patches" if recipe.optim.keep_patches < 1 else "loss.local_weight"
        raise SpecError(f"{key} is about the patches of a vision transformer, and this is a ResNet: leave it out.")
    mean, std = (OPENAI_MEAN, OPENAI_STD) if parent is None else (parent.preprocess["mean"], parent.preprocess["std"])
    return Shape(vision.image_size, config.text.context_length, grid, tuple(mean), tuple(std))


def build(recipe: Recipe, seen: Tensor | None) -> CLIP:
    """The network with its first weights, drawn from the recipe's seed or those of ``model.weights``.

    ``seen`` token ids have rows, or all (None). Frozen towers ask for no gradients and stay in evaluation mode, also
    after ``train()``; with ``memory.half_text`` the text tower's weights are bfloat16.
    """
    m, rows = recipe.model, VOCABULARY if seen is None else len(seen)
    _check(recipe)
    state = torch.random.get_rng_state()
    torch.manual_seed(recipe.seed)
    try:
        if m.weights:
            clip = _from(open_parent(m).clip, seen)
        else:
            clip = Trained(config_of(m, rows))
        if m.start == "convolution":
            settle(clip)
    finally:
        torch.random.set_rng_state(state)
    clip.frozen = m.frozen
    for tower in m.frozen:
        getattr(clip, tower).requires_grad_(False)
    if recipe.memory.half_text:
        clip.text.to(torch.bfloat16)
    return clip.train()


def on_meta(recipe: ModelRecipe) -> CLIP:
    """The network of a recipe without numbers, of any size at no cost: for counting, and as a dry run."""
    with torch.device("meta"):
        return Trained(config_of(recipe))


def _check(recipe: Recipe) -> None:
    """SpecError where keys of the recipe contradict each other in what is built."""
    frozen, memory = recipe.model.frozen, recipe.memory
    if {"visual", "text"} <= set(frozen):
        raise SpecError("model.frozen names both towers, and nothing is left to learn: freeze one of them.")
    if memory.half_text and "text" in frozen:
        raise SpecError('memory.half_text rounds the weights that model.frozen = ["text"] keeps: leave one out.')
    for key, wrong in (("half_text", ("float16", "float64")), ("half_moments", ("float64",))):
        if getattr(memory, key) and memory.precision in wrong:
            raise SpecError(
                f"memory.{key} keeps bfloat16, which does not go with memory.precision = {memory.precision!r}: "
                "take float32 or bfloat16."
            )


def _from(parent: CLIP, seen: Tensor | None) -> Trained:
    """A network with a parent's weights, in training; of its token table the rows ``seen``, or all."""
    state: Mapping[str, Tensor] = parent.state_dict()
    config = parent.config
    if seen is not None:
        state, config = {**state, TABLE: state[TABLE][seen]}, _with_rows(config, len(seen))
    with torch.device("meta"):
        clip = Trained(config)
    clip.load_state_dict(state, assign=True)
    return clip


def _with_rows(config: Config, rows: int) -> Config:
    return dataclasses.replace(config, text=dataclasses.replace(config.text, vocab_size=rows))


def seen_tokens(texts: Iterable[str], context: int) -> Tensor:
    """The token ids that occur in texts, in rising order, the start and the end among them.

    Their places serve as rows of a table for those tokens alone: the end stays the highest.
    """
    return torch.unique(torch.cat([tokenize([text], context)[0] for text in texts]))


def save(
    clip: CLIP,
    seen: Tensor | None,
    occurred: Tensor,
    path: Path,
    card: Mapping[str, Any],
    half: bool,
    parent: Parent | None = None,
) -> Path:
    """Write the folder that `clipviz.load` reads.

    ``seen``: the ids whose rows were trained, where the table holds those alone: they are spread over the
    released vocabulary, or over the table of ``parent``. ``occurred``: the ids that were in any caption of the run,
    to which those that the parent saw are added. ``half`` stores float16, but where that would change a frozen tower.
    """
    known: Iterable[int] | None = occurred.tolist()
    small = seen is not None
    preprocess: Mapping[str, Any] = {"mean": OPENAI_MEAN, "std": OPENAI_STD}
    if parent is not None:
        preprocess, card = parent.preprocess, parent.card(card)
        known = None if parent.seen_token_ids is None else parent.seen_token_ids.union(known or ())
        small = small and known is not None
    frozen = [t for tower in getattr(clip, "frozen", ()) for t in getattr(clip, tower).state_dict().values()]
    half = half and all(torch.equal(t, t.half().to(t.dtype)) for t in frozen)
    if seen is not None:
        clip = _whole(clip, seen, None if parent is None else parent.table)
    mode = clip.training
    folder = save_folder(
        path,
        clip.eval(),
        **preprocess,
        seen_token_ids=known,
        card=card,
        half=half,
        only_seen_rows=small,
    )
    clip.train(mode)
    return folder


def _whole(clip: CLIP, seen: Tensor, table: Tensor | None) -> CLIP:
    """``clip`` with a row for every token: the trained ones, and for the others those of ``table``, or random ones."""
    whole = CLIP(_with_rows(clip.config, VOCABULARY))
    state = clip.state_dict()
    rows = (whole.text.token_embedding.weight if table is None else table).detach().clone()
    rows[seen] = state[TABLE].to(rows.dtype)
    whole.load_state_dict({**state, TABLE: rows})
    return whole
