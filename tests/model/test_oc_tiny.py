"""A real CLIP through our network: the same answers as through open_clip, and the figures that are written of it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.model import Model

pq = pytest.importorskip("pyarrow.parquet")
PERSONS = ["a photo of a man", "a photo of a woman"]


@pytest.fixture(scope="module")
def folder(shared: Path, require) -> Path:
    path = shared / "models" / "oc-tiny"
    require(path.is_dir(), f"no model at {path}")
    return path


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Model:
    return clipviz.load(folder)


@dataclass
class Photographs:
    """Tiny ImageNet's validation pictures, the texts of their classes, and which is right."""

    images: list[bytes]
    texts: list[str]
    truth: np.ndarray


def photographs(shared: Path, limit: int | None = None) -> Photographs:
    folder = shared / "data" / "tiny-imagenet"
    table = pq.read_table(folder / "val-00.parquet")[:limit].to_pydict()
    classes = sorted(json.loads((folder / "classes.json").read_text()), key=lambda each: each["class_id"])
    texts = [f"a photo of a {each['names'][0]}." for each in classes]
    ids = [each["class_id"] for each in classes]
    return Photographs(table["image"], texts, np.array([ids.index(i) for i in table["class_id"]]))


def through_open_clip(folder: Path, images: list[bytes], texts: list[str]) -> np.ndarray:
    """Cosines [N, P], by open_clip's own network, transform and tokenizer."""
    import open_clip

    module, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    module.eval()
    with torch.no_grad():
        read = F.normalize(module.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(texts)), dim=-1)
        parts = []
        for start in range(0, len(images), 256):
            batch = torch.stack([transform(Image.open(io.BytesIO(each))) for each in images[start : start + 256]])
            parts.append(F.normalize(module.encode_image(batch), dim=-1) @ read.T)
    return torch.cat(parts).numpy()


def same_top_1(ours: np.ndarray, theirs: np.ndarray) -> None:
    best = np.sort(theirs, axis=1)
    tie = best[:, -1] - best[:, -2] < 1e-6
    assert ((ours.argmax(1) == theirs.argmax(1)) | tie).all()
    assert tie.mean() < 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_few_hundred_pictures_have_the_same_top_1(tiny: Model, folder: Path, shared: Path) -> None:
    held = photographs(shared, 300)
    ours = tiny.encode_images(held.images, batch_size=128) @ tiny.encode_texts(held.texts).T
    same_top_1(ours, through_open_clip(folder, held.images, held.texts))
    assert (ours.argmax(1) == held.truth).mean() > 0.15  # chance is half a percent: these are the right pictures


@pytest.mark.slow
def test_all_pictures_and_the_figure_of_the_index(tiny: Model, folder: Path, shared: Path) -> None:
    held = photographs(shared)
    ours = tiny.encode_images(held.images, batch_size=128) @ tiny.encode_texts(held.texts).T
    same_top_1(ours, through_open_clip(folder, held.images, held.texts))
    assert 100 * (ours.argmax(1) == held.truth).mean() == pytest.approx(25.1, abs=0.1)


@pytest.mark.slow
def test_the_figure_of_faces(tiny: Model, shared: Path) -> None:
    held = pq.read_table(shared / "data" / "fairface" / "val-00.parquet").to_pydict()
    cosines = tiny.encode_images(held["image"], batch_size=128) @ tiny.encode_texts(PERSONS).T
    said = np.array(["Male", "Female"])[cosines.argmax(1)]
    assert 100 * (said == np.array(held["gender"])).mean() == pytest.approx(77.9, abs=0.1)
