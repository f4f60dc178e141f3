"""`Evaluation`: tables, figure, page, and the way to a file and back."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import clipviz
from clipviz.errors import DataError, InputError

NASTY = "<script>개</script>"


@pytest.fixture
def found(model: clipviz.Model, folder: Path) -> clipviz.Evaluation:
    labels = {"red circle": [NASTY, "disc"], "blue square": "blue square", "green star": "green star"}
    return clipviz.evaluate(folder, labels, model=model)


def test_json_there_and_back(found: clipviz.Evaluation, tmp_path: Path) -> None:
    again = clipviz.Evaluation.load(found.save(tmp_path / "x.json"))
    pd.testing.assert_frame_equal(again.table, found.table, check_exact=True)
    pd.testing.assert_frame_equal(again.items, found.items, check_exact=True)
    for name in ("task", "labels", "seen", "notes", "failed"):
        assert getattr(again, name) == getattr(found, name)
    assert dict(again.provenance) == dict(found.provenance)
    assert repr(again) == repr(found)


def test_provenance_says_all_that_is_needed_to_repeat_it(found: clipviz.Evaluation) -> None:
    about = found.provenance
    assert about["model"]["weights_sha256"] and len(about["data"]["fingerprint"]) == len(about["labels_sha256"]) == 64
    assert about["half"] == "all" and about["truth"] == "label" and about["templates"] == ["a photo of a {}."]
    assert {"clipviz", "torch", "open_clip", "numpy", "python"} <= set(about["versions"])


def test_items(found: clipviz.Evaluation) -> None:
    assert found.items.columns.tolist() == ["id", "truth", "predicted", "margin", "rank", "half"]
    assert (found.items["id"].str.split("/").str[0] == found.items["truth"]).all()
    right = found.items["truth"] == found.items["predicted"]
    assert right.mean() == found["top-1 accuracy"]
    assert ((found.items["margin"] > 0) == right).all() and ((found.items["rank"] == 1) == right).all()
    assert (found.items["half"] == [clipviz.sources.half_of(i) for i in found.items["id"]]).all()


def test_per_label_agrees_with_the_items(found: clipviz.Evaluation) -> None:
    rows = found.per_label().set_index("label")
    for label, part in found.items.groupby("truth"):
        assert rows.loc[label, "n"] == len(part)
        assert rows.loc[label, "accuracy"] == (part["predicted"] == label).mean()
    assert (rows["mistaken"] + rows["accuracy"] <= 1 + 1e-12).all()
    assert rows["accuracy"].mean() == pytest.approx(found["balanced accuracy"])
    assert rows["accuracy"].is_monotonic_increasing


def test_long_form_and_csv(found: clipviz.Evaluation, tmp_path: Path) -> None:
    table = found.to_pandas()
    assert len(table) == 2 and set(table["model"]) == {"small"} and set(table["failed"]) == {1}
    read = pd.read_csv(found.save(tmp_path / "x.csv"))
    assert read["metric"].tolist() == ["top-1 accuracy", "balanced accuracy"]
    assert read["value"].tolist() == pytest.approx(table["value"].tolist())


def test_figure(found: clipviz.Evaluation, tmp_path: Path) -> None:
    figure = found.plot()
    texts = " ".join(t.get_text() for t in figure.texts)
    assert "not known whether" in texts and "chance 33.3%" in texts and "green star" in texts
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == found.per_label()["accuracy"].tolist()
    assert found.save(tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_of_many_labels_the_ends_are_drawn(found: clipviz.Evaluation) -> None:
    items = pd.DataFrame({
        "id": [f"{i}" for i in range(60)], "truth": list(range(30)) * 2, "predicted": [*range(30), *[0] * 30],
        "margin": 0.1, "rank": [1] * 30 + [2] * 30, "half": "dev",
    })  # fmt: skip
    many = clipviz.Evaluation(
        "zero_shot", found.table, items, tuple((i, (f"thing {i}",)) for i in range(30)), "zero-shot"
    )
    figure = many.plot()
    assert len(figure.axes[0].patches) == 24
    assert "of 30 labels" in " ".join(t.get_text() for t in figure.texts)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_and_view_show_names_as_text(found: clipviz.Evaluation, tmp_path: Path) -> None:
    named = clipviz.Evaluation(
        found.task, found.table, found.items, found.labels, found.seen, (*found.notes, NASTY), found.failed,
        {**found.provenance, "model": {"model": NASTY}},
    )  # fmt: skip
    for html in (named._repr_html_(), named.save(tmp_path / "x.html").read_text(encoding="utf-8")):
        page = _Page()
        page.feed(html)
        assert "script" not in page.tags
        assert NASTY in page.text.replace("\n", "")
        assert "not known whether the classes were seen in training" in page.text
        assert "top-1 accuracy" in page.text and "33.3" in page.text


def test_repr_is_one_line_with_chance(found: clipviz.Evaluation) -> None:
    assert "\n" not in repr(found)
    assert "chance 33.3 %" in repr(found) and "1 not scored" in repr(found) and "17 pictures" in repr(found)


def test_a_metric_that_is_not_there(found: clipviz.Evaluation) -> None:
    with pytest.raises(InputError, match=r"Did you mean 'top-1 accuracy'"):
        found["top-1 acuracy"]


def test_other_suffixes_and_files(found: clipviz.Evaluation, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.json, \.csv, \.html, \.png"):
        found.save(tmp_path / "x.xlsx")
    with pytest.raises(DataError, match="There is no file"):
        clipviz.Evaluation.load(tmp_path / "none.json")
    good = json.loads(found.save(tmp_path / "x.json").read_text())
    for name, text in {
        "empty": "", "list": "[]", "number": "3", "other": '{"format": "x"}',
        "cut": json.dumps(good)[:-40],
        "items": json.dumps({**good, "items": {"id": ["a"]}}),
        "labels": json.dumps({**good, "labels": good["labels"][:1]}),
        "more": json.dumps({**good, "extra": 1}),
        "less": json.dumps({k: v for k, v in good.items() if k != "seen"}),
        "n": json.dumps({**good, "table": {**good["table"], "n": [1] * len(good["table"]["n"])}}),
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match="is no saved evaluation"):
            clipviz.Evaluation.load(tmp_path / name)
