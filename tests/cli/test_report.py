"""``clipviz report``: what was saved, read back and put on pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import clipviz
from clipviz.cli import main
from clipviz.cli.report import read
from clipviz.errors import DataError

PARTS = [("stethoscope", "neutral"), ("tie", "neutral")]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit, an evaluation, heatmaps, a heatmap and detections of a few avatars."""
    folder = tmp_path_factory.mktemp("saved")
    table = clipviz.synth.avatars(12, seed=1, size=56).save(folder / "people")
    model = clipviz.load()
    labels = [{"text": f"a person with a {name}", "name": name, "role": role} for name, role in PARTS]
    spec = clipviz.AuditSpec.from_dict(
        {
            "name": "worn",
            "labels": labels,
            "groups": {"columns": ["group"]},
            "metrics": [{"metric": "share", "of": ["tie"], "headline": True}],
        }
    )
    store = clipviz.embed(table, model=model, out=folder / "store", workers=0, progress=False)
    clipviz.audit(store, spec, model=model, variants=False).save(folder / "audit")
    names = {name: [f"a person with a {name}"] for name, _ in PARTS}
    clipviz.evaluate(table, names, task="zero_shot", model=model, truth="attribute").save(folder / "evaluation.json")
    one = [clipviz.synth.avatars(1, seed=1, size=56)[0].picture]
    maps = clipviz.explain(one, ["a person with a tie"], model=model, method="gradcam")
    maps.save(folder / "maps.npz")
    maps[0, 0].save(folder / "map.npz")
    clipviz.detect(one[0], ["a tie"], model=model).save(folder / "boxes.json")
    return folder


RESULTS = {"audit": "Audit", "evaluation.json": "Evaluation", "maps.npz": "Heatmaps", "map.npz": "Heatmap",
           "boxes.json": "Detections"}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_what_was_saved_is_read_back(saved: Path, name: str) -> None:
    assert type(read(saved / name)).__name__ == RESULTS[name]


def test_pages_lead_to_one_another(saved: Path, tmp_path: Path) -> None:
    result = run(saved / "audit", saved / "evaluation.json", "--out", tmp_path / "pages")
    assert result.exit_code == 0, result.output
    index = tmp_path / "pages" / "index.html"
    assert f"Wrote {index}" in result.stdout
    pages = sorted(path.name for path in index.parent.glob("*.html"))
    assert len(pages) == 3 and all(name in index.read_text(encoding="utf-8") for name in pages if name != "index.html")
    assert {".csv", ".json", ".md", ".xml"} <= {path.suffix for path in index.parent.iterdir()}


def test_what_is_no_result_is_told(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    for path, told in [
        (tmp_path / "none", "There is no"),
        (saved / "people", "no audit in"),
        (saved / "people" / "avatars.csv", "nothing that a report is made of"),
        (tmp_path / "other.json", "cannot be read back"),
    ]:
        result = run(path, "--out", tmp_path / "pages")
        assert result.exit_code == 1 and told in result.stderr, result.output
        with pytest.raises(DataError):
            read(path)
    assert not (tmp_path / "pages").exists()
