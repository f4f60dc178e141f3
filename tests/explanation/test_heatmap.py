"""Results: what they hold, how they are written and read back."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipviz
from clipviz.errors import ClipvizWarning, DataError, InputError
from clipviz.explanation.origin import Origin, mark_of
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
    with pytest.warns(ClipvizWarning, match="1 of 1 pictures could not be opened, the first 0: "):
        empty = clipviz.explain([b"nothing"], ["a dog"], model=vit)
    with pytest.raises(InputError, match=r"0 images and 1 prompts; 1 pictures could not be opened, see \.failed"):
        _ = empty[0, 0]
    with pytest.raises(IndexError, match="2 images and 2 prompts"):
        _ = found[0, 2]
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


def test_the_picture_is_opened_again_and_not_kept(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture.save(path)
    look = vit.look(picture)
    source = clipviz.open_source(tmp_path)
    array = np.asarray(picture).copy()
    maps = {
        "path": clipviz.gradcam(path, "a dog", model=vit),
        "source": clipviz.explain(source, "a dog", model=vit)[0, 0],
        "look": clipviz.gradcam(look, "a dog"),
        "array": clipviz.gradcam(array, "a dog", model=vit),
        "stream": clipviz.gradcam(path.open("rb"), "a dog", model=vit),
    }
    for heatmap in maps.values():
        np.testing.assert_array_equal(np.asarray(heatmap.picture), np.asarray(picture))
    assert maps["path"].origin.given == str(path) and maps["source"].origin.given is source
    assert maps["array"].origin.given is array and maps["look"].origin.given is look.picture
    again = pickle.loads(pickle.dumps(maps["source"]))
    assert again.picture.size == picture.size
    picture.transpose(Image.Transpose.ROTATE_180).save(path)
    array[0, 0] ^= 255
    for kind in ("path", "source", "array"):
        with pytest.raises(InputError, match="not what it was"):
            _ = maps[kind].picture
    path.unlink()
    for kind in ("path", "source"):
        with pytest.raises(InputError, match=r"cannot be opened again: .*a\.png"):
            maps[kind].plot()
    assert maps["path"].values.any()  # the numbers are there all the same


def test_of_a_pil_picture_from_a_file_the_path_is_kept(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture.save(path)
    with Image.open(path) as opened:
        assert clipviz.gradcam(opened, "a dog", model=vit).origin.given == str(path)
    with Image.open(path) as drawn_into:
        drawn_into.putpixel((0, 0), (1, 2, 3))
        found = clipviz.gradcam(drawn_into, "a dog", model=vit)
        assert found.origin.given is drawn_into and found.picture.getpixel((0, 0)) == (1, 2, 3)
    with Image.open(path) as moved:
        moved.load()
        path.unlink()
        assert clipviz.gradcam(moved, "a dog", model=vit).origin.given is moved


def test_tiles_add_up_each_for_itself(vit: Model, picture: Image.Image) -> None:
    asked = {"model": vit, "method": "head_decomposition"}
    one, tiles = (clipviz.explain([picture], "a dog", view=view, **asked)[0, 0] for view in ("crop", "tiles"))
    count = len(tiles.frame.tiles)
    assert (
        count > 1 and f"Each of the {count} tiles adds up to its own score, not to that of the picture." in tiles.notes
    )
    assert (one.unit, tiles.unit) == ("contribution to cosine", "contribution to the tile's cosine") and not one.notes
    for method in ("eigencam", "scorecam", "grad_eclip", "attention"):
        options = {"channels": 3} if method == "scorecam" else {}
        found = clipviz.explain([picture], "a dog", model=vit, method=method, view="tiles", **options)[0, 0]
        assert any("compare within a tile only" in note for note in found.notes)


def test_a_working_folder_may_change(
    vit: Model, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture.save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    heatmap = clipviz.gradcam("a.png", "a dog", model=vit)
    monkeypatch.chdir(tmp_path.parent)
    assert heatmap.picture.size == picture.size


def test_smaller_maps_and_pictures_fit_each_other(heatmap: clipviz.Heatmap) -> None:
    small = heatmap.on_image(longest=70)
    assert small.shape == (45, 70) and heatmap.small_picture(70).size == (70, 45)
    full = heatmap.on_image()
    assert heatmap.on_image(longest=1000).shape == full.shape == (90, 140)
    inside = ~np.isnan(small) & ~np.isnan(full[::2, ::2])
    assert np.abs(small - full[::2, ::2])[inside].max() < 0.1 * np.ptp(heatmap.values)


def test_sets_are_written_and_read_back(vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    for name in ("b.jpg", "a.png"):
        picture.save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no picture")
    source = clipviz.open_source(tmp_path)
    with pytest.warns(ClipvizWarning, match=r"1 of 3 .*'c\.png'"):
        found = clipviz.explain(source, ["a dog", "a cat"], model=vit, against="a bird")
    path = found.save(tmp_path / "out" / "x.npz")
    assert path.read_bytes() == found.save(tmp_path / "out" / "y.npz").read_bytes()
    (tmp_path / "b.jpg").unlink()  # the pictures are in the file
    back = clipviz.Heatmaps.load(path)
    np.testing.assert_array_equal(back.values, found.values)
    assert (back.ids, back.prompts, back.failed, back.against) == (found.ids, found.prompts, found.failed, ("a bird",))
    assert back.scores.tolist() == found.scores.tolist()
    assert back[0, 1].notes == found[0, 1].notes and back[1, 0].frame == found[1, 0].frame
    assert json.loads(json.dumps(back[1, 1].provenance)) == json.loads(json.dumps(found[1, 1].provenance))
    assert back[1, 0].picture.size == picture.size
    np.testing.assert_array_equal(np.asarray(back[0, 0].picture), np.asarray(picture))
    assert clipviz.Heatmaps.load(back.save(path))[1, 1].picture.size == picture.size  # over the file it came from
    with pytest.warns(ClipvizWarning):
        empty = clipviz.explain([b"nothing"], ["a dog"], model=vit)
    assert clipviz.Heatmaps.load(empty.save(tmp_path / "e.npz")).failed == empty.failed
    path.unlink()
    with pytest.raises(InputError, match=r"cannot be opened again: .*x\.npz"):
        _ = back[0, 0].picture


def test_what_is_no_saved_set_is_refused(heatmap: clipviz.Heatmap, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no heatmaps.*one heatmap"):
        clipviz.Heatmaps.load(heatmap.save(tmp_path / "x.npz"))
    (tmp_path / "y.npz").write_bytes(b"something else")
    with pytest.raises(DataError, match="no heatmaps"):
        clipviz.Heatmaps.load(tmp_path / "y.npz")
    with pytest.raises(DataError, match="There is no file"):
        clipviz.Heatmaps.load(tmp_path / "z.npz")


def test_figures_of_many_pictures_show_the_first(vit: Model, picture: Image.Image) -> None:
    found = clipviz.explain([picture] * 4, ["a dog"], model=vit)
    figure = found.plot(shown=2)
    assert any("The first 2 of 4 pictures." in " ".join(t.get_text().split()) for t in figure.texts)
    assert not any("The first" in t.get_text() for t in found.plot().texts)


def test_a_map_of_large_mean_is_drawn_about_it(heatmap: clipviz.Heatmap) -> None:
    values = np.linspace(0.3, 0.4, heatmap.values.size, dtype=np.float32).reshape(heatmap.values.shape)
    far = dataclasses.replace(heatmap, values=values)
    assert far.offset == pytest.approx(0.35)
    assert any("about its mean, +0.35" in " ".join(t.get_text().split()) for t in far.plot().texts)
    assert dataclasses.replace(heatmap, values=values - 0.35).offset == 0
    assert dataclasses.replace(heatmap, values=-values).offset == pytest.approx(-0.35)
    assert dataclasses.replace(heatmap, values=np.full_like(values, 2)).offset == 0
    assert dataclasses.replace(heatmap, values=values - 0.25).offset == 0  # 0.05 to 0.15: zero can be seen


def test_origins_tell_pictures_apart(picture: Image.Image) -> None:
    assert mark_of(picture) == mark_of(picture.copy())
    assert mark_of(picture) != mark_of(picture.resize((90, 140)))
    assert Origin.of(picture, picture).encoded().startswith(b"\x89PNG")
