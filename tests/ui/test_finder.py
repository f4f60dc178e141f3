"""The finder of boxes, driven through its controls, with a network of random weights."""

from __future__ import annotations

import numpy as np
import pytest

import clipviz
import clipviz.ui
from clipviz.errors import ClipvizError, InputError, PromptError
from clipviz.ui import box_finder, finder
from clipviz.ui.finder import ALONE

from .test_panel import pixels
from .test_small import images, widgets_of


@pytest.fixture
def panel(picture, model):
    made = box_finder(picture, ["a dog", "a cat"], model=model, method="grid", threshold=-0.5)
    assert made.error is None
    return made


@pytest.fixture
def passes(monkeypatch):
    """What was asked of the library."""
    asked, real = [], finder.detect
    monkeypatch.setattr(finder, "detect", lambda *args, **more: asked.append(more) or real(*args, **more))
    return asked


def test_it_begins_with_what_the_library_finds(panel, picture, model):
    same = clipviz.detect(picture, ["a dog", "a cat"], model=model, method="grid", threshold=-0.5)
    assert len(same) > 0 and (panel.detections.boxes == same.boxes).all()
    assert np.allclose(panel.detections.scores, same.scores)
    assert f"{len(same)} boxes" in panel.title.value and "small, grid" in panel.title.value
    assert [pixels(w.value).min() < pixels(w.value).max() for w in images(panel)] == [True]
    for label in same.labels:
        best = same.table.loc[same.table["label"] == label, "score"].max()
        assert f"the best at {best:.3f}" in panel.notes.value
    named = [w for w in widgets_of(panel) if getattr(w, "description", "")]
    assert [w.description for w in (panel.labels, panel.method, panel.size, panel.threshold, panel.shown)] == [
        "Labels", "Method", "Patches", "Threshold", "Map"
    ]  # fmt: skip
    assert len(named) == 5


def test_the_threshold_and_the_map_draw_and_ask_nothing(panel, passes):
    every, first = panel.found, bytes(panel.figure.value)
    cut = float(np.sort(every.scores)[-2])
    panel.threshold.step = 1e-9
    panel.threshold.value = cut
    assert len(panel.detections) == (every.scores >= panel.threshold.value).sum() < len(every)
    second = bytes(panel.figure.value)
    panel.threshold.value = panel.threshold.max
    assert len(panel.detections) == 0 and "No boxes" in panel.title.value
    assert panel.notes.value.count("nothing here (the best reaches") == 2
    panel.shown.value = "a cat"
    assert "0 of them a cat" in panel.title.value
    assert len({first, second, bytes(panel.figure.value)}) == 3
    assert passes == [] and panel.found is every and panel.error is None


def test_labels_and_the_way_are_asked_anew(panel, passes):
    panel.shown.value = "a cat"
    panel.labels.value = "\n a cat \n\na blue star\n"
    assert panel.found.labels == ("a cat", "a blue star") and panel.shown.value == "a cat", "kept, as it is there still"
    panel.size.value = (3,)
    assert {e.evidence for e in panel.found} == {"window of 3 x 3 cells"}
    panel.method.value = "windows"
    assert (len(panel.shown.options) > 1) == (panel.found.maps[0] is not None) == ("no map" not in panel.notes.value)
    panel.method.value = "patches"
    assert panel.shown.options == (ALONE, "a cat", "a blue star") and panel.size.value == 8
    panel.size.value = 2
    assert [more.get("smallest") for more in passes] == [None, None, 50 / 8, 50 / 8, 25]
    assert passes[1]["sizes"] == (3,) and panel.error is None and panel.found.method == "patches"


def test_an_error_is_told_and_what_was_shown_is_marked_as_old(panel):
    figure = bytes(panel.figure.value)
    panel.labels.value = "  \n"
    assert isinstance(panel.error, PromptError) and panel.detections is None and "error" in repr(panel)
    assert 'class="clipviz-error" role="alert"' in panel.message.value
    assert "clipviz-stale" in panel.figure._dom_classes and bytes(panel.figure.value) == figure
    panel.threshold.value = 0.0
    assert panel.error is not None, "the slider shows no answer to another question"
    panel.labels.value = "a dog\na dog"
    assert "given twice" in panel.message.value
    panel.labels.value = "<b>a dog</b>\nthe boxes alone"
    assert panel.error is None and panel.message.value == "" and "clipviz-stale" not in panel.figure._dom_classes
    assert "&lt;b&gt;a dog" in panel.notes.value and "<b>a dog" not in panel.notes.value + panel.title.value


def test_a_callers_mistake_is_raised(picture, model, tmp_path, monkeypatch):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="no picture that Pillow can read"):
        box_finder(tmp_path / "bad.png", "a dog", model=model)
    with pytest.raises(InputError, match="Did you mean 'windows'"):
        box_finder(picture, "a dog", model=model, method="window")
    with pytest.raises(InputError, match="no score"):
        box_finder(picture, "a dog", model=model, threshold=float("nan"))
    with pytest.raises(PromptError):
        box_finder(picture, [], model=model)
    monkeypatch.setattr(clipviz.ui, "find_spec", lambda name: None)
    with pytest.raises(ClipvizError, match=r"clipviz\[notebook\]"):
        box_finder(picture, "a dog")
