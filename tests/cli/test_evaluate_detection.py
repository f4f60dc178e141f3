"""``clipviz evaluate detection``, run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import clipviz
from clipviz.cli import main
from clipviz.detection import BoxPrior
from clipviz.evaluation import BoxEvaluation


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", "detection", *(str(a) for a in arguments)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model as a folder."""
    return clipviz.load().save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("coco")
    about: dict[str, list] = {"images": [], "annotations": [], "categories": []}
    for i, scene in enumerate(clipviz.synth.scenes(5, seed=1, level="easy", size=64)):
        scene.picture.save(root / f"{i}.png")
        x0, y0, x1, y1 = scene.target.box
        about["images"].append({"id": i, "file_name": f"{i}.png"})
        about["categories"].append({"id": i, "name": scene.caption})
        about["annotations"].append({"id": i, "image_id": i, "category_id": i, "bbox": [x0, y0, x1 - x0, y1 - y0]})
    (root / "truth.json").write_text(json.dumps(about))
    return root


def test_does_what_the_function_does(model: Path, data: Path, tmp_path: Path) -> None:
    out = [tmp_path / f"out/x{suffix}" for suffix in (".json", ".html")]
    prior = BoxPrior.fit([[8, 8, 40, 40]], (64, 64), "one box").save(tmp_path / "prior.json")
    options = ("--half", "all", "--ask", "all", "--resamples", 20, "--no-rivals", "--prior", prior)
    result = run(data, "--model", model, *options, *(part for path in out for part in ("--out", path)))
    assert result.exit_code == 0, result.output
    same = clipviz.evaluate(data, task="detection", model=clipviz.load(model), ask="all", resamples=20, rivals=False,
                            prior=prior)  # fmt: skip
    written = clipviz.Evaluation.load(out[0])
    assert isinstance(written, BoxEvaluation) and repr(written) == repr(same)
    assert dict(written.provenance) == dict(same.provenance)
    assert "AP50" in result.stdout and same.seen in result.stdout and out[1].stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--out", "x.xlsx"), ".json, .csv, .html, .png"),
        (("--label", "a=red", "--labels", "x.json"), "give one of them"),
        (("--prior", "nowhere.json"), "load what BoxPrior.save wrote"),
        (("--half", "all", "--box", "bix"), "Did you mean 'box'?"),
    ],
)
def test_errors_are_one_sentence(model: Path, data: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(data, "--model", model, *arguments)
    assert result.exit_code == 1
    assert says in result.output and "Traceback" not in result.output
