"""Every export is read back by a reader that is not ours, with hostile texts in every place."""

from __future__ import annotations

import csv
import json
import math
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pandas as pd
import pytest

from clipviz.auditing.exports import export, schema
from clipviz.auditing.exports.as_csv import neutral, read_table
from clipviz.auditing.exports.as_json import content
from clipviz.auditing.exports.model_card import escape
from clipviz.auditing.spec import AuditSpec
from clipviz.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))
from handmade import HOSTILE, make_audit

BOUNDS = ("crime-related.race.gap.ci_low > 0.05", "crime-related.race.gap.ci_low > 0.9", "alien.race.gap.value > 0.1")


@pytest.fixture(scope="module")
def audit():
    return make_audit(fail_if=BOUNDS)


@pytest.fixture(scope="module")
def hostile():
    return make_audit(
        HOSTILE, groups=(HOSTILE + " group", "White", "'quoted"), title=HOSTILE, templates=("{} " + HOSTILE,),
        failed=((HOSTILE + "\ud800", HOSTILE),), notes=(HOSTILE,), model=HOSTILE, meaning=HOSTILE, limits=(HOSTILE,),
    )  # fmt: skip


def test_json_keeps_its_schema_and_everything_that_was_found(audit, hostile, tmp_path) -> None:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    for each in (audit, hostile):
        text = export(each, tmp_path / "a.json").read_text(encoding="utf-8")
        read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
        assert not list(validator.iter_errors(read))
        assert len(read["table"]) == len(each.table) and len(read["verdicts"]) == len(each.verdicts)
        assert read["provenance"]["model"]["model"] == each.model
    assert AuditSpec.from_dict(content(audit)["spec"]) == audit.spec
    first = content(audit)["table"][0]
    assert first["value"] == audit.table["value"].iloc[0] and first["p_adjusted"] is None
    broken = content(audit) | {"verdicts": [{"state": "perhaps"}]}
    assert list(validator.iter_errors(broken)), "the schema refuses nothing"


def test_no_limit_is_null_in_json(audit, tmp_path) -> None:
    import dataclasses

    table = audit.table.copy()
    table.loc[table["metric"] == "share_ratio", "ci_high"] = math.inf
    read = json.loads(export(dataclasses.replace(audit, table=table), tmp_path / "a.json").read_text())
    ratios = [row for row in read["table"] if row["metric"] == "share_ratio"]
    assert ratios and all(row["ci_high"] is None and row["ci_low"] is not None for row in ratios)


def test_csv_gives_the_table_back_and_runs_nothing(audit, hostile, tmp_path) -> None:
    for each in (audit, hostile):
        path = export(each, tmp_path / "a.csv")
        read = read_table(path)
        wanted = each.table.copy()
        pd.testing.assert_frame_equal(
            read[list(wanted.columns)], wanted.reset_index(drop=True), check_dtype=False, check_exact=True
        )
        with open(path, encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        texts = [cell for cell in cells if cell and not is_number(cell)]
        assert texts and not [cell[:20] for cell in texts if cell.lstrip()[:1] in "=+-@\t\r|%"]
    assert any(cell.startswith("'=cmd") for cell in cells)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "'quoted", " =1", "＝1", "plain", "", "1-2"])
def test_a_neutral_cell_is_itself_again(value: str) -> None:
    cell = neutral(value)
    assert cell == value or cell == "'" + value
    assert cell.startswith("'") == (value not in ("plain", "", "1-2"))


def test_the_model_card_is_read_by_the_hub(audit, hostile, tmp_path) -> None:
    from huggingface_hub import ModelCard

    for each in (audit, hostile):
        text = export(each, tmp_path / "card.md").read_text(encoding="utf-8")
        card = ModelCard(text, ignore_metadata_errors=False)
        results = card.data.eval_results
        table = each.table
        claims = table[(table["metric"] == "share_difference") & (table["variant"] == "as written")]
        got = [one for one in results if one.metric_type == "share_difference"]
        assert [one.metric_value for one in got] == claims["value"].tolist()
        assert [one.metric_args["ci_low"] for one in got] == claims["ci_low"].tolist()
        assert card.data.model_name == each.model and "<script" not in card.text
        for verdict in each.verdicts:
            assert escape(verdict.sentence) in card.text
    assert "**Found.** Black is labelled crime-related 20.0 points more often than White" in export(
        audit, tmp_path / "card.md"
    ).read_text(encoding="utf-8")


def test_markdown_is_text() -> None:
    assert escape("a\n# b | <i>[x](http://y)</i> *z* `q`") == (
        "a &#35; b &#124; &#60;i&#62;&#91;x&#93;(http&#58;//y)&#60;/i&#62; &#42;z&#42; &#96;q&#96;"
    )


def test_junit_tells_bound_by_bound(audit, hostile, tmp_path) -> None:
    from junitparser import JUnitXml

    suites = JUnitXml.fromfile(str(export(audit, tmp_path / "gate.xml")))
    assert (suites.tests, suites.failures, suites.skipped, suites.errors) == (3, 1, 1, 0)
    (suite,) = suites
    cases = list(suite)
    assert [case.name for case in cases] == list(BOUNDS)
    assert [type(case.result[0]).__name__ if case.result else "" for case in cases] == ["Failure", "", "Skipped"]
    assert "broken: lower limit above 5.0 points" in cases[0].result[0].message
    (empty,) = JUnitXml.fromfile(str(export(hostile, tmp_path / "gate.xml")))
    assert empty.tests == 0 and "no gate" in ElementTree.parse(tmp_path / "gate.xml").getroot().findtext(
        ".//system-out"
    )


def test_the_same_audit_gives_the_same_bytes(tmp_path) -> None:
    for suffix in (".json", ".csv", ".md", ".xml"):
        first, second = (export(make_audit(fail_if=BOUNDS), tmp_path / f"{i}{suffix}").read_bytes() for i in "ab")
        assert first == second, suffix


def test_another_suffix_and_people_elsewhere_are_refused(audit, tmp_path) -> None:
    with pytest.raises(InputError, match=r"\.html, \.json"):
        export(audit, tmp_path / "a.pdf")
    with pytest.raises(InputError, match="on a page alone"):
        export(audit, tmp_path / "a.json", people=True)
    assert not list(tmp_path.iterdir())
