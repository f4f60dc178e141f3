"""A slider through the layers of a network: the map of one method, one text and one picture, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from ..explanation import Comparison, Heatmap, list_explainers, through_depth
from ..explanation.defaults import default_method
from ..explanation.ways import has_layer
from ..model import Model
from . import markup
from .answers import Answer, noted
from .small import STRENGTH, WIDE, Seen


class DepthSlider(Seen):
    """Made by `depth_slider`. All layers are asked at once, so that the slider only draws."""

    def __init__(
        self,
        picture: Any,
        text: str,
        *,
        model: Model | None,
        method: str | None,
        view: str | None,
        masks: Mapping[str, Any] | None,
    ):
        super().__init__(picture, model, view, masks)
        self.comparison: Comparison | None = None
        self._answers: dict[str, Answer] = {}
        known = list_explainers(self.model)
        # Perturbation takes many seconds a layer, and is had by naming it.
        quick = (known["family"] != "perturbation") | (known["name"] == method)
        known = known[quick & known["name"].map(lambda name: has_layer(name, self.model))]
        options = [
            (name if reads else f"{name} (does not read the text)", name)
            for name, reads in zip(known["name"], known["uses_text"], strict=True)
        ]
        names = [name for _, name in options]
        first = _first(names, default_method(self.model)) if method is None else method
        self.comparison = self._ask(text, first)  # a caller's mistake is raised to the caller
        self.text = self._box(text, "Text")
        self.method = self._list(options, first, "Method")
        layers = self.comparison.names
        self.layer = widgets.SelectionSlider(
            options=layers, value=layers[-1], description="Layer", layout=widgets.Layout(**WIDE),
            style={"description_width": "64px"},
        )  # fmt: skip
        self.title, self.figure, self.scale, self.notes = self._html(), self._image(), self._html(), self._html()
        self.widget = self._root(
            [self.text, self.method, self.layer], [self.title, self.figure, self.scale, self.notes]
        )
        self._on(self.text, self._answer)
        self._on(self.method, self._answer)
        self._on(self.layer, self._draw)
        self._guarded(self._draw)

    @property
    def heatmap(self) -> Heatmap | None:
        """The `Heatmap` in view, None after an error."""
        return None if self.comparison is None else self.comparison[self.layer.value]

    def _ask(self, text: str, method: str) -> Comparison:
        with noted():  # what the warnings say stands in the heatmaps' notes
            found = through_depth(self.look, text, model=self.model, method=method)
        self._answers = {name: self._answer_of(h) for name, h in zip(found.names, found.heatmaps, strict=True)}
        return found

    def _answer(self) -> None:
        self._say(markup.busy("Asking every layer ..."))
        self.comparison = self._ask(self.text.value, self.method.value)
        if self.layer.options != self.comparison.names:
            with self._silently():
                self.layer.options = self.comparison.names
        self._draw()

    def _draw(self) -> None:
        if self.comparison is None:
            self.comparison = self._ask(self.text.value, self.method.value)  # after an error, the slider asks anew
        name, last = self.layer.value, self.comparison.names[-1]
        answer = self._answers[name]
        self.title.value, self.notes.value = markup.title(answer), markup.notes(answer)
        self.figure.value = answer.figure(STRENGTH)
        self.scale.value = markup.scale(answer, STRENGTH)
        if name != last:
            same = float(self.comparison.agreement.loc[name, last])
            told = "cannot be told" if same != same else f"{same:+.2f}"
            self.scale.value += markup.quiet(f"Rank correlation with the map of layer {last}: {told}.")

    def _failed(self) -> None:
        self.comparison = None

    def __repr__(self) -> str:
        shown = f"error: {self.error}" if self.error is not None else repr(self.heatmap)
        return f"DepthSlider(layer {self.layer.value}, {shown})"


def _first(names: list[str], wanted: str) -> str:
    """The model's default, where it has a layer to choose."""
    return wanted if wanted in names else "gradcam"
