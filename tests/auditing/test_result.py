"""An audit is kept and read back whole, gives the same bytes again, and shows itself."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import clipviz
from clipviz.auditing import Audit
from clipviz.errors import DataError, InputError


def test_what_is_saved_is_read_back(audited, tmp_path) -> None:
    again = Audit.load(audited.save(tmp_path / "run"))
    pd.testing.assert_frame_equal(again.table, audited.table)
    pd.testing.assert_frame_equal(again.items, audited.items)
    for name in ("competence", "composition", "spread", "power"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(audited, name))
    assert repr(again.verdicts) == repr(audited.verdicts)
    assert (again.spec, again.notes, again.failed) == (audited.spec, audited.notes, audited.failed)
    assert again.provenance == audited.provenance
    assert repr(again) == repr(audited)
    again.save(tmp_path / "again")
    for name in ("audit.json", "table.parquet", "items.parquet"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_same_store_spec_and_seed_give_the_same_bytes(audited, faces, known, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    dated = clipviz.audit(faces, known, progress=False)
    again = clipviz.audit(clipviz.Embeddings.load(faces.stored.folders[0]), known, progress=False)
    for place, audit in (("one", dated), ("two", again)):
        audit.save(tmp_path / place)
        audit.save(tmp_path / f"{place}.html")
    for name in ("audit.json", "table.parquet", "items.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert dated.provenance["made"] == "1970-01-02T00:00:00Z"
    # but for its date it is the one of now
    assert {**dated.provenance, "made": ""} == {**audited.provenance, "made": ""}


@pytest.mark.parametrize("file", ["audit.json", "table.parquet", "items.parquet"])
def test_a_folder_that_is_not_whole_is_refused(audited, tmp_path, file) -> None:
    folder = audited.save(tmp_path / "run")
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="save"):
        Audit.load(folder)
    with pytest.raises(DataError, match="There is no audit"):
        Audit.load(tmp_path)


def test_a_folder_of_other_things_is_not_replaced(audited, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        audited.save(tmp_path / "run")
    with pytest.raises(InputError, match=r"\.json"):
        audited.save(tmp_path / "x.docx")


def test_items_have_a_row_a_wording_and_picture(audited, faces) -> None:
    items = audited.items
    wordings = [one["name"] for one in audited.provenance["wordings"]]
    assert len(items) == len(faces) * len(wordings)
    written = items[items["variant"] == "as written"]
    scores = written[[f"cosine: {name}" for name in audited.spec.names]]
    assert (scores.idxmax(axis=1).str.removeprefix("cosine: ") == written["decision"].astype(str)).all()
    assert (written["right"].astype(str) == written["gender"].map({"Male": "a man", "Female": "a woman"})).all()
    placebo = items[items["variant"] == "placebo"]
    assert placebo["cosine: a gorilla"].isna().all()
    assert placebo["cosine: blicket"].notna().all()


def test_no_infinity_and_no_nan_in_json(audited, tmp_path) -> None:
    text = (audited.save(tmp_path / "run") / "audit.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def test_it_shows_itself(audited) -> None:
    assert "Audit('known', clipviz-tiny (demonstration model), 240 pictures:" in repr(audited)
    assert "Known words" in audited._repr_html_()
    figure = audited.plot()
    assert figure.get_size_inches()[0] > 3
    assert {"model", "spec_sha256", "weights"} <= set(audited.to_pandas().columns)
