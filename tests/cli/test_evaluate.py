"""``clipviz evaluate``, run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import clipviz
from clipviz.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", "zero-shot", *(str(a) for a in arguments)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model as a folder."""
    return clipviz.load().save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(6):
            noise = np.random.default_rng(i).integers(0, 255, (30, 30, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "data" / label / f"{i}.png")
    return tmp_path / "data"


def test_the_command_is_listed() -> None:
    assert "zero-shot" in CliRunner().invoke(main, ["evaluate", "--help"]).output


def test_does_what_the_function_does(model: Path, data: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"a": ["red circle", "red ring"], "b": "blue square"}))
    out = [tmp_path / f"out/x{suffix}" for suffix in (".json", ".html", ".png", ".csv")]
    options = ("--model", model, "--data", data, "--labels", labels, "--half", "report", "--template", "a {}")
    result = run(*options, *(part for path in out for part in ("--out", path)))
    assert result.exit_code == 0, result.output
    same = clipviz.evaluate(data, labels, model=clipviz.load(model), half="report", templates="a {}")
    written = clipviz.Evaluation.load(out[0])
    assert repr(written) == repr(same)
    assert dict(written.provenance) == dict(same.provenance)
    assert all(path.stat().st_size > 100 for path in out)
    assert f"{100 * same['top-1 accuracy']:.1f} %" in result.stdout and "50.0 %" in result.stdout
    assert same.seen in result.stdout


def test_labels_on_the_command_line(model: Path, data: Path, tmp_path: Path) -> None:
    pairs = ("--label", "a=red circle", "--label", "a=red ring", "--label", "b=blue square")
    result = run("--model", model, "--data", data, *pairs, "--out", tmp_path / "x.json")
    assert result.exit_code == 0, result.output
    found = clipviz.Evaluation.load(tmp_path / "x.json")
    assert found.labels == (("a", ("red circle", "red ring")), ("b", ("blue square",)))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--out", "x.xlsx"), ".json, .csv, .html, .png"),
        (("--label", "red circle"), "VALUE=NAME"),
        (("--label", "a=red", "--labels", "x.json"), "give one of them"),
        (("--truth", "lable"), "Did you mean 'label'?"),
        (("--labels", "nowhere.json"), "There is no file"),
    ],
)
def test_errors_are_one_sentence(model: Path, data: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run("--model", model, "--data", data, *arguments)
    assert result.exit_code == 1
    assert says in result.output and "Traceback" not in result.output


def test_a_model_must_be_named(data: Path) -> None:
    result = run("--data", data)
    assert result.exit_code == 2
    assert "--model" in result.output
