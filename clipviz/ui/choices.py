"""What a panel lets one choose from: pictures and models, opened when they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..images import open_image
from ..model import Model, load
from ..synth import Scene, scenes

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

BUNDLED = "clipviz-tiny"
_SEED, _SHOWN = 2024, ("a red circle", "a blue star", "a yellow crescent")


class Picture:
    """A picture that is opened once, when it is first looked at; raises InputError if it cannot be."""

    def __init__(self, name: str, source: Any):
        self.name, self._source = name, source

    @cached_property
    def image(self) -> Image:
        return open_image(self._source() if callable(self._source) else self._source)

    @property
    def answers(self) -> Mapping[str, np.ndarray]:
        """What is known to be in the picture: caption -> mask [H, W]."""
        return {}


class ScenePicture(Picture):
    """A drawn scene, in which it is known what lies where."""

    def __init__(self, name: str, caption: str):
        super().__init__(name, lambda: self.scene.picture)
        self._caption = caption

    @cached_property
    def scene(self) -> Scene:
        drawn = scenes(2000, seed=_SEED)
        return next(scene for scene in drawn if any(thing.caption == self._caption for thing in scene.objects))

    @property
    def answers(self) -> Mapping[str, np.ndarray]:
        return {thing.caption: thing.mask for thing in self.scene.objects}


def samples() -> dict[str, Picture]:
    """Name -> picture: drawn scenes, and the two photographs that come with scikit-learn."""
    drawn = [ScenePicture(f"Scene with {caption}", caption) for caption in _SHOWN]
    photographs = [
        Picture("Photograph of a temple", partial(_photograph, "china.jpg")),
        Picture("Photograph of a flower", partial(_photograph, "flower.jpg")),
    ]
    return {picture.name: picture for picture in (*drawn, *photographs)}


def _photograph(name: str) -> Any:
    from sklearn.datasets import load_sample_image

    return load_sample_image(name)


def model_choices(
    first: Model | str | Path | None, further: Iterable[Model | str | Path] | None
) -> dict[str, Callable[[], Model]]:
    """Name -> how to get the model, the one to begin with first; the bundled one is always among them."""
    if isinstance(further, str | Path | Model):
        further = [further]
    choices: dict[str, Callable[[], Model]] = {}
    for wanted in (first or BUNDLED, *(further or ()), BUNDLED):
        if isinstance(wanted, Model):
            choices.setdefault(wanted.name, partial(_same, wanted))
            continue
        name = str(wanted)
        if name != BUNDLED and Path(wanted).is_dir():
            short = Path(wanted).resolve().name
            name = name if short in choices else short
        choices.setdefault(name, partial(named_model, str(wanted)))
    return choices


def _same(model: Model) -> Model:
    return model


def named_model(name: str) -> Model:
    """The model that was typed: clipviz-tiny, a folder, or "architecture:tag" (tag "none": random weights)."""
    name = name.strip()
    if not name:
        raise ModelError("No model is named: type a folder, or architecture:tag such as ViT-B-32:openai.")
    if name == BUNDLED:
        return load()
    if Path(name).is_dir():
        return load(name)
    architecture, colon, tag = name.partition(":")
    if not colon or not tag:
        raise ModelError(f"There is no folder {name!r}: type a folder, or architecture:tag such as ViT-B-32:openai.")
    return load(architecture, None if tag.lower() == "none" else tag)
