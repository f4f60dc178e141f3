"""The slider through the layers and the two texts, driven through their controls, with a network of random weights."""

from __future__ import annotations

import warnings

import ipywidgets
import numpy as np
import pytest

import clipviz
import clipviz.ui
from clipviz.errors import ClipvizError, InputError, PromptError
from clipviz.ui import depth_slider, two_texts

from .test_panel import pixels


@pytest.fixture
def depth(picture, model):
    return depth_slider(picture, "a red circle", model=model, method="gradcam")


@pytest.fixture
def versus(picture, model):
    return two_texts(picture, "a dog", "a cat", model=model, method="gradcam")


def widgets_of(panel):
    inside, left = [], [panel.widget]
    while left:
        inside.append(left.pop())
        left += getattr(inside[-1], "children", ())
    assert not any(isinstance(w, ipywidgets.Output) for w in inside), "an error would be swallowed there"
    return inside


def images(panel):
    return [w for w in widgets_of(panel) if isinstance(w, ipywidgets.Image)]


def two(picture, text, **more):
    return two_texts(picture, text, "a cat", **more)


def test_the_slider_begins_at_the_last_layer_with_what_the_library_gives(depth, picture, model):
    assert depth.error is None and depth.layer.options == ("0", "1") and depth.layer.value == "1"
    same = clipviz.explain(picture, "a red circle", model=model, method="gradcam", layer=1)[0, 0]
    assert np.allclose(depth.heatmap.values, same.values, rtol=1e-4, atol=1e-7 * np.abs(same.values).max())
    assert [pixels(w.value).shape for w in images(depth)] == [(50, 80, 3)]
    assert f"{same.score:+.3f}" in depth.title.value


def test_the_slider_draws_and_asks_nothing(depth):
    asked, last = depth.comparison, bytes(depth.figure.value)
    depth.layer.value = "0"
    assert depth.comparison is asked and depth.heatmap is asked["0"]
    assert bytes(depth.figure.value) != last
    told = asked.agreement.loc["0", "1"]
    assert f"map of layer 1: {told:+.2f}" in depth.scale.value
    depth.layer.value = "1"
    assert bytes(depth.figure.value) == last and "map of layer" not in depth.scale.value


def test_another_text_or_method_keeps_the_layer(depth):
    depth.layer.value = "0"
    depth.text.value = "a blue square"
    assert depth.heatmap.prompt == "a blue square" and depth.layer.value == "0"
    depth.method.value = "attention"
    assert depth.heatmap.method == "attention" and "does not read the text" in depth.notes.value
    names = [name for name, _ in depth.method.options]
    assert "attention (does not read the text)" in names and "gradcam" in names
    assert not any(name.startswith("scorecam") for name in names), "many seconds a layer: only where it is named"


def test_an_error_is_told_and_what_was_shown_is_marked_as_old(depth):
    figure = bytes(depth.figure.value)
    depth.text.value = "   "
    assert isinstance(depth.error, PromptError) and depth.heatmap is None and "error" in repr(depth)
    assert 'class="clipviz-error" role="alert"' in depth.message.value
    assert "clipviz-stale" in depth.figure._dom_classes and bytes(depth.figure.value) == figure
    depth.layer.value = "0"
    assert depth.heatmap is None and depth.error is not None, "the slider shows no answer to another question"
    depth.text.value = "a dog"
    assert depth.error is None and depth.message.value == "" and depth.message.layout.display == "none"
    assert "clipviz-stale" not in depth.figure._dom_classes and depth.heatmap.prompt == "a dog"


def test_what_a_person_types_is_no_markup(depth, versus):
    depth.text.value = versus.text.value = "<b>a dog</b>"
    assert "&lt;b&gt;" in depth.title.value and "<b>a dog</b>" not in depth.title.value + depth.notes.value
    assert all("<b>a dog</b>" not in part.value for parts in versus._shown for part in (parts[0], parts[2]))


def test_two_texts_are_shown_alone_and_against_each_other(versus, picture, model):
    one, other, rather = versus.heatmaps
    assert (one.prompt, other.prompt, rather.against) == ("a dog", "a cat", ("a cat",))
    same = clipviz.explain(picture, "a dog", against="a cat", model=model, method="gradcam")[0, 0]
    assert np.allclose(rather.values, same.values, rtol=1e-4, atol=1e-7) and versus.heatmap is rather
    assert rather.score == pytest.approx(one.score - other.score, abs=1e-6)
    assert len(images(versus)) == 3 and all(pixels(w.value).shape == (50, 80, 3) for w in images(versus))
    assert "difference of cosines" in versus._shown[2][0].value


def test_the_softmax_is_a_probability(versus):
    versus.contrast.value = "softmax"
    assert 0 < versus.heatmap.score < 1 and versus.heatmap.provenance["contrast"] == "softmax"
    assert f'probability <span class="clipviz-score">{versus.heatmap.score:.3f}' in versus._shown[2][0].value
    before = versus.heatmap.score
    versus.text.value, versus.other.value = "a cat", "a dog"  # by way of a text against itself, which is refused
    assert versus.error is None and versus.heatmap.score == pytest.approx(1 - before, abs=1e-5)


def test_a_text_against_itself_is_refused_in_the_panel(versus):
    versus.other.value = "a dog"
    assert isinstance(versus.error, PromptError) and versus.heatmap is None and versus.heatmaps == ()
    assert "against itself" in versus.message.value
    assert all("clipviz-stale" in figure._dom_classes for _, figure, _ in versus._shown)
    versus.other.value = "a cat"
    assert versus.error is None and versus.heatmap is not None
    assert not any("clipviz-stale" in figure._dom_classes for _, figure, _ in versus._shown)


def test_only_methods_that_read_the_text_are_offered(versus):
    assert "gradcam" in versus.method.options
    assert not {"attention", "rollout", "eigencam", "rise"} & set(versus.method.options)


@pytest.mark.parametrize("make", [depth_slider, two])
def test_where_things_are_tells_whether_the_peak_is_right(make, picture, model):
    everywhere, nowhere = np.ones((50, 80), bool), np.zeros((50, 80), bool)
    for mask, said in ((everywhere, "The peak lies on it."), (nowhere, "The peak lies elsewhere")):
        panel = make(picture, "a dog", model=model, method="gradcam", masks={"A dog ": mask})
        assert any(said in w.value for w in widgets_of(panel) if isinstance(w, ipywidgets.HTML))
    with pytest.raises(InputError, match="mask of 'a dog' has shape"):
        make(picture, "a dog", model=model, masks={"a dog": nowhere.T})


@pytest.mark.parametrize("make", [depth_slider, two])
def test_a_callers_mistake_is_raised(make, picture, model):
    with pytest.raises(InputError, match="There is no explainer 'gradcamm'"):
        make(picture, "a dog", model=model, method="gradcamm")
    with pytest.raises(PromptError):
        make(picture, "", model=model)


def test_a_look_is_taken_as_it_is_and_nothing_is_printed(picture, model):
    look = model.look(picture)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        panels = depth_slider(look, "a dog"), two_texts(look, "a dog", "a cat")
    for panel in panels:
        assert panel.look is look and panel.model is model and panel.error is None
        bundle = panel._repr_mimebundle_()
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == panel.widget.model_id


@pytest.mark.parametrize("make", [depth_slider, two])
def test_without_ipywidgets_they_say_what_to_install(monkeypatch, make):
    monkeypatch.setattr(clipviz.ui, "find_spec", lambda name: None)
    with pytest.raises(ClipvizError, match=r"clipviz\[notebook\]"):
        make("photo.jpg", "a dog")
