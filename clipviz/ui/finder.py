"""Boxes around what is typed: labels, a way to look, and a threshold that only draws."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import ipywidgets as widgets

from .. import plots
from ..detection import Detections, default_threshold, detect
from ..detection.ways import way_of
from ..errors import InputError, PromptError
from ..images import open_image
from ..model import Look, Model
from . import markup
from .answers import noted
from .small import WIDE, Small

ALONE = "the boxes alone"
LOW, TOP, STEP = 0.0, 0.5, 0.005  # of the threshold; its top rises where scores do
_DPI = 100
_LABEL = {"description_width": "76px"}
_METHODS = {
    "patches: one pass for all labels": "patches",
    "windows that share a pass": "windows",
    "grid: a crop for each window": "grid",
}
_SHARES = {"half the short side": 2, "a quarter of it": 4, "an eighth of it": 8, "a sixteenth of it": 16}
_CELLS: dict[str, tuple[int, ...]] = {
    "2 x 2 to 5 x 5 cells": (2, 3, 4, 5), **{f"{g} x {g} cells alone": (g,) for g in range(1, 8)}
}  # fmt: skip


class BoxFinder(Small):
    """Made by `box_finder`. A change of labels or of the way asks the model; the threshold and the map only draw.

    Everything down to a score of 0, which says less than the background, is asked for once, and the slider keeps what
    reaches it. ``found`` is all of that, ``detections`` what is in view.
    """

    def __init__(self, picture: Any, labels: Any, *, model: Model | None, method: str | None, threshold: float | None):
        super().__init__(picture, model)
        method = "patches" if method is None else method
        way_of(method, {})
        least = default_threshold(self.model) if threshold is None else threshold
        if not -2 <= least <= 2:
            raise InputError(f"threshold={threshold!r} is no score: pass a number such as 0.1.")
        self.picture = picture.picture if isinstance(picture, Look) else open_image(picture)
        self.found: Detections | None = None
        self.labels = widgets.Textarea(
            value="\n".join([labels] if isinstance(labels, str) else list(labels)), rows=4, continuous_update=False,
            placeholder="a label a line, then click elsewhere", description="Labels",
            layout=widgets.Layout(**WIDE), style=_LABEL,
        )  # fmt: skip
        self.method = self._choice([*_METHODS.items()], method, "Method")
        self.size = self._choice(*_sizes(self.method.value), "Patches")
        self.threshold = widgets.FloatSlider(
            value=least, min=min(LOW, least), max=max(TOP, least), step=STEP, readout_format=".3f",
            continuous_update=False, description="Threshold", layout=widgets.Layout(**WIDE), style=_LABEL,
        )  # fmt: skip
        self.found = self._ask()  # a caller's mistake is raised to the caller
        self.shown = self._choice([ALONE], ALONE, "Map")
        self.title, self.figure, self.notes = self._html(), self._image(), self._html()
        self.figure.layout.max_height = "640px"
        self.widget = self._root(
            [self.labels, widgets.VBox([self.method, self.size]), widgets.VBox([self.threshold, self.shown])],
            [self.title, self.figure, self.notes],
        )
        for control, act in (
            (self.labels, self._answer), (self.method, self._take_method), (self.size, self._answer),
            (self.threshold, self._draw), (self.shown, self._draw),
        ):  # fmt: skip
            self._on(control, act)
        first = self.found
        self._guarded(lambda: self._show(first))

    @property
    def detections(self) -> Detections | None:
        """The `Detections` in view, at the slider's threshold; None after an error."""
        return None if self.found is None else self.found.at(max(self.threshold.value, self.found.threshold))

    def _choice(self, options: Any, value: Any, label: str) -> widgets.Dropdown:
        made = self._list(options, value, label)
        made.style = _LABEL
        return made

    # -- question and answer -------------------------------------------------------------------------------

    def _ask(self) -> Detections:
        labels = [line.strip() for line in self.labels.value.splitlines() if line.strip()]
        if not labels:
            raise PromptError("No label is given: type what to look for, one a line, for instance a dog.")
        method, size = self.method.value, self.size.value
        options = {"sizes": size} if method == "grid" else {"smallest": max(1.0, min(self.picture.size) / size)}
        with noted():  # what the warnings say stands in the notes
            return detect(
                self.picture, labels, model=self.model, method=method, threshold=self.threshold.min, **options
            )

    def _take_method(self) -> None:
        options, first = _sizes(self.method.value)
        if options != list(self.size.options):
            with self._silently():
                self.size.options, self.size.value = options, first
        self._answer()

    def _answer(self) -> None:
        self._say(markup.busy("Looking ..."))
        self._show(self._ask())

    def _show(self, every: Detections) -> None:
        """A new answer: the slider reaches its highest score, and the list of maps holds its labels."""
        self.found = every
        highest = max(every.scores, default=0.0)
        options = [ALONE, *(every.labels if every.maps[0] is not None else ())]
        with self._silently():
            self.threshold.max = max(self.threshold.max, math.ceil(20 * highest) / 20)
            if options != list(self.shown.options):
                kept = self.shown.value if self.shown.value in options else ALONE
                self.shown.options, self.shown.value = options, kept
        self._draw()

    def _draw(self) -> None:
        if self.found is None:
            return self._answer()  # after an error, the slider asks anew
        every, found = self.found, self.found.at(max(self.threshold.value, self.found.threshold))
        label = self.shown.index - 1  # by its place: a label may be called as the first entry is
        asked = found.labels[label] if label >= 0 else None
        self.figure.value = plots.png(found.plot(evidence=asked), dpi=_DPI)
        self.title.value, self.notes.value = _title(found, asked), _told(found, every)

    def _failed(self) -> None:
        self.found = None

    def __repr__(self) -> str:
        shown = f"error: {self.error}" if self.error is not None else repr(self.detections)
        return f"BoxFinder({shown})"


def _sizes(method: str) -> tuple[list[tuple[str, Any]], Any]:
    """What the control of sizes offers for a method, and where it begins."""
    if method == "grid":
        return [*_CELLS.items()], (2, 3, 4, 5)
    return [*_SHARES.items()], 8


def _title(found: Detections, asked: str | None) -> str:
    """How many boxes there are, and how many of them are drawn where that is one label's alone."""
    number = f"{len(found) or 'No'} box{'' if len(found) == 1 else 'es'}"
    if asked is not None:
        number += f", {(found.table['label'] == asked).sum()} of them {asked}"
    return (
        f'<p class="clipviz-head"><b>{escape(number)}</b><span>{escape(found.model)}, {escape(found.method)}</span></p>'
    )


def _told(found: Detections, every: Detections) -> str:
    """Each label in words, and what to keep in mind; ``every`` holds the boxes below the slider too."""
    lines = []
    for label in found.labels:
        own, low = (d.table.loc[d.table["label"] == label, "score"] for d in (found, every))
        if len(own):
            said = f"{len(own)}, the best at {own.max():.3f}"
        else:
            best = f"the best reaches {low.max():.3f}" if len(low) else f"none reaches {every.threshold:.3g}"
            said = f"nothing here ({best})"
        lines.append(f"{label}: {said}")
    if found.maps[0] is None:
        lines.append("This way makes no map.")
    return "".join((*map(markup.quiet, lines), *map(markup.note, found.notes)))
