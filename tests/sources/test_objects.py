"""Data sets that are Python objects, made by the libraries themselves."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipviz.errors import DataError
from clipviz.sources import open_source


def jpeg(seed: int) -> bytes:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(["cats/1.jpg", "cats/2.jpg", "dogs/1.jpg"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(seed))
    return tmp_path


def test_an_image_folder_of_torchvision_is_the_folder(folder: Path) -> None:
    from torchvision import datasets, transforms

    theirs = datasets.ImageFolder(str(folder), transform=transforms.ToTensor())
    source, plain = open_source(theirs), open_source(folder)
    assert source.ids == plain.ids and source.fingerprint == plain.fingerprint
    assert list(source.table().label) == list(plain.table().label) == ["cats", "cats", "dogs"]
    assert source.stamp(0) == plain.stamp(0) and source.opening is None
    assert theirs.transform is not None  # the caller's is as it was
    (folder / "dogs/1.jpg").write_bytes(b"text")
    assert [item.id for item in source] == ["cats/1.jpg", "cats/2.jpg"] and "dogs/1.jpg" in dict(source.failed)


def test_arrays_of_torchvision_lose_nothing_on_their_way() -> None:
    from torchvision.datasets import FakeData

    theirs = FakeData(size=3, image_size=(3, 10, 12), num_classes=5)
    source = pickle.loads(pickle.dumps(open_source(theirs)))
    assert source.ids == ("0", "1", "2") and source.stamp(1) is None
    for item, (picture, label) in zip(source, theirs, strict=True):
        assert item.metadata == {"label": int(label)}
        assert np.array_equal(item.image, picture)
    with Image.open(BytesIO(source.bytes(2))) as kept:
        assert np.array_equal(kept, theirs[2][0])


def test_a_stream_and_a_missing_column_are_refused() -> None:
    from torch.utils.data import IterableDataset
    from torchvision.datasets import FakeData

    class Stream(IterableDataset):  # type: ignore[type-arg]
        def __iter__(self):  # type: ignore[no-untyped-def]
            yield from ()

    with pytest.raises(DataError, match="Stream has no length"):
        open_source(Stream())
    with pytest.raises(DataError, match=r"no metadata 'race'.*'label'"):
        open_source(FakeData(size=1), columns=["race"])
    with pytest.raises(DataError, match="id='file' names a column"):
        open_source(FakeData(size=1), id="file")


def test_a_data_set_of_hugging_face(require) -> None:
    require(find_spec("datasets"), "datasets")
    import datasets

    kinds = datasets.Features(
        {"picture": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"]), "n": datasets.Value("int64")}
    )
    rows = {"picture": [{"bytes": jpeg(i), "path": None} for i in range(3)], "label": [0, 1, 1], "n": [7, 8, 9]}
    rows["picture"][2] = {"bytes": b"text", "path": None}
    theirs = datasets.Dataset.from_dict(rows, features=kinds)
    source = pickle.loads(pickle.dumps(open_source(theirs, id="n")))
    assert source.ids == ("7", "8", "9") and source.bytes(1) == jpeg(1)
    assert source.table().to_dict("list") == {"label": ["cat", "dog", "dog"]}
    assert [item.metadata["label"] for item in source] == ["cat", "dog"] and "9" in dict(source.failed)
    with pytest.raises(DataError, match="several parts"):
        open_source(datasets.DatasetDict(train=theirs))
    with pytest.raises(DataError, match="streaming=False"):
        open_source(theirs.to_iterable_dataset())
