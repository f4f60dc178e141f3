"""What the small panels share: one picture, a few controls, and an error that is told rather than swallowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np

from ..errors import InputError
from ..explanation import Heatmap
from ..model import Look, Model, load
from . import markup
from .answers import Answer
from .silence import Silence

STRENGTH = 0.6  # of the overlay, as the figures of the library have it
WIDE = {"width": "100%", "margin": "0"}
_LABEL = {"description_width": "64px"}


class Small(Silence):
    """Controls over figures. Every callback runs in `_guarded`, and what it raises is shown and kept in ``error``.

    No callback runs within an Output widget, where an error would be swallowed; a figure is an Image's value.
    """

    def __init__(self, picture: Any, model: Model | None):
        self.error: Exception | None = None
        if isinstance(picture, Look):
            model = picture.model if model is None else model
        self.model = load() if model is None else model
        self.message = widgets.HTML(layout=widgets.Layout(**WIDE))
        self._parts: list[widgets.Widget] = []  # what is old when the last question failed

    # -- widgets -------------------------------------------------------------------------------------------

    def _box(self, value: str, label: str) -> widgets.Text:
        return widgets.Text(
            value=value, placeholder="a text, then Enter", continuous_update=False, description=label,
            layout=widgets.Layout(**WIDE), style=_LABEL,
        )  # fmt: skip

    def _list(self, options: Any, value: str, label: str) -> widgets.Dropdown:
        return widgets.Dropdown(
            options=options, value=value, description=label, layout=widgets.Layout(**WIDE), style=_LABEL
        )

    def _html(self) -> widgets.HTML:
        made = widgets.HTML(layout=widgets.Layout(**WIDE))
        self._parts.append(made)
        return made

    def _image(self) -> widgets.Image:
        made = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", max_height="420px", margin="0"))
        made.add_class("clipviz-figure")
        self._parts.append(made)
        return made

    def _root(self, controls: list[widgets.Widget], shown: list[widgets.Widget], least: str = "240px") -> widgets.VBox:
        """The controls, each ``least`` wide, in a row that wraps, and below it what is shown."""
        for control in controls:
            control.layout.flex, control.layout.width = f"1 1 {least}", "auto"
            control.layout.min_width = "0"
        row = widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap", grid_gap="6px 18px", margin="0"))
        root = widgets.VBox(
            [widgets.HTML(markup.STYLE, layout=widgets.Layout(height="0", margin="0")), row, self.message, *shown],
            layout=widgets.Layout(
                padding="14px 16px", border="1px solid var(--jp-border-color2, #ddd)", max_width="980px", grid_gap="8px"
            ),
        )
        root.add_class("clipviz-panel")
        return root

    # -- question and answer -------------------------------------------------------------------------------

    def _on(self, control: widgets.Widget, act: Callable[[], None]) -> None:
        control.observe(lambda _: None if self._silent else self._guarded(act), names="value")

    def _say(self, html: str) -> None:
        self.message.value = html
        self.message.layout.display = None if html else "none"  # empty, it would still take its gap

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # a callback's error has no other reader than the panel
            self.error = error
            self._failed()
            self._say(markup.error(error))
        else:
            self.error = None
            self._say("")
        for part in self._parts:  # the last answer stays in view, plainly not what is asked now
            (part.remove_class if self.error is None else part.add_class)("clipviz-stale")

    def _failed(self) -> None:
        """Forget the result that is no longer the answer."""

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The root widget's own, so that a panel at a cell's end shows itself."""
        return self.widget._repr_mimebundle_(**options)  # type: ignore[attr-defined]


class Seen(Small):
    """A small panel of heatmaps: the picture is looked at once, and ``masks`` say where things are in it."""

    def __init__(self, picture: Any, model: Model | None, view: str | None, masks: Mapping[str, Any] | None):
        super().__init__(picture, model)
        self.look = self.model.look(picture, view)
        self.masks = _checked(masks or {}, self.look)

    def _answer_of(self, heatmap: Heatmap) -> Answer:
        """With whether the peak lies on the thing, where that is known; a contrast has no place where it must be."""
        mask, found = self.masks.get(heatmap.prompt.strip().lower()), None
        if mask is not None and not heatmap.constant and not heatmap.against:
            x, y = heatmap.peak()
            found = bool(mask[y, x])
        return Answer(heatmap, tuple(dict.fromkeys(heatmap.notes)), found)


def _checked(masks: Mapping[str, Any], look: Look) -> dict[str, np.ndarray]:
    """Caption in lower case -> mask [H, W] of the picture."""
    width, height = look.picture.size
    checked = {caption.strip().lower(): np.asarray(mask, dtype=bool) for caption, mask in masks.items()}
    for caption, mask in checked.items():
        if mask.shape != (height, width):
            raise InputError(
                f"The mask of {caption!r} has shape {list(mask.shape)}, the picture [{height}, {width}]: pass one of "
                "the picture's size."
            )
    return checked
