"""Position embeddings for another size are those that open_clip makes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from open_clip.model import resize_pos_embed

from clipviz.clip import CLIP, resize_positions
from clipviz.errors import ModelError


def theirs(embedding, grid):
    state = {"visual.positional_embedding": embedding}
    resize_pos_embed(state, SimpleNamespace(visual=SimpleNamespace(grid_size=(grid, grid))))
    return state["visual.positional_embedding"]


@pytest.mark.parametrize(("old", "new"), [(7, 14), (7, 4), (24, 16), (16, 24), (14, 3), (3, 3), (1, 5), (5, 1)])
def test_it_equals_open_clip(old, new):
    embedding = torch.randn(1 + old * old, 24, generator=torch.Generator().manual_seed(0))
    ours = resize_positions(embedding, new)
    assert ours.shape == (1 + new * new, 24)
    assert torch.equal(ours[0], embedding[0])
    assert torch.allclose(ours, theirs(embedding, new), rtol=0, atol=1e-6)


def test_the_dtype_is_kept_and_the_original_too():
    embedding = torch.randn(1 + 49, 8).half()
    before = embedding.clone()
    assert resize_positions(embedding, 9).dtype == torch.float16
    assert torch.equal(before, embedding)


def test_a_network_of_another_size_takes_them(small, make_pictures):
    from dataclasses import replace

    old = small("vit")
    vision = replace(old.config.vision, image_size=56)
    new = CLIP(replace(old.config, vision=vision)).eval()
    state = old.state_dict()
    name = "visual.positional_embedding"
    new.load_state_dict({**state, name: resize_positions(state[name], vision.grid)})
    assert new.visual(make_pictures(2, 56)).shape == (2, 24)


@pytest.mark.parametrize(("rows", "grid"), [(49, 14), (0, 3), (1, 3), (50, 0)])
def test_what_is_no_square_and_one_is_refused(rows, grid):
    with pytest.raises(ModelError, match=rf"{rows} position embeddings.*1 \+ g\*g"):
        resize_positions(torch.zeros(rows, 4), grid)
