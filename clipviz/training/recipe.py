"""A training recipe: all that `train` needs to know, in frozen dataclasses that a TOML file fills."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..clip import ARCHITECTURES
from ..errors import SpecError, nearest
from .data_recipe import CaptionRecipe, DataRecipe, SourceRecipe

__all__ = [
    "CaptionRecipe",
    "DataRecipe",
    "KeepRecipe",
    "LossRecipe",
    "MemoryRecipe",
    "ModelRecipe",
    "OptimRecipe",
    "Recipe",
    "SourceRecipe",
]

TEXT_TOWERS, STARTS, VOCABULARIES = ("transformer", "cbow"), ("paper", "convolution"), ("all", "seen")
TEXTS, PRECISIONS, DISTRIBUTED = ("batch", "all"), ("float32", "bfloat16", "float16", "float64"), ("ddp", "fsdp2")
TOWERS = ("visual", "text")


@dataclass(frozen=True)
class ModelRecipe:
    """The network: one of the paper's by name, or the numbers of a small vision transformer.

    ``architecture`` names one of ``clipviz.clip.ARCHITECTURES``; the numbers below then do not count. ``weights``
    begins from a model that ``clipviz.load`` reads (a folder, "ViT-B-32:openai", a file, "ViT-B-32:weights.pt"), and
    takes its shape too, at the resolution of ``architecture`` where that is named beside it. ``activation``, ``mean``
    and ``std`` are for weights that do not tell theirs. ``frozen`` towers ("visual" is locked-image tuning) keep
    their weights. ``start="convolution"`` begins the vision tower as a small convolutional network.
    ``vocabulary="seen"`` trains rows of the token embedding for the tokens of the recipe's captions alone.
    """

    architecture: str = ""
    weights: str = ""
    frozen: tuple[str, ...] = ()
    text: str = "transformer"
    start: str = "paper"
    vocabulary: str = "all"
    image_size: int = 56
    patch_size: int = 8
    width: int = 256
    layers: int = 4
    head_width: int = 64
    embed_dim: int = 128
    text_width: int = 128
    text_layers: int = 1
    text_heads: int = 2
    context_length: int = 16
    activation: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class LossRecipe:
    """What is asked of a batch.

    ``multi_positive``: every text that is true of a picture is a positive, not its own alone; for captions that
    repeat. ``texts``: "batch" says one caption of each picture; "all" says every concept of the (closed) captions
    once a step. ``local_weight`` adds the loss of each text's best patch alone (vision transformers).
    """

    multi_positive: bool = False
    texts: str = "batch"
    local_weight: float = 0.0


@dataclass(frozen=True)
class OptimRecipe:
    """AdamW with a linear warm-up and a cosine to zero; 0 takes the paper's value for the kind of vision tower.

    ``samples`` are pairs in all and ``batch`` pairs a step, over all processes. ``beta2`` and ``eps`` are 0.999
    and 1e-8 for a ResNet, 0.98 and 1e-6 for a vision transformer. ``warm_up`` is a share of the steps below 1, and
    a number of steps from 1 on. ``keep_patches`` drops the other patches at random until ``full_from`` of the run.
    """

    samples: int = 100_000
    batch: int = 64
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    weight_decay: float = 0.2
    decay_positions: bool = True
    beta1: float = 0.9
    beta2: float = 0.0
    eps: float = 0.0
    clip_norm: float = 0.0
    keep_patches: float = 1.0
    full_from: float = 0.8


@dataclass(frozen=True)
class MemoryRecipe:
    """What makes a large batch fit; each alone, and none changes what is learnt but by rounding.

    ``micro_batch``: pairs (pictures, and texts) that a process runs at a time, by two-pass gradient caching; 0 runs
    all at once. ``checkpoint_activations`` computes each block again in the backward pass. ``half_moments`` keeps
    Adam's statistics in bfloat16, ``half_text`` the text tower's weights, both rounded stochastically.
    """

    micro_batch: int = 0
    checkpoint_activations: bool = False
    precision: str = "float32"
    half_moments: bool = False
    half_text: bool = False
    distributed: str = "ddp"


@dataclass(frozen=True)
class KeepRecipe:
    """How often things are written: checkpoints every so many seconds or steps (0: never by that measure)."""

    seconds: float = 60.0
    steps: int = 0
    last: int = 2
    log_steps: int = 20
    dev_steps: int = 0


@dataclass(frozen=True)
class Recipe:
    """All of a training run but where it goes: with the same recipe, a run on one machine repeats itself."""

    name: str = "unnamed"
    seed: int = 0
    threads: int = 0
    deterministic: bool = True
    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optim: OptimRecipe = field(default_factory=OptimRecipe)
    memory: MemoryRecipe = field(default_factory=MemoryRecipe)
    keep: KeepRecipe = field(default_factory=KeepRecipe)

    def __post_init__(self) -> None:
        m, s, o, y, k = self.model, self.loss, self.optim, self.memory, self.keep
        if m.architecture:
            _among(m.architecture, ARCHITECTURES, "model.architecture")
        _among(m.text, TEXT_TOWERS, "model.text")
        _among(m.start, STARTS, "model.start")
        _among(m.vocabulary, VOCABULARIES, "model.vocabulary")
        for tower in m.frozen:
            _among(tower, TOWERS, "model.frozen")
        _among(s.texts, TEXTS, "loss.texts")
        _among(y.precision, PRECISIONS, "memory.precision")
        _among(y.distributed, DISTRIBUTED, "memory.distributed")
        whole = ("image_size", "patch_size", "width", "layers", "head_width", "embed_dim", "text_width", "text_layers")
        for key in (*whole, "text_heads"):
            _demand(getattr(m, key) >= 1, f"model.{key}={getattr(m, key)} must be 1 or more.")
        _demand(m.context_length >= 3, f"model.context_length={m.context_length} must hold a word: 3 or more.")
        for name, bounded in (("seed", self.seed), ("threads", self.threads), ("data.workers", self.data.workers)):
            _demand(bounded >= 0, f"{name}={bounded} must be 0 or more.")
        for key in ("warm_up", "weight_decay", "eps", "clip_norm"):
            _demand(getattr(o, key) >= 0, f"optim.{key}={getattr(o, key)} must be 0 or more.")
        for key in ("beta1", "beta2"):
            _demand(0 <= getattr(o, key) < 1, f"optim.{key}={getattr(o, key)} must be within 0 and below 1.")
        _demand(s.local_weight >= 0, f"loss.local_weight={s.local_weight} must be 0 or more.")
        _demand(k.seconds >= 0, f"keep.seconds={k.seconds} must be 0 or more.")
        _demand(k.steps >= 0, f"keep.steps={k.steps} must be 0 or more.")
        _demand(k.dev_steps >= 0, f"keep.dev_steps={k.dev_steps} must be 0 or more.")
        _demand(m.image_size % m.patch_size == 0, f"model.image_size={m.image_size} must be a multiple of patch_size.")
        _demand(m.width % m.head_width == 0, f"model.width={m.width} must be a multiple of head_width={m.head_width}.")
        _demand(m.text_width % m.text_heads == 0, f"model.text_width={m.text_width} must be a multiple of text_heads.")
        _demand(
            m.start == "paper" or not (m.architecture or m.weights),
            'model.start="convolution" sets first values, and model.architecture or model.weights brings its own; '
            "leave one out.",
        )
        _demand(s.texts == "batch" or s.multi_positive, 'loss.texts="all" needs loss.multi_positive = true.')
        _demand(
            o.batch >= 2,
            f"optim.batch={o.batch}: the loss of a picture alone is zero, it needs others; give 2 or more.",
        )
        _demand(o.samples >= o.batch, f"optim.samples={o.samples} must hold at least one batch of {o.batch}.")
        _demand(0 < o.keep_patches <= 1, f"optim.keep_patches={o.keep_patches} must be above 0 and at most 1.")
        _demand(0 <= o.full_from <= 1, f"optim.full_from={o.full_from} must be within 0 and 1.")
        _demand(o.learning_rate > 0, f"optim.learning_rate={o.learning_rate} must be above 0.")
        _demand(
            0 <= self.warm_steps < self.steps,
            f"optim.warm_up={o.warm_up} makes {self.warm_steps} steps of warm-up, and the run has {self.steps}: the "
            "schedule is shorter than its warm-up; give more samples or less warm-up.",
        )
        _demand(0 <= y.micro_batch <= o.batch, f"memory.micro_batch={y.micro_batch} must be within 0 and the batch.")
        _demand(k.last >= 1, f"keep.last={k.last} must be 1 or more: the newest checkpoint is what a run resumes from.")
        _demand(k.log_steps >= 1, f"keep.log_steps={k.log_steps} must be 1 or more.")

    @property
    def steps(self) -> int:
        return self.optim.samples // self.optim.batch

    @property
    def warm_steps(self) -> int:
        warm = self.optim.warm_up
        return round(warm * self.steps) if warm < 1 else round(warm)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which `read_recipe` reads back to an equal recipe."""
        return dataclasses.asdict(self)


def _among(value: str, known: Mapping[str, Any] | tuple[str, ...], name: str) -> None:
    if value not in known:
        raise SpecError(f"The recipe's {name!r} is {value!r}, which is none of its values. {nearest(value, known)}")


def _demand(held: bool, sentence: str) -> None:
    if not held:
        raise SpecError(sentence)
