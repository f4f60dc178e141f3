"""``clipviz audit``: avatars with a planted difference, what is said of it, and the gate's exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import clipviz
from clipviz import assets
from clipviz.auditing import AuditSpec
from clipviz.cli import main

TINY = assets.folder(assets.MODEL)
SPEC = """
templates = ["{}"]
[[labels]]
text = "a person with a stethoscope"
name = "stethoscope"
role = "neutral"
[[labels]]
text = "a person with a tie"
name = "tie"
role = "neutral"
[groups]
columns = ["group"]
reference = { group = "moss" }
[[metrics]]
metric = "share"
of = ["stethoscope"]
compare = ["difference", "gap"]
headline = true
"""
SHOWN, SAFE = "stethoscope.gap.ci_low > 0.3", "stethoscope.gap.ci_low > 0.9"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty avatars, of whom nearly all of one group and few of the other wear the stethoscope; a store; a spec."""
    folder = tmp_path_factory.mktemp("desk")
    table = clipviz.synth.avatars(50, seed=1, rates={"moss": 0.1, "plum": 0.9}, size=56).save(folder / "people")
    clipviz.embed(table, model=clipviz.load(), out=folder / "store", workers=0, progress=False)
    (folder / "worn.toml").write_text(SPEC, encoding="utf-8")
    return folder


@pytest.fixture
def asked(desk: Path) -> list[object]:
    return [desk / "worn.toml", "--data", desk / "store", "--no-variants", "--quiet"]


def test_what_was_found_is_said_and_kept(asked: list[object], tmp_path: Path) -> None:
    page = tmp_path / "worn.html"
    result = run(*asked, "--out", tmp_path / "run", "--out", page)
    assert result.exit_code == 0, result.output
    assert 'plum is labelled "stethoscope"' in result.stdout and "points more often than moss" in result.stdout
    assert "Demonstration model" in result.stderr and "Gate" not in result.stdout
    kept = clipviz.Audit.load(tmp_path / "run")
    assert len(kept.items) == 50 * len(kept.items["variant"].unique()) and kept.verdicts[0].state == "found"
    assert "<html" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("bound", "code"), [(SHOWN, 1), (SAFE, 0)])
def test_the_gate_is_the_exit_code(asked: list[object], tmp_path: Path, bound: str, code: int) -> None:
    result = run(*asked, "--fail-if", bound, "--out", tmp_path / "gate.xml")
    assert result.exit_code == code, result.output
    assert ("The bound is broken" if code else "The bound is kept") in result.stdout
    assert ("<failure" in (tmp_path / "gate.xml").read_text(encoding="utf-8")) == bool(code), "written before it exits"


def test_a_gate_of_the_spec_closes(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "gated.toml").write_text(f'{SPEC}\n[gate]\nfail_if = ["{SHOWN}"]\n', encoding="utf-8")
    rest = ["--data", desk / "store", "--no-variants", "--quiet"]
    assert run(tmp_path / "gated.toml", *rest).exit_code == 0, "it closes only when it is asked to"
    assert run(tmp_path / "gated.toml", *rest, "--gate").exit_code == 1


def test_options_reach_the_audit(asked: list[object], tmp_path: Path) -> None:
    turned = run(*asked, "--reference", "group=plum", "--map", "group:moss=green", "--map", "group:plum=plum")
    assert turned.exit_code == 0 and 'green is labelled "stethoscope"' in turned.stdout, turned.output
    tested = run(*asked, "--selftest", "3", "--seed", "7", "--out", tmp_path / "run")
    assert tested.exit_code == 0, tested.output
    kept = clipviz.Audit.load(tmp_path / "run")
    assert kept.calibration is not None and kept.calibration["repetitions"] == 3 and kept.spec.seed == 7


def test_a_new_spec_is_one_that_runs_and_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert f"Wrote {path}" in run("--new", path).stdout
    assert AuditSpec.load(path).name == "mine"
    again = run("--new", path)
    assert again.exit_code == 1 and "not written over" in again.stderr
    assert "TOML file" in run("--new", tmp_path / "mine.json").stderr
    assert "leave one of them out" in run("nurse_doctor", "--new", tmp_path / "other.toml").stderr


def test_mistakes_say_what_to_type(desk: Path, asked: list[object], tmp_path: Path) -> None:
    for mistake, told in [
        ((*asked, "--gate"), "could never close"),
        ((*asked, "--map", "race"), "--map race:B=Black"),
        ((*asked, "--reference", "Male"), "--reference gender=Male"),
        ((*asked, "--out", tmp_path / "x.pdf"), ".html"),
        ((*asked, "--fail-if", "stethoscope.gap.ci_low"), "stethoscope.gap.ci_low"),
        ((*asked, "--column", "grop"), '--column "grop=COLUMN OF THE DATA"'),
        ((*asked, "--column", "group", "--column", "race=group"), "all of one kind"),
        ((*asked, "--fail-if", "stethoscope.ratio.ci_low > 2"), "'METRIC_ratio', which this spec does not compute of"),
        (("nurse_docter", "--data", desk / "store"), "nurse_doctor"),
        ((desk / "worn.toml", "--data", desk / "people" / "avatars.csv"), "--model ViT-B-32"),
    ]:
        result = run(*mistake)
        assert result.exit_code == 1 and told in result.stderr, (mistake, result.output)
        assert "Traceback" not in result.output
    assert run("nurse_doctor").exit_code == 2 and run().exit_code == 2


def test_a_missing_column_is_told_before_a_picture_is_embedded(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipviz.auditing.opening.embed", lambda *_, **__: pytest.fail("the pictures were embedded"))
    result = run("nurse_doctor", "--data", desk / "people" / "avatars.csv", "--model", "clipviz-tiny", "--quiet")
    assert result.exit_code == 1 and "no column 'gender'" in result.stderr


def test_a_column_of_another_name_is_named(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(SPEC.replace('"group"', '"team"').replace("group =", "team ="), "utf-8")
    rest = ["--data", desk / "store", "--no-variants", "--quiet"]
    assert run(tmp_path / "other.toml", *rest).exit_code == 1
    result = run(tmp_path / "other.toml", *rest, "--column", "team=group")
    assert result.exit_code == 0 and "plum" in result.stdout, result.output
