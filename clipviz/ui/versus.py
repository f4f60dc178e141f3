"""Two texts against each other over one picture: each alone, and the one rather than the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from ..explanation import Heatmap, explain, list_explainers
from ..explanation.defaults import default_method
from ..explanation.registry import find_explainer
from ..explanation.target import CONTRASTS
from ..model import Model
from . import markup
from .answers import noted
from .small import STRENGTH, Seen

_CONTRASTS = {"margin": "margin of the cosines", "softmax": "softmax among the two"}


class TwoTexts(Seen):
    """Made by `two_texts`. The last three heatmaps are ``heatmaps``: each text alone, and the contrast."""

    def __init__(
        self,
        picture: Any,
        text: str,
        other: str,
        *,
        model: Model | None,
        method: str | None,
        view: str | None,
        masks: Mapping[str, Any] | None,
    ):
        super().__init__(picture, model, view, masks)
        known = list_explainers(self.model)
        quick = list(known.loc[known["uses_text"] & (known["family"] != "perturbation"), "name"])
        first = default_method(self.model) if method is None else find_explainer(method, self.model).name
        self.text, self.other = self._box(text, "Text"), self._box(other, "Against")
        self.contrast = self._list([(_CONTRASTS.get(name, name), name) for name in CONTRASTS], "margin", "Contrast")
        self.method = self._list(list(dict.fromkeys([*quick, first])), first, "Method")
        self.heatmaps: tuple[Heatmap, ...] = self._ask()  # a caller's mistake is raised to the caller
        self._shown = [(self._html(), self._image(), self._html()) for _ in range(3)]
        self.notes = self._html()
        rows = [part for parts in zip(*self._shown, strict=True) for part in parts]  # titles, figures, what is below
        three = widgets.GridBox(
            rows, layout=widgets.Layout(grid_template_columns="repeat(3, minmax(0, 1fr))", grid_gap="6px 14px")
        )
        self.widget = self._root([self.text, self.other, self.contrast, self.method], [three, self.notes], "340px")
        for control in (self.text, self.other, self.contrast, self.method):
            self._on(control, self._answer)
        self._guarded(self._draw)

    @property
    def heatmap(self) -> Heatmap | None:
        """The first text rather than the second, None after an error."""
        return self.heatmaps[2] if self.heatmaps else None

    def _ask(self) -> tuple[Heatmap, ...]:
        asked: dict[str, Any] = {"model": self.model, "method": self.method.value}
        one, other = self.text.value, self.other.value
        with noted():  # what the warnings say stands in the heatmaps' notes
            # The contrast first: it refuses a text against itself in words that fit.
            rather = explain([self.look], [one], against=[other], contrast=self.contrast.value, **asked)[0, 0]
            return (*explain([self.look], [one, other], **asked)[0], rather)

    def _answer(self) -> None:
        self._say(markup.busy("Asking both texts ..."))
        self.heatmaps = self._ask()
        self._draw()

    def _draw(self) -> None:
        answers = [self._answer_of(heatmap) for heatmap in self.heatmaps]
        for (title, figure, below), answer in zip(self._shown, answers, strict=True):
            title.value = markup.title(answer, "the one against the other" if answer.heatmap.against else None)
            figure.value = answer.figure(STRENGTH)
            below.value = markup.scale(answer, STRENGTH) + markup.seen(answer)
        said = dict.fromkeys(note for answer in answers for note in answer.notes)
        self.notes.value = "".join(map(markup.note, said)) or markup.quiet(
            "Each map has colours of its own scale: compare places, not strengths."
        )

    def _failed(self) -> None:
        self.heatmaps = ()

    def __repr__(self) -> str:
        shown = f"error: {self.error}" if self.error is not None else repr(self.heatmap)
        return f"TwoTexts({shown})"
