"""``clipviz detect``, run in this process."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import clipviz
from clipviz.cli import main

QUICK = ("--method", "grid", "--option", "cells=3", "--option", "sizes=[1, 2]")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_it_does_what_the_function_does(picture: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "out" / "x.json", tmp_path / "x.csv"
    asked = ("a red circle", "a blue square")
    result = run("detect", picture, *asked, "--threshold", 0.2, "--per-label", 2, "--out", out, "--out", table)
    assert result.exit_code == 0, result.output
    found, same = clipviz.Detections.load(out), clipviz.detect(picture, asked, threshold=0.2, per_label=2)
    assert found.labels == asked and found.images == ("scene.png",) and found.threshold == 0.2
    pd.testing.assert_frame_equal(found.table.drop(columns="image"), same.table.drop(columns="image"))
    assert len(pd.read_csv(table)) == len(found) > 0 and found.method == "patches"
    assert repr(found) in result.output and f"Wrote {out}" in result.output
    for box in found:
        assert f"scene.png: {box.label!r} {box.score:.3f} at {box.x0:.0f}, " in result.output


def test_a_folder_and_what_is_damaged_in_it(picture: Path, tmp_path: Path) -> None:
    (picture.parent / "broken.png").write_bytes(b"no picture")
    for given in ([picture.parent], [picture, picture.parent / "broken.png"]):
        result = run("detect", *given, "a red circle", *QUICK, "--out", tmp_path / "x.html")
        assert result.exit_code == 0, result.output
        assert "Left out broken.png: " in result.stderr
        page = (tmp_path / "x.html").read_text()
        assert "could not be opened" in page and "broken.png" in page
    result = run("detect", picture.parent / "broken.png", "a dog", "--out", tmp_path / "x.csv")
    assert result.exit_code == 1 and "No picture could be opened, the first" in result.stderr


def test_a_label_is_never_markup_a_formula_or_a_picture_by_mistake(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dog").write_text("a file that is called like a label")
    hostile = ("<script>alert(1)</script>", "=1+1", "a\x1b[31m red\ncircle")
    outs = ("--out", "x.html", "--out", "x.csv", "--out", "x.png")
    result = run("detect", picture, *hostile, "--label", "dog", *QUICK, "--threshold", -2, *outs)
    assert result.exit_code == 0, result.output
    assert "<script>alert" not in Path("x.html").read_text() and "\x1b" not in result.stdout
    labels = set(pd.read_csv("x.csv")["label"])
    assert "'=1+1" in labels and "=1+1" not in labels and "dog" in labels
    result = run("detect", picture, "a cat", "dog")
    assert result.exit_code == 1 and "'dog' stands behind the label 'a cat'" in result.stderr


def test_a_prior_is_read_from_its_file(picture: Path, tmp_path: Path) -> None:
    clipviz.BoxPrior.fit([[60, 60, 160, 160]], (224, 224)).save(tmp_path / "prior.json")
    out = tmp_path / "x.json"
    result = run("detect", picture, "a red circle", "--prior", tmp_path / "prior.json", "--out", out)
    assert result.exit_code == 0, result.output
    assert clipviz.Detections.load(out).provenance["prior"]["n"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Name at least one picture and one label"),
        (("{picture}",), "Name at least one picture and one label"),
        (("nowhere.png", "a dog"), "no file or folder 'nowhere.png'"),
        (("{picture}", "a dog", "--method", "windoes"), "'windoes'.*'windows'"),
        (("{picture}", "a dog", "a dog"), "'a dog' is given twice"),
        (("{picture}", " "), "blank"),
        (("{picture}", "a dog", "--threshold", "nan"), "no score"),
        (("{picture}", "a dog", "--per-label", "0"), "per_label=0"),
        (("{picture}", "a dog", "--method", "grid", "--smallest", "9"), "'smallest'"),
        (("{picture}", "a dog", "--option", "threshold=1"), "'threshold' is none of the method"),
        (("{picture}", "a dog", "--prior", "{picture}"), "no saved prior"),
        (("{picture}", "a dog", "--background", "a cat", "--no-background"), "give one of them"),
        (("{picture}", "a dog", "--out", "x.jpg"), r"\.json, \.csv, \.html"),
    ],
)
def test_errors_are_one_sentence(picture: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run("detect", *(a.format(picture=picture) for a in arguments))
    assert result.exit_code == 1
    assert re.search(says, result.stderr), result.stderr
    assert "Traceback" not in result.output
