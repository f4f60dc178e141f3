"""The curves of a run while it goes, in a notebook."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import ipywidgets as widgets

from .. import plots
from ..errors import DataError
from ..training.log import curves, read_metrics
from . import markup


class LiveCurves:
    """A picture that a thread of its own draws anew every few seconds, from the lines that the run has written.

    ``widget`` is the root widget; ``error`` what went wrong last while drawing, which the widget tells as well.
    Training stays in the thread that it was called from, so that interrupting the kernel stops it with a checkpoint.
    """

    def __init__(self, out: str | Path, seconds: float) -> None:
        self.out, self.seconds = Path(out), seconds
        self.error: Exception | None = None
        self.status = widgets.HTML(markup.busy("Drawing or decoding the pictures ..."))
        self.figure = widgets.Image(value=_EMPTY, format="png", layout=widgets.Layout(max_width="100%"))
        self.widget = widgets.VBox([widgets.HTML(markup.STYLE), self.status, self.figure])
        self.widget.add_class("clipviz-panel")
        self._drawn = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> LiveCurves:
        from IPython.display import display

        display(self.widget)  # type: ignore[no-untyped-call]
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self.draw()
        if kind is not None and self.error is None:
            self.status.value = markup.busy("The run was stopped.")

    def draw(self) -> None:
        """Show what has been written by now."""
        try:
            lines = read_metrics(self.out)
        except DataError:
            return  # the run has not begun to write
        try:
            if len(lines) > self._drawn:
                self.figure.value = plots.png(curves(self.out), dpi=90)
                self._drawn = len(lines)
                self.status.value = markup.quiet(f"Step {lines[-1]['step']}, {lines[-1]['samples']:,} pairs seen.")
        except Exception as problem:  # a thread's error has no other reader
            self.error = problem
            self.status.value = markup.error(problem)

    def _watch(self) -> None:
        while not self._over.wait(self.seconds):
            self.draw()

    def __repr__(self) -> str:
        return f"LiveCurves({str(self.out)!r}, {self._drawn} lines drawn)"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)


_EMPTY = plots.png(plots.Canvas(0.1, 0.1))  # an Image without a value shows as broken
