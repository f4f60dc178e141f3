"""The panel itself: controls, and the last answer beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from ..errors import InputError
from ..explanation import Heatmap
from ..frame import VIEWS
from ..model import Model
from . import markup
from .answers import Answer, Answers, Question
from .choices import Picture, model_choices, samples
from .silence import Silence

GIVEN, PATH, UPLOAD, OTHER = "The given picture", "From a path", "An uploaded file", "Another ..."
_VIEWS = {
    "crop": "crop: the middle square",
    "pad": "pad: all of it, with borders",
    "squash": "squash: all of it, distorted",
    "tiles": "tiles: all of it, in squares",
}
_WIDE = widgets.Layout(width="100%", margin="0")
_LABEL = {"description_width": "64px"}


class Panel(Silence):
    """Made by `workbench`. Every callback ends in `_answer`, and what it raises is shown and kept in ``error``.

    No callback runs within an Output widget, where an error would be swallowed.
    """

    def __init__(
        self,
        picture: Any = None,
        text: str = "a red circle",
        *,
        model: Model | str | Path | None = None,
        models: Iterable[Model | str | Path] | None = None,
    ):
        self.heatmap: Heatmap | None = None
        self.error: Exception | None = None
        self._shown: Answer | None = None
        choices = model_choices(model, models)
        self._answers = Answers(choices)
        self._pictures = samples()
        self._typed = self._uploaded = Picture("", None)
        self._make_controls(picture, text, list(choices))
        self._make_figure()
        self.widget = self._arrange()
        self._listen()
        self._answer()

    # -- the widgets ---------------------------------------------------------------------------------------

    def _make_controls(self, picture: Any, text: str, models: list[str]) -> None:
        by_path = isinstance(picture, str | Path)
        if by_path:
            self._typed = Picture(Path(picture).name, str(picture))
        elif picture is not None:
            self._pictures = {GIVEN: Picture(GIVEN, picture), **self._pictures}
        self.picture = widgets.Dropdown(
            options=[*self._pictures, PATH, UPLOAD],
            value=PATH if by_path else next(iter(self._pictures)),
            description="Picture", layout=_WIDE, style=_LABEL,
        )  # fmt: skip
        self.path = widgets.Text(
            value=str(picture) if by_path else "", placeholder="photo.jpg, then Enter", continuous_update=False,
            description="Path", layout=_WIDE, style=_LABEL,
        )  # fmt: skip
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="Upload a picture",
            layout=widgets.Layout(width="100%", margin="0"),
            tooltip="A picture of at most 10 MB; give the path of a larger one",
        )  # fmt: skip
        self.text = widgets.Text(
            value=text, placeholder="what to look for", continuous_update=False,
            description="Text", layout=_WIDE, style=_LABEL,
        )  # fmt: skip
        self.against = widgets.Text(
            placeholder="another text (optional)", continuous_update=False,
            description="Against", layout=_WIDE, style=_LABEL,
        )  # fmt: skip
        self.model = widgets.Dropdown(
            options=[*models, OTHER], value=models[0], description="Model", layout=_WIDE, style=_LABEL
        )
        self.other = widgets.Text(
            placeholder="a folder, or ViT-B-32:openai", continuous_update=False,
            description="Name", layout=widgets.Layout(width="100%", margin="0", display="none"), style=_LABEL,
        )  # fmt: skip
        self.view = widgets.Dropdown(
            options=[(_VIEWS[view], view) for view in VIEWS], description="View", layout=_WIDE, style=_LABEL
        )
        self.strength = widgets.FloatSlider(
            value=0.6, min=0.0, max=1.0, step=0.05, readout_format=".0%",
            description="Overlay", layout=_WIDE, style=_LABEL,
        )  # fmt: skip

    def _make_figure(self) -> None:
        full = widgets.Layout(width="100%", margin="0")
        self.hint = widgets.HTML(layout=full)
        self.message = widgets.HTML(layout=widgets.Layout(width="100%", margin="0"))  # its own: it is hidden when empty
        self.title = widgets.HTML(layout=full)
        # No tooltip: the browser side of Image fails on one. The notes say in words what the figure shows.
        self.figure = widgets.Image(
            format="png", layout=widgets.Layout(max_width="100%", max_height="560px", margin="0")
        )
        self.scale = widgets.HTML(layout=full)
        self.notes = widgets.HTML(layout=full)
        self.figure.add_class("clipviz-figure")

    def _arrange(self) -> widgets.VBox:
        def group(name: str, *rows: widgets.Widget) -> widgets.VBox:
            title = widgets.HTML(markup.heading(name), layout=widgets.Layout(margin="0"))
            return widgets.VBox([title, *rows], layout=widgets.Layout(margin="0 0 16px 0", grid_gap="6px"))

        controls = widgets.VBox(
            [
                group("Picture", self.picture, self.path, self.upload, self.hint),
                group("Words", self.text, self.against),
                group("Model", self.model, self.other, self.view),
                group("Drawing", self.strength),
            ],
            layout=widgets.Layout(flex="1 1 270px", max_width="340px", min_width="0"),
        )
        result = widgets.VBox(
            [self.message, self.title, self.figure, self.scale, self.notes],
            layout=widgets.Layout(flex="1 1 320px", max_width="560px", min_width="0", grid_gap="8px"),
        )
        both = widgets.HBox([controls, result], layout=widgets.Layout(flex_flow="row wrap", grid_gap="24px"))
        border = "1px solid var(--jp-border-color2, #ddd)"
        root = widgets.VBox(
            [widgets.HTML(markup.STYLE, layout=widgets.Layout(height="0", margin="0")), both],
            layout=widgets.Layout(padding="14px 16px", border=border, max_width="980px"),
        )
        root.add_class("clipviz-panel")
        return root

    # -- what follows a change -----------------------------------------------------------------------------

    def _listen(self) -> None:
        def on(control: widgets.Widget, act: Callable[[], None]) -> None:
            control.observe(lambda _: None if self._silent else self._guarded(act), names="value")

        on(self.path, self._take_path)
        on(self.upload, self._take_upload)
        on(self.model, self._take_model)
        on(self.strength, self._draw)
        for control in (self.picture, self.text, self.against, self.other, self.view):
            on(control, self._answer)

    def _take_path(self) -> None:
        self._typed = Picture(Path(self.path.value).name, self.path.value.strip())
        self._choose(PATH)

    def _take_upload(self) -> None:
        if not self.upload.value:
            return
        file = self.upload.value[0]
        self._uploaded = Picture(file["name"], bytes(file["content"]))
        self._choose(UPLOAD)

    def _choose(self, picture: str) -> None:
        with self._silently():
            self.picture.value = picture
        self._answer()

    def _take_model(self) -> None:
        typed = self.model.value == OTHER
        self.other.layout.display = None if typed else "none"
        if typed and not self.other.value.strip():
            self._say(markup.busy("Type a folder, or architecture:tag such as ViT-B-32:openai, then Enter."))
            return
        self._answer()

    # -- question and answer -------------------------------------------------------------------------------

    def _question(self) -> Question:
        picture = {PATH: self._typed, UPLOAD: self._uploaded}.get(self.picture.value) or self._pictures[
            self.picture.value
        ]
        if self.picture.value == PATH and not self.path.value.strip():
            raise InputError("No path is given yet: type the path of a picture, such as photo.jpg, then Enter.")
        if self.picture.value == UPLOAD and picture is self._uploaded and not picture.name:
            raise InputError("No file is uploaded yet: press Upload, or choose another picture.")
        model = self.other.value.strip() if self.model.value == OTHER else self.model.value
        return Question(picture, self.text.value, self.against.value, model, self.view.value)

    def _answer(self) -> None:
        """Ask the model what the controls say, and show it."""
        self._guarded(self._ask)

    def _ask(self) -> None:
        question = self._question()
        if not self._answers.has(question.model):
            self._say(markup.busy(f"Loading {question.model} ..."))
            model = self._answers.model(question.model)
            if self._shown is None:  # the first model's own way of meeting pictures is where the control begins
                with self._silently():
                    self.view.value = model.view
                question = self._question()
        things = question.picture.answers
        self.hint.value = markup.quiet("It holds " + ", ".join(things) + ".") if things else ""
        answer = self._answers.ask(question)
        self._shown, self.heatmap, self.error = answer, answer.heatmap, None
        self.title.value, self.notes.value = markup.title(answer), markup.notes(answer)
        self._draw()
        self._mark_stale(False)
        self._say("")

    def _say(self, html: str) -> None:
        self.message.value = html
        self.message.layout.display = None if html else "none"  # empty, it would still take its gap

    def _mark_stale(self, stale: bool) -> None:
        """The last answer stays in view when the next one fails, plainly not what is asked now."""
        for part in (self.title, self.figure, self.scale, self.notes):
            (part.add_class if stale else part.remove_class)("clipviz-stale")

    def _draw(self) -> None:
        """The map over the picture once more, at the slider's strength: the model takes no part."""
        if self._shown is not None:
            self.figure.value = self._shown.figure(self.strength.value)
            self.scale.value = markup.scale(self._shown, self.strength.value)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # a callback's error has no other reader than the panel
            self.error, self.heatmap = error, None
            self._say(markup.error(error))
            self._mark_stale(True)

    def __repr__(self) -> str:
        shown = f"error: {self.error}" if self.error is not None else repr(self.heatmap)
        return f"Panel({shown})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The root widget's own, so that a panel at a cell's end shows itself."""
        return self.widget._repr_mimebundle_(**options)
