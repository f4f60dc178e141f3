"""``clipviz explain`` and ``clipviz compare``, run in this process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import clipviz
from clipviz.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_explain_does_what_the_function_does(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "x.npz"
    texts = ("--text", "a red circle", "--text", "a blue square")
    options = ("--method", "gradcam", "--layer", 1, "--view", "pad", "--against", "a green ring")
    result = run("explain", picture, *texts, *options, "--out", out)
    assert result.exit_code == 0, result.output
    same = clipviz.explain(
        [picture], ["a red circle", "a blue square"], method="gradcam", layer=1, view="pad", against="a green ring"
    )
    found = clipviz.Heatmaps.load(out)
    assert (found.values == same.values).all() and found.prompts == same.prompts
    assert found[0, 0].provenance["options"] == {"layer": "1"}
    assert str(out) in result.output and "scene.png: Heatmap('a red circle' against 'a green ring'" in result.output


def test_a_folder_and_what_is_damaged_in_it(picture: Path, tmp_path: Path) -> None:
    (picture.parent / "broken.png").write_bytes(b"no picture")
    result = run(
        "explain",
        picture.parent,
        "--text",
        "a red circle",
        "--method",
        "gradcam",
        "--option",
        "layer=2",
        "--out",
        tmp_path / "x.csv",
    )
    assert result.exit_code == 0, result.output
    assert "Left out broken.png: " in result.stderr
    assert (tmp_path / "x.csv").read_text().count("scene.png") == 49


def test_the_methods_are_listed() -> None:
    result = run("explain", "--list")
    assert result.exit_code == 0
    assert {"gradcam", "occlusion", "rollout"} <= set(result.output.split())


def test_compare_by_method_model_and_layer(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.npz"
    result = run(
        "compare", picture, "a red circle", "--method", "gradcam", "--method", "maskclip", "--no-checks", "--out", out
    )
    assert result.exit_code == 0, result.output
    found = clipviz.Comparison.load(out)
    assert found.names == ("gradcam", "maskclip") and repr(found) in result.output
    folder = clipviz.load().save(tmp_path / "tiny")
    result = run("compare", picture, "a red circle", "--model", folder, "--model", folder, "--no-checks", "--out", out)
    assert result.exit_code == 0, result.output
    assert clipviz.Comparison.load(out).by == "model"
    result = run("compare", picture, "a red circle", "--layers", "--no-checks", "--out", out)
    assert result.exit_code == 0, result.output
    assert clipviz.Comparison.load(out).names == ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("explain",), "Name at least one picture and one text"),
        (("explain", "{picture}"), "at least one picture and one text"),
        (("explain", "nowhere.png", "--text", "a"), "No picture could be opened, the first: There is no file"),
        (("explain", "{picture}", "--text", "a", "--method", "gradcan"), "Did you mean 'gradcam'"),
        (("explain", "{picture}", "--text", "a", "--option", "layer"), "is not KEY=VALUE"),
        (("explain", "{picture}", "--text", "a", "--method", "gradcam", "--option", "lyer=1"), "'lyer'.*'layer'"),
        (("explain", "{picture}", "--text", "a", "--layer", "1", "--option", "layer=1"), "given twice"),
        (("explain", "{picture}", "--text", "a", "--out", "x.jpg"), r"\.png, \.npz, \.html, \.csv"),
        (("compare", "{picture}", "a", "--out", "x.jpg"), r"\.png, \.npz, \.html, \.csv"),
        (("compare", "{picture}", "a", "--layers", "--method", "gem", "--method", "gradcam"), "follows one method"),
        (("compare", "{picture}", " "), "blank"),
    ],
)
def test_errors_are_one_sentence(picture: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(*(a.format(picture=picture) for a in arguments))
    assert result.exit_code == 1
    assert re.search(says, result.stderr), result.stderr
    assert "Traceback" not in result.output
