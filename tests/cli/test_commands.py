"""The command line, run in this process by click's own runner."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import clipviz
from clipviz.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    scene = clipviz.synth.scenes(1, seed=5)[0]
    scene.picture.save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


def test_version_and_help() -> None:
    assert clipviz.__version__ in run("--version").output
    assert "gradcam" in run("--help").output


@pytest.mark.parametrize("suffix", [".png", ".npz", ".html"])
def test_gradcam_writes_what_its_suffix_says(picture: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out/heat{suffix}"
    result = run("gradcam", picture, "a red circle", "--out", out)
    assert result.exit_code == 0, result.output
    assert str(out) in result.output
    assert out.stat().st_size > 1000
    if suffix == ".npz":
        same = clipviz.gradcam(picture, "a red circle")
        assert (clipviz.Heatmap.load(out).values == same.values).all()


def test_gradcam_options_reach_the_function(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    result = run("gradcam", picture, "a red circle", "--against", "a blue square", "--view", "pad", "--out", out)
    assert result.exit_code == 0, result.output
    heatmap = clipviz.Heatmap.load(out)
    assert heatmap.against == ("a blue square",)
    assert heatmap.frame.view == "pad"


def test_notes_go_to_standard_error(picture: Path, tmp_path: Path) -> None:
    result = run("gradcam", picture, "a xylophone", "--out", tmp_path / "x.png")
    assert result.exit_code == 0
    assert "never saw 'xylophone'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gradcam", "nowhere.png", "a dog"), "nowhere.png"),
        (("gradcam", "{picture}", " "), "blank"),
        (("gradcam", "{picture}", "a dog", "--model", "ViT-B-23:openai"), "ViT-B-32"),
        (("gradcam", "{picture}", "a dog", "--model", "ViT-B-32"), "openai"),
        (("gradcam", "{picture}", "a red circle", "--out", "x.jpg"), r"\.png, \.npz, \.html"),
        (("train", "tinny", "--out", "x"), "tiny"),
    ],
)
def test_errors_are_a_sentence_not_a_traceback(picture: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(*(a.format(picture=picture) for a in arguments))
    assert result.exit_code == 1
    assert re.search(says, result.stderr), result.stderr
    assert "Traceback" not in result.output


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[dict[str, str | None]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append(dict(attrs))


def read_page(path: Path) -> tuple[str, _Page]:
    text, page = path.read_text(encoding="utf-8"), _Page()
    page.feed(text)
    return text, page


def test_demo_without_further_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPVIZ_TEST_DATA", str(tmp_path / "absent"))
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    path = tmp_path / "demo" / "index.html"
    assert str(path) in result.output
    text, page = read_page(path)
    assert len(page.pictures) == 2
    assert all((p["src"] or "").startswith("data:image/png") and p["alt"] for p in page.pictures)
    assert "script" not in page.tags
    # what lies outside of the small model's training is said, for words and for pictures
    assert "never saw &#39;forest&#39;" in text or "never saw 'forest'" in text
    assert "Anything else is outside of what it knows" in text
    assert clipviz.load().provenance["weights_sha256"] in text


def test_demo_with_photographs(tmp_path: Path, shared: Path) -> None:
    result = run("demo", "--out", tmp_path, "--shared", shared)
    assert result.exit_code == 0, result.output
    text, page = read_page(tmp_path / "index.html")
    assert len(page.pictures) == 4
    assert "oc-tiny" in text
    again = run("demo", "--out", tmp_path, "--shared", shared)
    assert again.exit_code == 0
    assert read_page(tmp_path / "index.html")[0] == text  # the same page, to the byte


def test_models_of_the_bundle_and_of_tags() -> None:
    result = run("models", "--name", "roberta")  # whose parameters only the hub can count
    assert result.exit_code == 0, result.output
    assert "roberta-ViT-B-32" in result.output
    rows = run("models", "--name", "clipviz-tiny", "--csv").output.splitlines()
    assert rows[0].startswith("name,tag")
    assert rows[1].startswith("clipviz-tiny,")
    assert "No model fits" in run("models", "--name", "no such thing").output


def test_what_cannot_be_written_is_a_sentence(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("gradcam", picture, "a red circle", "--out", tmp_path / "file" / "x.png")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert not isinstance(result.exception, OSError)
    assert "no folder" in run("demo", "--out", tmp_path / "d", "--shared", tmp_path / "absent").stderr
