"""The measured scores that `list_explainers` shows."""

from __future__ import annotations

from pathlib import Path

from clipviz.explanation import list_explainers, scores
from clipviz.explanation.scores import COLUMNS, measured_scores


def test_scores_stand_beside_their_explainers(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "explainers.csv"
    path.write_text(
        "# how it was made\nname,mosaic_peak,mosaic_tile,pointing,measured_on\ngradcam,0.54,0.62,0.55,some\n"
    )
    monkeypatch.setattr(scores, "measured_scores", lambda: measured_scores(path))
    table = list_explainers().set_index("name")
    assert table.loc["gradcam", ["mosaic_peak", "measured_on"]].tolist() == [0.54, "some"]
    assert table.drop("gradcam")[list(COLUMNS)].isna().all(axis=None)


def test_without_a_file_there_are_no_scores(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(scores, "measured_scores", lambda: measured_scores(tmp_path / "none.csv"))
    table = list_explainers()
    assert len(table) and table[list(COLUMNS)].isna().all(axis=None)
