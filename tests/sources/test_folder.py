import os

import numpy as np
import pytest
from PIL import Image

from clipviz.errors import ClipvizWarning, DataError
from clipviz.sources import open_source


def save(path, colour="red", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(path, **options)
    return path


def test_a_flat_folder_is_sorted_and_has_no_label(tmp_path):
    for name in ("b.png", "a.JPG", "숲.webp", ".hidden.png"):
        save(tmp_path / name)
    (tmp_path / "readme.txt").write_text("text")
    source = open_source(tmp_path)
    assert source.ids == ("a.JPG", "b.png", "숲.webp") and source.skipped == ("readme.txt",)
    assert [item.metadata for item in source] == [{}] * 3 and source.columns == ()


def test_the_topmost_subfolder_is_the_label(tmp_path):
    save(tmp_path / "cat" / "1.png", "red")
    save(tmp_path / "cat" / "deep" / "2.png", "red")
    save(tmp_path / "a dog" / "1.png", "blue")
    save(tmp_path / ".cache" / "3.png")
    source = open_source(tmp_path)
    assert [(item.id, item.metadata["label"]) for item in source] == [
        ("a dog/1.png", "a dog"),
        ("cat/1.png", "cat"),
        ("cat/deep/2.png", "cat"),
    ]
    assert np.asarray(source[0].image)[0, 0].tolist() == [0, 0, 255]
    assert open_source(tmp_path, columns=[])[0].metadata == {}
    with pytest.raises(DataError, match="Did you mean 'label'"):
        open_source(tmp_path, columns=["labels"])


def test_a_picture_beside_the_classes_has_no_label(tmp_path):
    save(tmp_path / "x.png")
    save(tmp_path / "cat" / "1.png")
    assert [item.metadata for item in open_source(tmp_path)] == [{"label": "cat"}, {"label": None}]


def test_damaged_pictures_are_listed_and_the_others_come(tmp_path):
    for name in "abcd":
        save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:40])
    (tmp_path / "c.png").write_text("no picture")
    (tmp_path / "e.png").touch()
    source = open_source(tmp_path)
    (tmp_path / "d.png").unlink()  # gone since the source was opened
    for _ in range(2):  # a second pass lists nothing twice
        assert [item.id for item in source] == ["a.png"]
        assert [name for name, _ in source.failed] == ["b.png", "c.png", "d.png", "e.png"]
    reasons = dict(source.failed)
    assert "damaged or cut off" in reasons["b.png"] and "no picture that Pillow" in reasons["c.png"]
    assert "There is no file" in reasons["d.png"] and "is empty" in reasons["e.png"]
    assert len(source) == 5
    fresh = source.select([0, 1])
    assert fresh.failed == []
    with pytest.raises(DataError, match=r"'b\.png' of .* cannot be read"):
        fresh[1]
    assert [name for name, _ in fresh.failed] == ["b.png"]
    with pytest.raises(DataError, match="fingerprint"):
        source.fingerprint  # noqa: B018


def test_iteration_is_lazy(tmp_path):
    for name in "ab":
        save(tmp_path / f"{name}.png")
    source = iter(open_source(tmp_path))
    next(source)
    save(tmp_path / "b.png", "blue")
    assert next(source).image.getpixel((0, 0)) == (0, 0, 255)


def test_an_animated_picture_warns_and_comes(tmp_path):
    save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (8, 6), "blue")])
    with pytest.warns(ClipvizWarning, match="2 frames"):
        assert len(list(open_source(tmp_path))) == 1


def test_an_empty_folder_says_what_lies_there(tmp_path):
    with pytest.raises(DataError, match=r"holds no pictures; pass a folder"):
        open_source(tmp_path)
    (tmp_path / "list.csv").touch()
    with pytest.raises(DataError, match=r"only 1 other files such as 'list\.csv'"):
        open_source(tmp_path)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
def test_linked_folders_are_followed_once(tmp_path):
    save(tmp_path / "store" / "1.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "loop").symlink_to(tmp_path / "data")
    assert open_source(tmp_path / "data").ids == ("cat/1.png",)
