"""The dense evidence of a picture at several sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.detection.asking import Asked
from clipviz.detection.levels import Level, _finer, default_explainer, seen_at, standardised, together
from clipviz.detection.pyramid import level
from clipviz.errors import ModelError
from clipviz.explanation.neutral import NEUTRAL
from clipviz.model import Model, at_size


def test_standardised_and_together_against_loops() -> None:
    rng = np.random.default_rng(0)
    frames = [level((80, 60), 20, 5, scale) for scale in (1 / 3, 1.0)]
    levels = []
    for k, frame in enumerate(frames):
        x0, y0, x1, y1 = frame.window
        values = (rng.normal(size=(3, (y1 - y0) // 5, (x1 - x0) // 5)) * 10**k + 5 * k).astype(np.float32)
        values[2] = 7.25  # the same everywhere: it says nothing
        levels.append(Level(frame, np.zeros((len(frame.tiles), 3)), values))
    maps, frame = together(levels)
    assert frame is frames[1] and maps.shape == levels[1].maps.shape and maps.dtype == np.float32
    for j in range(2):
        total = 0.0
        for one in levels:
            drawn = torch.from_numpy(one.maps[j])[None, None]
            drawn = F.interpolate(drawn, size=maps.shape[1:], mode="bilinear", align_corners=False)[0, 0].numpy()
            total = total + (drawn - drawn.mean()) / drawn.std()
        np.testing.assert_allclose(maps[j], (total - total.mean()) / total.std(), atol=1e-4)
    assert (maps[2] == 0).all()
    assert (standardised(np.full((2, 3, 3), 1e9)) == 0).all()


def test_each_square_has_the_margin_of_its_own_picture(vit: Model, picture: Image.Image) -> None:
    asked = Asked(vit, ["a dog", "a cat"], NEUTRAL, False)
    levels, notes = seen_at(asked, picture, "maskclip", {}, 8.0, 64)
    assert notes == () and levels[0].frame.scale[1] == pytest.approx(32 / 44, rel=0.15)
    for one in levels:
        h, w = one.maps.shape[-2:]
        x0, y0, x1, y1 = one.frame.window
        assert len(one.margins) == len(one.frame.tiles) and len(one.maps) == 2
        assert (x1 - x0) / w == (y1 - y0) / h == 8, "a cell is a patch, at every size"
    first = levels[0].frame
    drawn = picture.resize(first.canvas, Image.Resampling.BICUBIC)
    squares = [drawn.crop((x, y, x + 32, y + 32)) for x, y in first.tiles]
    expected = asked.margins(torch.from_numpy(vit.encode_images(squares)))
    np.testing.assert_allclose(levels[0].margins, expected, atol=1e-6)


def test_a_finer_model_costs_no_second_copy_of_the_weights(vit: Model, resnet: Model, picture: Image.Image) -> None:
    for model in (vit, resnet):
        finer, own = _finer(model, 2 * model.image_size), {p.data_ptr() for p in model.clip.parameters()}
        apart = [name for name, p in finer.clip.named_parameters() if p.data_ptr() not in own]
        assert len(apart) == 1 and "position" in apart[0]
        expected = at_size(model, 2 * model.image_size).encode_images([picture])
        assert np.array_equal(finer.encode_images([picture]), expected)
        assert _finer(model, 2 * model.image_size) is finer


def test_who_shows_patches(vit: Model, resnet: Model, other: Model) -> None:
    assert default_explainer(vit) == "head_decomposition" and default_explainer(resnet) == "maskclip"
    assert default_explainer(clipviz.load()) in clipviz.list_explainers(clipviz.load())["name"].tolist()
    with pytest.raises(ModelError, match=r"small-other shows no patches.*method='grid'"):
        default_explainer(other)
