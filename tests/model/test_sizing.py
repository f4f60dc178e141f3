"""`at_size`: a model in memory at another input size is the one that `load` gives at that size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import clipviz
from clipviz.errors import ModelError
from clipviz.model import Model, at_size


def test_equals_a_model_that_was_loaded_at_that_size(model: Model, picture: Image.Image, tmp_path: Path) -> None:
    size = 2 * model.image_size
    ours, loaded = at_size(model, size), clipviz.load(model.save(tmp_path / model.name), image_size=size)
    assert ours.grid == loaded.grid == tuple(2 * side for side in model.grid)
    assert np.array_equal(ours.encode_images([picture]), loaded.encode_images([picture]))
    assert np.array_equal(ours.encode_texts(["a dog"]), loaded.encode_texts(["a dog"]))


def test_carries_over_what_was_told_and_leaves_the_model_alone(vit: Model, picture: Image.Image) -> None:
    before = {name: tensor.clone() for name, tensor in vit.clip.state_dict().items()}
    larger = at_size(vit, 48)
    assert (larger.mean, larger.std, larger.view, larger.seen_token_ids) == (vit.mean, vit.std, vit.view,
                                                                             vit.seen_token_ids)  # fmt: skip
    assert larger.card == vit.card and larger.provenance["image_size"] == 48
    assert all(torch.equal(before[name], tensor) for name, tensor in vit.clip.state_dict().items())
    assert at_size(vit, vit.image_size) is vit


@pytest.mark.parametrize("size", [20, 0, True, "48"])
def test_refuses_a_size_that_is_no_whole_number_of_cells(vit: Model, size: object) -> None:
    with pytest.raises(ModelError, match="multiple of the model's 8 px cells"):
        at_size(vit, size)  # type: ignore[arg-type]
