"""Windows that share one pass, against a loop over each window's own softmax."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from clipviz.detection.asking import Asked
from clipviz.detection.windows import by_windows, window_cells, window_units
from clipviz.errors import InputError
from clipviz.explanation.neutral import NEUTRAL
from clipviz.model import Model

from .conftest import small


def naive(model: Model, pixels: torch.Tensor, window: tuple[int, int, int, int]) -> torch.Tensor:
    """[N, E] in float64: the last block's class token attends to itself and to the cells of one window."""
    visual, (_, w) = model.clip.visual, model.grid
    blocks = list(visual.transformer.resblocks)
    before = f"block.{len(blocks) - 2}" if len(blocks) > 1 else "embed"
    x = visual.trace(pixels, [before])[before].double()
    block, d = blocks[-1].double(), x.shape[-1]
    x0, y0, x1, y1 = window
    asked = [0] + [1 + y * w + x for y in range(y0, y1) for x in range(x0, x1)]
    given = block.ln_1(x)
    q, k, v = (
        F.linear(given, block.attn.in_proj_weight[i * d : (i + 1) * d], block.attn.in_proj_bias[i * d : (i + 1) * d])
        for i in range(3)
    )
    side = d // block.attn.heads
    heads = []
    for head in range(block.attn.heads):
        part = slice(head * side, (head + 1) * side)
        logits = torch.stack([(q[:, 0, part] * k[:, token, part]).sum(-1) / math.sqrt(side) for token in asked], -1)
        heads.append(sum(p[:, None] * v[:, token, part] for p, token in zip(logits.softmax(-1).T, asked, strict=True)))
    y = x[:, 0] + block.attn.out_proj(torch.cat(heads, dim=-1))
    y = y + block.mlp(block.ln_2(y))
    norm = visual.ln_post
    y = F.layer_norm(y, norm.normalized_shape, norm.weight.double(), norm.bias.double(), norm.eps)
    return F.normalize(y @ visual.proj.double(), dim=-1)


@pytest.mark.parametrize("layers", [1, 3])
def test_equals_the_loop_and_of_the_whole_square_the_model(layers: int) -> None:
    model, h, w = small("vit", layers=layers), 4, 4
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    cells = np.array([(0, 0, w, h), (1, 2, 2, 3), (0, 0, 3, 2), (2, 1, 4, 4)])
    picture = Image.new("RGB", (32, 32))
    look = model.look(picture)
    look = type(look)(model, pixels, picture, look.frame)
    found = window_units(model, look, cells)
    assert found.shape == (2, 4, 24)
    assert (found[:, 0] - look.unit).abs().max() < 1e-6
    assert (found[:, 1:] - look.unit[:, None]).abs().max() > 1e-3, "a part is not the whole"
    with torch.no_grad():  # the loop turns the last block of its model to float64
        expected = [naive(small("vit", layers=layers), pixels, tuple(window)) for window in cells.tolist()]
    assert (found.double() - torch.stack(expected, dim=1)).abs().max() < 1e-6


def test_windows_lie_on_the_grid_and_cover_it() -> None:
    for h, w in ((7, 7), (3, 9), (1, 1)):
        cells = window_cells(h, w, (0.3, 0.6))
        assert (cells[:, :2] >= 0).all() and (cells[:, 2:] <= [w, h]).all() and (cells[:, :2] < cells[:, 2:]).all()
        assert len({*map(tuple, cells.tolist())}) == len(cells) and (0, 0, w, h) in set(map(tuple, cells.tolist()))
        for size in {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in cells.tolist()}:
            held = np.zeros((h, w), bool)
            for x0, y0, x1, y1 in cells:
                if (x1 - x0, y1 - y0) == size:
                    held[y0:y1, x0:x1] = True
            assert held.all(), f"windows of {size} leave cells out"
    assert len(window_cells(7, 7, 0.5)) == len(window_cells(7, 7, [0.5]))


@pytest.mark.parametrize("shares", [(), 2, None, "ab", (0.5, 0), (float("nan"),)])
def test_shares_that_are_none(shares: object) -> None:
    with pytest.raises(InputError, match=r"lie between 0 and 1: pass some such as 0\.5"):
        window_cells(7, 7, shares)  # type: ignore[arg-type]


def test_every_network_has_windows_and_a_map(vit: Model, other: Model, picture: Image.Image) -> None:
    """A ViT shares its passes; of any other network the same windows are crops."""
    for model in (vit, small("resnet"), other):
        found, maps, _ = by_windows(Asked(model, ["a dog", "a cat"], NEUTRAL, False), picture, shares=0.5)
        assert set(found.labels.tolist()) == {0, 1} and np.isfinite(found.scores).all()
        assert (found.boxes[:, :2] >= 0).all() and (found.boxes[:, 2:] <= picture.size).all()
        assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
        assert len(maps.values) == 2 and maps.frame.picture == picture.size
        assert maps.frame.on_image(maps.values[0]).shape == picture.size[::-1]
        assert found.scores[found.labels == 0].max() >= maps.values[0].max() - 1e-6, "a mean is not above the best"
