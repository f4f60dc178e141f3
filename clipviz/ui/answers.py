"""From what the controls say to what is shown. No widget is known here."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from .. import plots
from ..errors import ClipvizWarning
from ..explanation import Heatmap, gradcam
from ..model import Look, Model
from .choices import Picture, named_model

SIDE = 720  # px: the figure's longest side on a screen; the map itself stays in the heatmap
_LOOKS_KEPT = 4


@dataclass(frozen=True)
class Question:
    """What the controls say."""

    picture: Picture
    text: str
    against: str
    model: str
    view: str | None


@dataclass(frozen=True, eq=False)
class Answer:
    """A heatmap, what to keep in mind about it, and its drawing at any strength without the model."""

    heatmap: Heatmap
    notes: tuple[str, ...]
    found: bool | None = None  # whether the peak lies on the thing asked for, where that is known

    @cached_property
    def _drawn(self) -> tuple[Image.Image, np.ndarray]:
        """Picture and map at screen size. The Frame is scaled too, so that no map of 24 megapixels is made."""
        picture, frame = self.heatmap.picture, self.heatmap.frame
        shrink = max(1.0, max(picture.size) / SIDE)
        width, height = (max(1, round(side / shrink)) for side in picture.size)
        (sx, sy), (w, h) = frame.scale, picture.size
        small = replace(frame, picture=(width, height), scale=(sx * w / width, sy * h / height))
        return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0), small.on_image(
            self.heatmap.values
        )

    def figure(self, strength: float) -> bytes:
        """The picture with the map over it, as PNG."""
        picture, values = self._drawn
        return _png(plots.rgba(picture, values, strength))

    def scale(self, strength: float) -> tuple[bytes, plots.Scale]:
        """The colours in force from the lowest to the highest value, over a grey ground, as PNG; and the scale."""
        scale = plots.scale_of(self.heatmap.values)
        ramp = np.tile(np.linspace(scale.low, scale.high, 256, dtype=np.float32), (8, 1))
        return _png(plots.rgba(np.full((8, 256, 3), 200, np.uint8), ramp, strength)), scale


class Answers:
    """Question -> Answer. Keeps models and looks, so that another text costs no pass over the picture."""

    def __init__(self, models: dict[str, Callable[[], Model]]):
        self._choices = models
        self._models: dict[str, tuple[Model, tuple[str, ...]]] = {}
        self._looks: dict[tuple[Picture, str, str], Look] = {}

    def has(self, model: str) -> bool:
        """Whether the model is in memory already."""
        return model in self._models

    def model(self, name: str) -> Model:
        """The model of this name, loaded when first asked for."""
        return self._model(name)[0]

    def _model(self, name: str) -> tuple[Model, tuple[str, ...]]:
        if name not in self._models:
            with noted() as said:
                model = self._choices[name]() if name in self._choices else named_model(name)
            self._models[name] = model, tuple(said)
        return self._models[name]

    def look(self, picture: Picture, name: str, view: str | None) -> Look:
        """The picture as the model saw it, kept for the next text."""
        model = self.model(name)
        key = (picture, name, view or model.view)
        look = self._looks.pop(key, None) or model.look(picture.image, view)
        self._looks[key] = look  # the newest last
        while len(self._looks) > _LOOKS_KEPT:
            del self._looks[next(iter(self._looks))]
        return look

    def ask(self, question: Question) -> Answer:
        """The answer. Raises ClipvizError where picture, text or model cannot be had."""
        model, notes = self._model(question.model)
        look = self.look(question.picture, question.model, question.view)
        with noted() as said:
            heatmap = gradcam(look, question.text, model=model, against=question.against.strip() or None)
        answers = question.picture.answers
        if not answers and (domain := model.card.get("domain")):
            notes += (f"{model.name} was trained on {domain}. Anything else is outside of what it knows.",)
        mask = answers.get(question.text.strip().lower())
        found = None
        if mask is not None and not heatmap.constant:
            x, y = heatmap.peak()
            found = bool(mask[y, x])
        return Answer(heatmap, tuple(dict.fromkeys((*notes, *said, *heatmap.notes))), found)


@contextmanager
def noted() -> Iterator[list[str]]:
    """Within it, warnings of ours are kept as sentences for the panel. Others go where they went before."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ClipvizWarning)
        yield said
    for warning in caught:
        if issubclass(warning.category, ClipvizWarning):
            said.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _png(pixels: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG", compress_level=3)
    return held.getvalue()
