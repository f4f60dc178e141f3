"""Panels for notebooks: a view over the same results that the library gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClipvizError

if TYPE_CHECKING:
    from ..model import Model
    from .depth import DepthSlider
    from .finder import BoxFinder
    from .live import LiveCurves
    from .panel import Panel
    from .versus import TwoTexts


def workbench(
    picture: Any = None,
    text: str = "a red circle",
    *,
    model: Model | str | Path | None = None,
    models: Iterable[Model | str | Path] | None = None,
) -> Panel:
    """A panel for notebooks: choose a picture, type a text, see where the model's score comes from.

    ``picture`` is a path or anything else that `open_image` takes; without one, a drawn scene is shown. ``model`` is
    the one to begin with (a `Model`, a folder, or "architecture:tag"; by default clipviz-tiny) and ``models`` are
    further ones to choose from. The panel shows a result at once and lets itself be left alone:
    ``panel.heatmap`` is the `Heatmap` in view, ``panel.error`` what went wrong last, ``panel.widget`` the root widget.
    What goes wrong is told in the panel, nothing is raised from a control. Raises ClipvizError without ipywidgets.

        >>> clipviz.workbench("photo.jpg", "the forest", models=["ViT-B-32:openai"])  # doctest: +SKIP
    """
    if find_spec("ipywidgets") is None:
        raise ClipvizError('The panel needs ipywidgets, which is not installed: pip install "clipviz[notebook]".')
    from .panel import Panel

    return Panel(picture, text, model=model, models=models)


def live_curves(out: str | Path, *, seconds: float = 3.0) -> LiveCurves:
    """Show the curves of a run while it trains: a context for a notebook's cell, drawn anew every few seconds.

    ``out`` is the folder that the run writes. Raises ClipvizError without ipywidgets.

        >>> with clipviz.ui.live_curves("runs/mine"):  # doctest: +SKIP
        ...     clipviz.train(recipe, out="runs/mine", quiet=True)
    """
    if find_spec("ipywidgets") is None:
        raise ClipvizError('Live curves need ipywidgets, which is not installed: pip install "clipviz[notebook]".')
    from .live import LiveCurves

    return LiveCurves(out, seconds)


def depth_slider(
    picture: Any,
    text: str,
    *,
    model: Model | None = None,
    method: str | None = None,
    view: str | None = None,
    masks: Mapping[str, Any] | None = None,
) -> DepthSlider:
    """A panel for notebooks: the map of one method through the layers of a network, a slider choosing the layer.

    ``picture`` is anything that `open_image` takes, or a `Look`. Text and method can be changed in the panel;
    ``masks`` (caption -> mask [H, W]) say where things are, so that it tells whether the peak is on what was named.
    ``panel.heatmap`` is the `Heatmap` in view, ``panel.comparison`` all layers, ``panel.error`` what went wrong last,
    told in the panel. Raises ClipvizError without ipywidgets, and as `clipviz.through_depth` for what is passed here.

        >>> clipviz.ui.depth_slider("photo.jpg", "a red circle", method="gradcam")  # doctest: +SKIP
    """
    if find_spec("ipywidgets") is None:
        raise ClipvizError('The slider needs ipywidgets, which is not installed: pip install "clipviz[notebook]".')
    from .depth import DepthSlider

    return DepthSlider(picture, text, model=model, method=method, view=view, masks=masks)


def two_texts(
    picture: Any,
    text: str,
    other: str,
    *,
    model: Model | None = None,
    method: str | None = None,
    view: str | None = None,
    masks: Mapping[str, Any] | None = None,
) -> TwoTexts:
    """A panel for notebooks: two texts over one picture, each alone and the first rather than the second.

    The contrast is the margin of the cosines or the softmax among the two. The arguments are those of `depth_slider`.
    ``panel.heatmaps`` are the three in view, ``panel.heatmap`` the contrast, ``panel.error`` what went wrong last, told
    in the panel. Raises ClipvizError without ipywidgets, and as `clipviz.explain` for what is passed here.

        >>> clipviz.ui.two_texts("photo.jpg", "a dog", "a cat")  # doctest: +SKIP
    """
    if find_spec("ipywidgets") is None:
        raise ClipvizError('The panel needs ipywidgets, which is not installed: pip install "clipviz[notebook]".')
    from .versus import TwoTexts

    return TwoTexts(picture, text, other, model=model, method=method, view=view, masks=masks)


def box_finder(
    picture: Any,
    labels: Any = ("a dog", "a cat"),
    *,
    model: Model | None = None,
    method: str | None = None,
    threshold: float | None = None,
) -> BoxFinder:
    """A panel for notebooks: boxes around what is typed, one label a line, with a threshold that costs no pass.

    ``picture`` is anything that `open_image` takes, or a `Look`; ``method`` and ``threshold`` are those of
    `clipviz.detect`, to begin with. The size of patches or windows and the label whose map is laid under its boxes are
    chosen in the panel. ``panel.detections`` are the `Detections` in view, ``panel.error`` what went wrong last, told
    in the panel. Raises ClipvizError without ipywidgets, and as `clipviz.detect` for what is passed here.

        >>> clipviz.ui.box_finder("photo.jpg", ["a dog", "a cat"])  # doctest: +SKIP
    """
    if find_spec("ipywidgets") is None:
        raise ClipvizError('The panel needs ipywidgets, which is not installed: pip install "clipviz[notebook]".')
    from .finder import BoxFinder

    return BoxFinder(picture, labels, model=model, method=method, threshold=threshold)


__all__ = ["box_finder", "depth_slider", "live_curves", "two_texts", "workbench"]
