"""A list of picture files."""

import pytest
from PIL import Image

from clipviz.errors import DataError
from clipviz.sources import ListSource, open_source


def save(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(path)
    return path


def test_a_list_of_pictures_keeps_its_order_and_takes_names_as_ids(tmp_path):
    files = [save(tmp_path / name, colour) for name, colour in (("b/2.png", "red"), ("a/새 1.jpg", "blue"))]
    source = open_source([files[0], str(files[1])])
    assert isinstance(source, ListSource) and source.ids == ("2.png", "새 1.jpg") and source.columns == ()
    assert [item.metadata for item in source] == [{}, {}] and source.bytes(1) == files[1].read_bytes()
    assert source["2.png"].image.getpixel((0, 0)) == (255, 0, 0) and len(source.table()) == 2
    assert source.select([1]).fingerprint == open_source(tmp_path / "a").fingerprint
    files[0].write_bytes(b"")
    assert [item.id for item in source] == ["새 1.jpg"] and [name for name, _ in source.failed] == ["2.png"]


def test_what_a_list_cannot_be(tmp_path):
    one, two, table = save(tmp_path / "a/1.png"), save(tmp_path / "b/1.png"), tmp_path / "x.parquet"
    with pytest.raises(DataError, match=r"a/1\.png' and .*b/1\.png' have one name"):
        open_source([one, two])
    table.touch()
    with pytest.raises(DataError, match="Files of one format are wanted"):
        open_source([one, table])
    with pytest.raises(DataError, match="a list of pictures has none; leave it out"):
        open_source([one], id="name")
    with pytest.raises(DataError, match="no metadata 'label'"):
        open_source([one], columns=["label"])
    with pytest.raises(DataError, match="There is no file"):
        open_source([one, tmp_path / "gone.png"])
