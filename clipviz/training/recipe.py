"""A training recipe: what `train` needs to know, in a TOML file, with no key that is not understood."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SpecError, nearest
from ..synth import LEVELS


@dataclass(frozen=True)
class ModelRecipe:
    """The shape of the network (see `clipviz.clip.Config`); the vocabulary and the context of 16 are fixed."""

    image_size: int = 56
    patch_size: int = 8
    width: int = 256
    layers: int = 4
    head_width: int = 64
    embed_dim: int = 128
    text_width: int = 128
    text_layers: int = 1
    text_heads: int = 2


@dataclass(frozen=True)
class DataRecipe:
    """What is drawn and said. ``easy_share`` of a batch is easy scenes at first, fading to none at ``easy_until``."""

    level: str = "hard"
    scenes: int = 40_000
    easy_scenes: int = 0
    easy_share: float = 0.0
    easy_until: float = 0.5
    shift: int = 3
    flip: bool = True
    templates: tuple[str, ...] = ("a {} {}",)
    colour_templates: tuple[str, ...] = ()
    shape_templates: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptimRecipe:
    """AdamW with a linear warm-up and a cosine to zero."""

    samples: int = 100_000
    batch: int = 64
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    weight_decay: float = 0.2
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    clip_norm: float = 1.0
    keep_patches: float = 1.0
    local_weight: float = 0.0  # of the loss on each text's best patch
    local_from: float = 0.0  # the share of the run after which it counts
    bfloat16: bool = True


@dataclass(frozen=True)
class Recipe:
    """All of a training run but where it goes: with the same recipe, a run on one machine repeats itself."""

    name: str = "unnamed"
    seed: int = 0
    threads: int = 2
    checkpoint_seconds: float = 60.0
    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    optim: OptimRecipe = field(default_factory=OptimRecipe)

    def __post_init__(self) -> None:
        m, d, o = self.model, self.data, self.optim
        _demand(d.level in LEVELS, f"data.level={d.level!r} is no level of scenes. {nearest(d.level, LEVELS)}")
        _demand(m.image_size % m.patch_size == 0, f"model.image_size={m.image_size} must be a multiple of patch_size.")
        _demand(m.width % m.head_width == 0, f"model.width={m.width} must be a multiple of head_width={m.head_width}.")
        _demand(m.text_width % m.text_heads == 0, f"model.text_width={m.text_width} must be a multiple of text_heads.")
        _demand(
            o.batch >= 1 and o.samples >= o.batch,
            f"optim.samples={o.samples} must hold at least one batch of {o.batch}.",
        )
        _demand(d.scenes >= o.batch, f"data.scenes={d.scenes} must fill at least one batch of {o.batch}.")
        _demand(0 < o.keep_patches <= 1, f"optim.keep_patches={o.keep_patches} must be above 0 and at most 1.")
        _demand(o.local_weight == 0 or o.keep_patches == 1, "optim.local_weight needs optim.keep_patches = 1.")
        _demand(0 <= d.easy_share <= 1, f"data.easy_share={d.easy_share} must be within 0 and 1.")
        _demand(d.easy_share == 0 or d.easy_scenes > 0, "data.easy_share needs data.easy_scenes above 0.")
        _demand(len(d.templates) > 0, 'data.templates is empty: give at least "a {} {}".')

    @property
    def steps(self) -> int:
        return self.optim.samples // self.optim.batch

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def read_recipe(source: str | Path | Mapping[str, Any]) -> Recipe:
    """Read a recipe from a TOML file, or from a mapping of the same form.

    Raises SpecError where a key is unknown (naming the nearest), where a value has another type than the
    default's, or where two keys contradict each other.

    >>> read_recipe({"name": "mine", "optim": {"batch": 32}}).optim.batch
    32
    """
    if isinstance(source, Mapping):
        return _fill(Recipe, source, "")
    path = Path(source)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(
            f"The recipe {str(path)!r} cannot be read ({error.strerror}); give the path of a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"The recipe {str(path)!r} is no TOML ({error}).") from error
    return _fill(Recipe, content, "")


def _fill(kind: Any, content: Mapping[str, Any], where: str) -> Any:
    default = kind()
    known = {f.name: getattr(default, f.name) for f in dataclasses.fields(kind)}
    values = {}
    for key, value in content.items():
        if key not in known:
            raise SpecError(f"The recipe has the unknown key {where + key!r}. {nearest(key, known)}")
        values[key] = _value(value, known[key], where + key)
    return kind(**values)


def _value(value: Any, like: Any, name: str) -> Any:
    if dataclasses.is_dataclass(like):
        if not isinstance(value, Mapping):
            raise SpecError(f"The recipe's {name!r} is {value!r}, and must be a table [{name}].")
        return _fill(type(like), value, f"{name}.")
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(like, tuple) and isinstance(value, (list, tuple)):
        kind = type(like[0]) if like else str
        if all(type(v) is kind for v in value) and (kind is str or len(value) == len(like)):
            return tuple(value)
    elif type(value) is type(like):
        return value
    raise SpecError(f"The recipe's {name!r} is {value!r}, and must be like its default, {like!r}.")


def _demand(held: bool, sentence: str) -> None:
    if not held:
        raise SpecError(sentence)
