"""`detect`: pictures in every form, what is listed, what is warned of, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import clipviz
from clipviz.detection import EVERY_BOX, Detections, detect
from clipviz.errors import ClipvizWarning, InputError, ModelError
from clipviz.model import Model

CHEAP: dict[str, Any] = {"method": "grid", "cells": 2, "sizes": 1, "threshold": EVERY_BOX}
LABELS = ["a dog", "a cat"]


def boxes(found: Detections, image: str = "0") -> pd.DataFrame:
    return found.table[found.table["image"] == image].drop(columns="image").reset_index(drop=True)


def test_every_form_of_a_picture_gives_the_same(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    expected = boxes(detect(picture, LABELS, model=vit, **CHEAP))
    forms: list[Any] = [tmp_path / "a.png", str(tmp_path / "a.png"), data, io.BytesIO(data), np.asarray(picture),
                        vit.look(picture), [picture], iter([picture])]  # fmt: skip
    for form in forms:
        pd.testing.assert_frame_equal(boxes(detect(form, LABELS, model=vit, **CHEAP)), expected)
    source = clipviz.open_source(tmp_path)
    found = detect(source, LABELS, model=vit, **CHEAP)
    pd.testing.assert_frame_equal(boxes(found, "a.png"), expected)
    assert found.images == ("a.png",) and found.sizes == (picture.size,)


def test_a_picture_that_lies_on_its_side_is_seen_upright(vit: Model, picture: Image.Image) -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[274] = 6  # to be turned clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    found, expected = (detect(p, LABELS, model=vit, **CHEAP) for p in (file.getvalue(), picture))
    assert found.sizes == (picture.size,)
    pd.testing.assert_frame_equal(found.table, expected.table)


def test_a_look_is_of_its_own_model(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    for data in (look, [look], iter([look])):
        assert detect(data, LABELS, **CHEAP).provenance["model"]["model"] == vit.name
    with pytest.raises(ModelError, match="look again with this model"):
        detect(look, LABELS, model=clipviz.load(), **CHEAP)


def test_the_bundled_model_answers_and_finds_a_planted_thing() -> None:
    scene = clipviz.synth.scenes(1, seed=5, level="easy")[0]
    found = detect(scene.picture, [scene.caption], threshold=-2)
    assert found.provenance["model"]["model"] == "clipviz-tiny" and len(found)
    x0, y0, x1, y1 = found.table.loc[0, ["x0", "y0", "x1", "y1"]].astype(float)
    a0, b0, a1, b1 = scene.target.box
    assert max(x0, a0) < min(x1, a1) and max(y0, b0) < min(y1, b1)
    flipped = scene.picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirror = detect(flipped, [scene.caption], threshold=-2)
    width = scene.picture.width
    turned = mirror.table.loc[0, ["x0", "x1"]].astype(float)
    assert abs((width - turned["x1"]) - x0) < width / 4 and abs((width - turned["x0"]) - x1) < width / 4


def test_a_label_is_not_disturbed_by_another(vit: Model, picture: Image.Image) -> None:
    for method in ("patches", "windows"):
        alone = detect(picture, ["a dog"], model=vit, method=method, threshold=EVERY_BOX).table
        both = detect(picture, LABELS, model=vit, method=method, threshold=EVERY_BOX).table
        mine = both[both["label"] == "a dog"].reset_index(drop=True)
        np.testing.assert_allclose(mine[["score", "x0", "y0", "x1", "y1"]], alone[["score", "x0", "y0", "x1", "y1"]],
                                   atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (3, 8), (8, 8), (40, 1)])
def test_a_picture_smaller_than_a_patch(vit: Model, size: tuple[int, int]) -> None:
    for method in ("patches", "windows", "grid"):
        found = detect(Image.new("RGB", size, "red"), LABELS, model=vit, method=method, threshold=EVERY_BOX)
        assert found.sizes == (size,) and len(found), "it is seen enlarged; `Detections` holds the boxes inside"


def test_what_cannot_be_seen_is_listed_and_stops_nothing(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    ribbon = Image.new("RGB", (3000, 4))
    with pytest.warns(ClipvizWarning, match=r"2 of 3 pictures could not be seen.*\.failed"):
        found = detect([b"no picture", picture, ribbon], LABELS, model=vit, threshold=EVERY_BOX)
    assert found.images == ("1",) and [name for name, _ in found.failed] == ["0", "2"]
    assert "at most 256 are allowed" in found.failed[1][1]
    for alone in (b"no picture", ribbon):
        with pytest.raises(InputError, match=r"pass a JPEG|give a larger most="):
            detect(alone, LABELS, model=vit)
        with pytest.raises(InputError, match=r"pass a JPEG|give a larger most="):
            detect([picture, alone], LABELS, model=vit, fail=True)
    picture.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"\x89PNG and nothing")
    with pytest.warns(ClipvizWarning, match=r"1 of 2 pictures"):
        found = detect(clipviz.open_source(tmp_path), LABELS, model=vit, **CHEAP)
    assert found.images == ("a.png",) and [name for name, _ in found.failed] == ["b.png"]


def test_no_picture_at_all(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "a.png")
    for nothing in ([], iter([]), clipviz.open_source(tmp_path).select([])):
        with pytest.raises(InputError, match="There is no picture to look at: pass"):
            detect(nothing, LABELS, model=vit)


def test_words_never_seen_are_warned_of(picture: Image.Image) -> None:
    with pytest.warns(ClipvizWarning, match="never saw 'zebra'"):
        found = detect(picture, ["a zebra"], **CHEAP)
    assert any("'zebra'" in note for note in found.notes)


def test_the_threshold(vit: Model, picture: Image.Image) -> None:
    every = detect(picture, LABELS, model=vit, **CHEAP)
    least = float(every.table["score"].median())
    high = detect(picture, LABELS, model=vit, **{**CHEAP, "threshold": least})
    assert high.threshold == least and high.table.equals(every.at(least).table)
    assert len(detect(picture, LABELS, model=vit, **{**CHEAP, "threshold": 2})) == 0
    for wrong in (3, -2.1, float("nan"), "0.1", True):
        with pytest.raises(InputError, match=r"lies from -2 to 2.*or -2 to keep every box"):
            detect(picture, LABELS, model=vit, **{**CHEAP, "threshold": wrong})
    for wrong in (0, 1.5, True):
        with pytest.raises(InputError, match="whole number of 1 or more"):
            detect(picture, LABELS, model=vit, per_label=wrong, **CHEAP)  # type: ignore[arg-type]


def test_progress_counts_the_squares_of_a_picture(
    vit: Model, picture: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    for method, options in (("patches", {}), ("windows", {}), ("grid", {"cells": 3, "sizes": 1})):
        detect(picture, LABELS, model=vit, method=method, progress=True, **options)
        shown = capsys.readouterr().err
        done, of = shown.rsplit("[", 1)[0].rsplit("|", 1)[-1].split()[0].split("/")
        assert "squares" in shown and done == of != "0", shown
    detect([picture] * 2, LABELS, model=vit, progress=True, **CHEAP)
    assert "images" in capsys.readouterr().err
    detect(picture, LABELS, model=vit, **CHEAP)
    assert capsys.readouterr().err == ""
