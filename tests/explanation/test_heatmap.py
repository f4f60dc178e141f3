"""Results: what they hold, how they are written and read back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipviz
from clipviz.errors import DataError, InputError
from clipviz.model import Model


@pytest.fixture(scope="module")
def heatmap(vit: Model, picture: Image.Image) -> clipviz.Heatmap:
    return clipviz.gradcam(picture, "<b>the forest</b> & 숲", model=vit)


def test_npz_comes_back_whole(heatmap: clipviz.Heatmap, tmp_path: Path) -> None:
    back = clipviz.Heatmap.load(heatmap.save(tmp_path / "x.npz"))
    np.testing.assert_array_equal(back.values, heatmap.values)
    np.testing.assert_array_equal(back.on_image(), heatmap.on_image())
    np.testing.assert_array_equal(np.asarray(back.picture), np.asarray(heatmap.picture))
    assert (back.prompt, back.method, back.notes, back.against) == (heatmap.prompt, "gradcam", (), ())
    assert back.score == pytest.approx(heatmap.score, abs=1e-12)
    assert json.loads(json.dumps(back.provenance)) == json.loads(json.dumps(heatmap.provenance))


def test_png_and_page(heatmap: clipviz.Heatmap, tmp_path: Path) -> None:
    with Image.open(heatmap.save(tmp_path / "x.png")) as figure:
        assert figure.format == "PNG"
        assert min(figure.size) > 200
    page = heatmap.save(tmp_path / "x.html").read_text()
    assert "<b>the forest</b>" not in page
    assert "&lt;b&gt;the forest&lt;/b&gt;" in page
    assert heatmap.provenance["model"]["weights_sha256"] in page
    assert "data:image/png;base64," in page


def test_an_interrupted_save_leaves_the_old_file_whole(
    heatmap: clipviz.Heatmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = heatmap.save(tmp_path / "x.npz")
    old = path.read_bytes()

    def broken(file, **_: object) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(KeyboardInterrupt):
        heatmap.save(path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.npzz"])
def test_another_suffix_is_refused(heatmap: clipviz.Heatmap, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"\.png, \.npz, \.html"):
        heatmap.save(tmp_path / name)


def heatmap_file(folder: Path, values: np.ndarray | None = None, about: object = None) -> None:
    """An archive with the parts of a heatmap, some of them wrong."""
    values = np.zeros((2, 2), np.float32) if values is None else values
    said = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(folder / "z.npz", values=values, picture=np.zeros(3, np.uint8), about=said)


def test_what_is_no_saved_heatmap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"something else")
    with pytest.raises(DataError, match="no saved heatmap"):
        clipviz.Heatmap.load(tmp_path / "x.npz")
    heatmap_file(tmp_path, values=np.zeros(3, np.float32))
    with pytest.raises(DataError, match=r"no saved heatmap.*shape"):
        clipviz.Heatmap.load(tmp_path / "z.npz")
    for about in ({}, [], {"frame": {}, "against": [], "notes": []}, {"surplus": 1}):
        heatmap_file(tmp_path, about=about)
        with pytest.raises(DataError, match="no saved heatmap"):
            clipviz.Heatmap.load(tmp_path / "z.npz")
    with pytest.raises(DataError, match="There is no file"):
        clipviz.Heatmap.load(tmp_path / "y.npz")


def test_cells_in_original_pixels(heatmap: clipviz.Heatmap) -> None:
    table = heatmap.to_pandas()
    assert len(table) == heatmap.values.size
    first = table.iloc[0]
    # 140 x 90, the middle square of side 90 was seen, as 4 x 4 cells (torchvision rounds the resized side)
    assert first[["x0", "y0", "x1", "y1"]].tolist() == pytest.approx([25, 0, 47.5, 22.5], abs=0.8)
    assert first["value"] == heatmap.values[0, 0]
    assert table["value"].tolist() == heatmap.values.reshape(-1).tolist()


def test_shows_itself_in_one_line_and_as_a_picture(heatmap: clipviz.Heatmap) -> None:
    assert "\n" not in repr(heatmap)
    bundle = heatmap._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")


def test_heatmaps_grid_table_and_files(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    found = clipviz.explain([picture, picture], ["a dog", "a cat"], model=vit)
    assert found.scores.shape == (2, 2)
    table = found.to_pandas()
    assert len(table) == found.values.size
    assert list(table.columns[:6]) == ["image", "prompt", "against", "templates", "method", "score"]
    for name in ("x.png", "x.html", "x.csv"):
        assert found.save(tmp_path / name).stat().st_size > 1000
    with pytest.raises(InputError, match=r"\.csv"):
        found.save(tmp_path / "x.jpg")
    assert [h.prompt for h in found[1]] == ["a dog", "a cat"]
    assert len(list(found)) == len(found) == 2
    empty = clipviz.explain([b"nothing"], ["a dog"], model=vit)
    assert empty.values.shape[:2] == (0, 1)
    assert "1 failed" in repr(empty)
    assert empty.save(tmp_path / "empty.html").exists()


def test_maps_of_several_shapes_are_not_stacked(vit: Model, picture: Image.Image) -> None:
    found = clipviz.explain([picture, picture.rotate(90, expand=True)], ["a dog"], model=vit, view="tiles")
    with pytest.raises(InputError, match="differ in shape"):
        _ = found.values
    assert found[0, 0].values.shape == found[1, 0].values.shape[::-1]


def test_the_peak_of_a_border_cell_is_within_it(heatmap: clipviz.Heatmap) -> None:
    """The map is flat from the outermost centres to the border: the first of equals would be the border itself."""
    values = np.zeros_like(heatmap.values)
    values[0, -1] = 1.0
    x, y = dataclasses.replace(heatmap, values=values).peak()
    x0, y0, x1, y1 = heatmap.to_pandas().query("row == 0 and column == column.max()")[["x0", "y0", "x1", "y1"]].iloc[0]
    assert (x0 + x1) / 2 < x < x1 - 2
    assert y0 + 2 < y < (y0 + y1) / 2


def test_two_wordings_of_one_text_stay_apart(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    wordings = [clipviz.Prompt("image"), clipviz.Prompt("image", ("a drawing of an {}",))]
    found = clipviz.explain([picture], wordings, model=vit, against="a cat")
    table = found.to_pandas()
    assert set(table["templates"]) == {"{}", "a drawing of an {}"}
    assert set(table["against"]) == {"a cat"}
    page = found.save(tmp_path / "x.html").read_text()
    for score in found.scores[0]:
        assert f"{score:+.4f}".replace("-", "\u2212") in page
    assert "minus the mean of those with" in page
