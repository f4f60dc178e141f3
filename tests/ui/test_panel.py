"""The panel, driven through its controls as a browser would, with a small network of random weights."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import clipviz
from clipviz import weights
from clipviz.clip import CLIP
from clipviz.clip.config import Config, TextConfig, ViTConfig
from clipviz.errors import ClipvizError, InputError, ModelError, PromptError
from clipviz.ui import choices
from clipviz.ui.panel import OTHER, PATH, UPLOAD

MEAN = (0.5, 0.5, 0.5)


def save_model(path, seed=0, **more):
    torch.manual_seed(seed)
    config = Config(
        embed_dim=16,
        vision=ViTConfig(image_size=28, patch_size=4, width=32, layers=2, head_width=16),
        text=TextConfig(context_length=16, vocab_size=49408, width=16, heads=2, layers=1),
        quick_gelu=False,
    )
    weights.save_folder(path, CLIP(config).eval(), mean=MEAN, std=MEAN, **more)
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def model(folder):
    return clipviz.load(folder)


@pytest.fixture
def panel(model):
    made = clipviz.workbench(model=model)
    assert made.error is None
    return made


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB")).astype(int)


def png(colour=(200, 30, 30), size=(60, 40)):
    held = io.BytesIO()
    Image.new("RGB", size, colour).save(held, "PNG")
    return held.getvalue()


@pytest.fixture
def passes(model, monkeypatch):
    """Counts the calls of either tower's way in."""
    count = {"image": 0, "text": 0, "tail": 0}

    def counting(name, owner, method):
        real = getattr(owner, method)

        def call(*args, **kwargs):
            count[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, method, call)

    counting("image", model.clip.visual, "trace")
    counting("image", model.clip.visual, "forward")
    counting("text", model.clip.text, "forward")
    counting("tail", model.clip.visual, "tail")
    return count


def test_it_shows_a_result_untouched(panel):
    assert panel.heatmap.prompt == "a red circle"
    assert panel.figure.format == "png" and pixels(panel.figure.value).shape == (224, 224, 3)
    assert "a red circle" in panel.title.value and f"{panel.heatmap.score:+.3f}" in panel.title.value
    assert panel.message.value == "" and panel.message.layout.display == "none"
    assert all(
        part.layout.display is None for part in (panel.title, panel.figure, panel.scale, panel.notes, panel.hint)
    )
    assert "It holds" in panel.hint.value and "a red circle" in panel.hint.value


def test_the_heatmap_is_what_the_library_gives(panel, model):
    picture = panel._pictures[panel.picture.value].image
    expected = clipviz.gradcam(picture, "a red circle", model=model)
    np.testing.assert_allclose(panel.heatmap.values, expected.values, atol=1e-6)
    assert panel.heatmap.score == pytest.approx(expected.score, abs=1e-6)


def test_another_text_costs_no_image_pass(panel, passes):
    before = panel.heatmap
    panel.text.value = "a blue star"
    assert passes["image"] == 0 and passes["text"] > 0
    assert panel.heatmap.prompt == "a blue star" and not np.allclose(panel.heatmap.values, before.values)
    panel.against.value = "a red circle"
    assert passes["image"] == 0
    assert panel.heatmap.against == ("a red circle",) and "difference of cosines" in panel.title.value


def test_another_picture_or_view_is_looked_at_once(panel, passes):
    panel.picture.value = "Photograph of a flower"
    assert panel.error is None and panel.heatmap.picture.size == (640, 427)
    first = passes["image"]
    assert first > 0
    panel.view.value = "pad"
    assert panel.heatmap.frame.view == "pad" and passes["image"] > first
    seen = passes["image"]
    panel.view.value = "crop"  # kept from before
    assert panel.heatmap.frame.view == "crop" and passes["image"] == seen


def test_the_strength_is_drawn_without_the_model(panel, passes):
    before, scale, heatmap = panel.figure.value, panel.scale.value, panel.heatmap
    panel.strength.value = 0.2
    assert passes == {"image": 0, "text": 0, "tail": 0} and panel.heatmap is heatmap
    assert panel.figure.value != before and panel.scale.value != scale
    panel.strength.value = 0.0
    assert (pixels(panel.figure.value) == np.asarray(panel.heatmap.picture)).all()


def test_the_figure_marks_what_was_not_seen(model):
    wide = Image.new("RGB", (120, 40), (0, 90, 200))
    panel = clipviz.workbench(wide, model=model)
    panel.strength.value = 0.0
    drawn = pixels(panel.figure.value)
    assert drawn.shape == (40, 120, 3)
    assert (drawn[:, 45:75] == [0, 90, 200]).all(), "the middle square was seen"
    assert (drawn[:, :35, 0] == drawn[:, :35, 2]).all(), "the side is grey"


def test_a_large_picture_is_drawn_at_screen_size(model):
    grey = np.full((1500, 3000, 3), 120, np.uint8)
    panel = clipviz.workbench(grey, model=model)
    assert panel.error is None and pixels(panel.figure.value).shape == (360, 720, 3)
    assert panel.heatmap.on_image().shape == (1500, 3000)


def test_a_path(panel, tmp_path):
    (tmp_path / "mine.png").write_bytes(png())
    panel.path.value = str(tmp_path / "mine.png")
    assert panel.picture.value == PATH and panel.error is None
    assert panel.heatmap.picture.size == (60, 40)
    assert panel.hint.value == ""


def test_a_bad_path_is_one_sentence_until_the_picture_is_right(panel):
    figure = panel.figure.value
    panel.path.value = "<i>nowhere</i>.png"
    assert isinstance(panel.error, InputError) and panel.heatmap is None
    assert "There is no file" in panel.message.value and "&lt;i&gt;nowhere" in panel.message.value
    assert panel.message.layout.display is None
    assert "clipviz-stale" in panel.figure._dom_classes and panel.figure.value == figure
    panel.text.value = "a blue star"
    assert "There is no file" in panel.message.value, "the picture is still wrong, whatever the text"
    panel.picture.value = "Photograph of a temple"
    assert panel.error is None and panel.message.value == "" and panel.heatmap.prompt == "a blue star"
    assert "clipviz-stale" not in panel.figure._dom_classes


@pytest.mark.parametrize("choice", [PATH, UPLOAD])
def test_a_choice_without_its_picture_says_what_to_do(panel, choice):
    panel.picture.value = choice
    assert isinstance(panel.error, InputError) and "yet" in panel.message.value


def upload(panel, name, content):
    file = {"name": name, "type": "image/png", "size": len(content), "content": memoryview(content), "last_modified": 0}
    panel.upload.set_state({"value": [file]})  # as the browser sends it


def test_an_upload(panel):
    upload(panel, "mine.png", png(size=(50, 80)))
    assert panel.picture.value == UPLOAD and panel.error is None
    assert panel.heatmap.picture.size == (50, 80)
    upload(panel, "mine.png", png()[:50])
    assert isinstance(panel.error, InputError) and "clipviz-error" in panel.message.value


def test_words_are_escaped_and_blank_ones_refused(panel):
    panel.text.value = "<script>alert(1)</script>"
    everything = panel.title.value + panel.notes.value + panel.message.value + panel.scale.value
    assert panel.error is None and "<script" not in everything and "&lt;script&gt;" in panel.title.value
    panel.text.value = "   "
    assert isinstance(panel.error, PromptError) and "clipviz-error" in panel.message.value
    panel.text.value, panel.against.value = "a dog", "a dog"
    assert isinstance(panel.error, PromptError) and "against itself" in panel.message.value


def test_warnings_become_notes(tmp_path):
    ids = clipviz.load(save_model(tmp_path / "plain")).tokenizer.encode("a red circle")
    taught = save_model(tmp_path / "taught", seen_token_ids=ids, card={"domain": "drawings"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        panel = clipviz.workbench(model=taught)
        assert panel.error is None and "clipviz-note" not in panel.notes.value
        panel.text.value = "a zebra"
        assert "never saw" in panel.notes.value and "zebra" in panel.notes.value
        panel.text.value = "a red circle " * 9
        assert "were cut" in panel.notes.value
        panel.picture.value = "Photograph of a flower"
        assert "trained on drawings" in panel.notes.value


def test_the_peak_is_judged_where_the_answer_is_known(panel):
    judged = {"The peak lies on it.", "The peak lies elsewhere: this map is wrong here."}
    scene = panel._pictures[panel.picture.value].scene
    for thing in scene.objects:
        panel.text.value = thing.caption
        x, y = panel.heatmap.peak()
        said = "The peak lies on it." if thing.mask[y, x] else "The peak lies elsewhere: this map is wrong here."
        assert said in panel.notes.value
    panel.text.value = "a pizza"
    assert not any(words in panel.notes.value for words in judged)


def test_the_model_is_changed(model, tmp_path):
    other = save_model(tmp_path / "other", seed=1)
    panel = clipviz.workbench(model=model, models=[other])
    assert panel.model.options == ("small", "other", "clipviz-tiny", OTHER)
    first = panel.heatmap
    panel.model.value = "other"
    assert panel.error is None and panel.heatmap.provenance["model"]["model"] == "other"
    assert not np.allclose(panel.heatmap.values, first.values)
    panel.model.value = "small"
    np.testing.assert_allclose(panel.heatmap.values, first.values, atol=1e-7)


def test_a_model_is_typed(panel, tmp_path):
    save_model(tmp_path / "third", seed=2)
    assert panel.other.layout.display == "none"
    panel.model.value = OTHER
    assert panel.other.layout.display is None and panel.error is None
    panel.other.value = str(tmp_path / "third")
    assert panel.heatmap.provenance["model"]["model"] == "third"
    panel.other.value = "ViT-B-33:openai"
    assert isinstance(panel.error, ModelError) and "ViT-B-3" in panel.message.value
    panel.other.value = "nowhere"
    assert isinstance(panel.error, ModelError) and "nowhere" in panel.message.value
    panel.model.value = "small"
    assert panel.error is None and panel.other.layout.display == "none"


def test_a_typed_name_is_architecture_and_tag(monkeypatch):
    asked = []
    monkeypatch.setattr(choices, "load", lambda *args: asked.append(args))
    for name in ("ViT-B-32:openai", " RN50:none ", "clipviz-tiny"):
        choices.named_model(name)
    assert asked == [("ViT-B-32", "openai"), ("RN50", None), ()]


def test_an_unexpected_error_is_shown_with_its_type(panel, model, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("a <b>fault</b>")

    monkeypatch.setattr(model.clip.visual, "tail", broken)
    panel.text.value = "a green ring"
    assert isinstance(panel.error, ZeroDivisionError)
    assert "ZeroDivisionError: a &lt;b&gt;fault" in panel.message.value


def test_a_model_that_cannot_be_had_does_not_stop_the_panel(model):
    panel = clipviz.workbench(model="no/such/folder", models=[model])
    assert isinstance(panel.error, ModelError) and panel.heatmap is None
    assert "no/such/folder" in panel.message.value
    panel.strength.value = 0.3  # nothing to draw, and nothing breaks
    panel.model.value = "small"
    assert panel.error is None and panel.heatmap is not None


def test_the_first_model_says_how_it_meets_pictures(tmp_path, model):
    padded = save_model(tmp_path / "padded", resize_mode="longest")
    assert clipviz.workbench(model=padded).heatmap.frame.view == "pad"
    assert clipviz.workbench(model=model).heatmap.frame.view == "crop"


def controls(widget):
    for child in getattr(widget, "children", ()):
        yield child
        yield from controls(child)


def test_every_control_is_named_and_no_output_widget_is_used(panel):
    import ipywidgets

    inside = list(controls(panel.widget))
    named = [w for w in inside if isinstance(w, ipywidgets.ValueWidget) and hasattr(w, "observe")]
    named = [w for w in named if not isinstance(w, (ipywidgets.HTML, ipywidgets.Image))]
    assert len(named) == 9 and all(w.description for w in named)
    assert len({w.description for w in named}) == len(named)
    assert not any(isinstance(w, ipywidgets.Output) for w in inside)
    assert "highest at the" in panel.notes.value, "the figure in words"
    assert panel.figure.tooltip is None, "the browser cannot draw an Image that has one"


def test_it_shows_itself_in_a_notebook(panel):
    bundle = panel._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == panel.widget.model_id


def test_without_ipywidgets_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(clipviz.ui, "find_spec", lambda name: None)
    with pytest.raises(ClipvizError, match=r"clipviz\[notebook\]"):
        clipviz.workbench()


def test_the_name_is_had_without_ipywidgets():
    code = "import json, sys, clipviz; clipviz.workbench; print(json.dumps('ipywidgets' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False
