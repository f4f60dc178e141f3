"""The task "detection" from a COCO folder to the table: what is asked, what dev gives, what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import clipviz
from clipviz.detection import BoxPrior, default_threshold
from clipviz.errors import DataError, InputError
from clipviz.evaluation import BoxEvaluation
from clipviz.evaluation.boxes import alarms, central_boxes, coco_metrics, localisation_metrics, localise
from clipviz.sources import half_of

LABELS = ["a red circle", "a blue square", "a green star", "a yellow triangle"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen easy scenes, each with all of its objects annotated; one damaged, one with a box of no size."""
    root = tmp_path_factory.mktemp("scenes")
    (root / "images").mkdir()
    images, annotations, names = [], [], list(LABELS)
    for i, scene in enumerate(clipviz.synth.scenes(16, seed=3, level="hard", size=96)):
        scene.picture.save(root / "images" / f"s{i}.png")
        images.append({"id": i + 1, "file_name": f"s{i}.png", "width": 96, "height": 96})
        for thing in scene.objects:
            if thing.caption not in names:
                names.append(thing.caption)
            x0, y0, x1, y1 = thing.box
            box = [x0, y0, x1 - x0, y1 - y0]
            category = names.index(thing.caption)
            annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": category, "bbox": box})
    annotations.append({"id": 999, "image_id": 2, "category_id": 0, "bbox": [5, 5, 0, 3]})
    (root / "images" / "s0.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    about = {"images": images, "annotations": annotations,
             "categories": [{"id": i, "name": name} for i, name in enumerate(names)]}  # fmt: skip
    (root / "instances.json").write_text(json.dumps(about))
    return root


@pytest.fixture(scope="module")
def result(folder: Path) -> BoxEvaluation:
    labels = LABELS + [name for name in _there(folder) if name not in LABELS][:4]
    found = clipviz.evaluate(folder, labels, task="detection", model=clipviz.load(), half="report", ask="all",
                             resamples=50, method="grid", options={"cells": 4, "sizes": (2, 3)})  # fmt: skip
    assert isinstance(found, BoxEvaluation)
    return found


def _there(folder: Path) -> list[str]:
    return [one["name"] for one in json.loads((folder / "instances.json").read_text())["categories"]]


def test_the_figures_are_those_of_the_boxes(result: BoxEvaluation) -> None:
    found, truth = result.found, result.truth
    pictures = [f"s{i}.png" for i in range(1, 16) if half_of(f"s{i}.png") == "report"]
    assert set(result.items["id"]) <= set(pictures) and result.provenance["pictures"] == len(pictures)
    names = [of_label[0] for _, of_label in result.labels]
    bad = {("s1.png", LABELS[0])}
    asked = pd.DataFrame([(i, n) for i in pictures for n in names if (i, n) not in bad], columns=["image", "label"])
    ours = coco_metrics(found, truth, asked=asked).set_index(["metric", "area"])["value"]
    assert result["AP50"] == pytest.approx(ours["AP50", "all"]) and result["AR10"] == pytest.approx(ours["AR10", "all"])
    known = localisation_metrics(localise(found, truth, asked=asked))
    assert result["GT-known"] == pytest.approx(known["GT-known"])
    assert result["top-1 localisation"] == pytest.approx(known["top-1 localisation"])
    sizes = dict.fromkeys(pictures, (96, 96))
    whole = central_boxes(asked["image"].tolist(), asked["label"].tolist(), [0.0] * len(asked), sizes)
    assert result["GT-known", "whole picture"] == pytest.approx(
        localisation_metrics(localise(whole, truth, asked=asked))["GT-known"]
    )
    assert found["score"].min() < result.provenance["threshold"], "AP takes all boxes, the threshold only some"
    empty = alarms(found, truth, asked=asked, threshold=result.provenance["threshold"])
    if len(empty):
        assert result["false alarms"] == empty["alarm"].mean()
    high = found[found["score"] >= result.provenance["threshold"]]
    assert result["precision at the threshold"] == high["right"].mean()
    assert {"whole picture", "centre box"} <= set(result.table["method"])


def test_choices_come_from_dev_and_are_told(result: BoxEvaluation) -> None:
    about = result.provenance
    assert about["half"] == "report" and 0 < about["dev"] <= sum(half_of(f"s{i}.png") == "dev" for i in range(16))
    assert about["ask"] == "all" and about["box_inclusive"] is False and len(about["centre"]) == 2
    assert len(about["labels_sha256"]) == len(about["data"]["fingerprint"]) == 64
    assert about["detection"] and about["threshold"] == about["chosen_threshold"] and about["kept_from"] == -2
    if about["calibration"]:
        assert result.found["probability"].between(0, 1).all()


def test_what_cannot_be_used_is_listed(result: BoxEvaluation) -> None:
    reasons = dict(result.failed)
    wanted = {name: part for name, part in {"s0.png": "report", "s1.png": "report"}.items() if half_of(name) == part}
    assert set(wanted) <= set(reasons)
    assert all(half_of(name) == "report" for name in reasons)
    assert any("not among those asked" in note for note in result.notes)


def test_there_and_back(result: BoxEvaluation, tmp_path: Path) -> None:
    again = clipviz.Evaluation.load(result.save(tmp_path / "x.json"))
    pd.testing.assert_frame_equal(again.table, result.table, check_exact=True)
    pd.testing.assert_frame_equal(again.items, result.items, check_exact=True)
    assert dict(again.provenance) == dict(result.provenance) and repr(again) == repr(result)
    assert "AP50" in result.save(tmp_path / "x.html").read_text(encoding="utf-8")


def test_what_is_there_is_asked_of_each_picture_by_default(folder: Path, tmp_path: Path) -> None:
    source = clipviz.evaluation.boxes.open_boxes(folder).select(range(1, 4))
    prior = BoxPrior.fit([[8, 8, 40, 40]], (96, 96), "one box")
    found = clipviz.evaluate(source, task="detection", model=clipviz.load(), resamples=20, rivals=False,
                             prior=prior.save(tmp_path / "prior.json"))  # fmt: skip
    assert isinstance(found, BoxEvaluation)
    there = set(zip(found.truth["image"], found.truth["label"], strict=True))
    assert set(zip(found.found["image"], found.found["label"], strict=True)) <= there
    assert found.provenance["calibration"] is None and found.provenance["dev"] == 0
    assert any("On all pictures" in note for note in found.notes)
    assert set(found.table["method"]) == {found.detector}
    assert found.provenance["detection"]["prior"] == prior.provenance
    assert found.provenance["threshold"] == default_threshold(clipviz.load()), "that of detect, where no dev gives one"


def test_a_named_threshold_is_the_one_that_is_used(folder: Path) -> None:
    found = clipviz.evaluate(folder, LABELS, task="detection", model=clipviz.load(), half="report", ask="all",
                             resamples=20, rivals=False, threshold=0.05, method="grid",
                             options={"cells": 3, "sizes": 2})  # fmt: skip
    about = found.provenance
    assert about["threshold"] == about["kept_from"] == 0.05 and (found.found["score"] >= 0.05).all()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"ask": "everything"}, InputError, "is not 'truth', 'all' or a column"),
        ({"box": "boxes"}, DataError, "Did you mean 'box'"),
        ({"calibration": "none"}, InputError, "isotonic"),
        ({"dev": -1}, InputError, "no count of pictures"),
        ({"prior": "nowhere.json"}, DataError, "BoxPrior.save"),
        ({"bxo": "box"}, InputError, "takes no option 'bxo'"),
    ],
)
def test_refusals(folder: Path, options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        clipviz.evaluate(folder, task="detection", model=clipviz.load(), **options)
