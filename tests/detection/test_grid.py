"""The classroom's grid: its windows and its map, against loops."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from clipviz.detection.asking import Asked
from clipviz.detection.grid import by_grid, grid_windows, over_cells
from clipviz.errors import InputError
from clipviz.explanation.neutral import NEUTRAL
from clipviz.model import Model


def test_windows_are_all_of_a_size() -> None:
    naive = [(x, y, x + g, y + g) for g in (2, 5) for y in range(7) for x in range(7) if x + g <= 7 and y + g <= 7]
    assert grid_windows(7, (2, 5)).tolist() == [list(window) for window in naive]
    assert grid_windows(4, 4).tolist() == [[0, 0, 4, 4]]


@pytest.mark.parametrize(
    ("cells", "sizes", "says"),
    [(0, (2,), "cells=0 is no number of cells"), ("7", (2,), "cells='7'"), (True, (1,), "cells=True"),
     (7, (), "pass some of 1 to 7"), (7, (8,), "pass some of 1 to 7"), (7, 2.5, "pass some of 1 to 7"),
     (7, None, "pass some of 1 to 7"), (7, (True,), "pass some of 1 to 7")],
)  # fmt: skip
def test_windows_that_are_none(cells: object, sizes: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        grid_windows(cells, sizes)  # type: ignore[arg-type]


def test_the_map_is_the_mean_of_the_windows_over_each_cell() -> None:
    cells, margins = grid_windows(4, (2, 3)), np.random.default_rng(0).normal(size=(13, 2))
    for j in range(2):
        for y in range(4):
            for x in range(4):
                over = [
                    m[j] for (x0, y0, x1, y1), m in zip(cells, margins, strict=True) if x0 <= x < x1 and y0 <= y < y1
                ]
                assert over_cells(cells, margins, (4, 4))[j, y, x] == pytest.approx(np.mean(over), abs=1e-6)
    assert over_cells(np.array([[0, 0, 1, 1]]), np.ones((1, 1)), (1, 2)).tolist() == [[[1, 0]]]


def test_a_score_is_the_margin_of_the_crop_that_was_cut_out(vit: Model, picture: Image.Image) -> None:
    picture = picture.crop((0, 0, 40, 24))
    found, maps = by_grid(Asked(vit, ["a dog", "a cat"], NEUTRAL, False), picture, grid=4, sizes=(2, 3))
    texts, ground = vit.encode_prompts(["a dog", "a cat"]), vit.encode_prompts(NEUTRAL).mean(axis=0)
    crops = [picture.resize((32, 32), Image.Resampling.BICUBIC, box=tuple(box)) for box in found.boxes]
    expected = (vit.encode_images(crops, view="squash") * (texts[found.labels] - ground)).sum(axis=1)
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    assert found.evidence[0] == "window of 2 x 2 cells" and found.evidence[-1] == "window of 3 x 3 cells"
    assert maps.values.shape == (2, 4, 4)
    np.testing.assert_allclose(maps.frame.to_original([1, 2, 3, 4]), [10, 12, 30, 24])


def test_a_flipped_picture_flips_boxes_and_map_exactly(vit: Model, picture: Image.Image) -> None:
    """With an encoder that does not know left from right: what is left is the geometry."""

    def sided(images: object) -> np.ndarray:
        return np.array([np.asarray(image, float).mean() for image in images])  # type: ignore[attr-defined]

    cells, width = grid_windows(5, (2,)), 5
    turned = picture.resize((40, 40)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    boxes = cells * 8
    ours = sided(picture.resize((40, 40)).crop(tuple(map(int, box))) for box in boxes)
    other = sided(turned.crop(tuple(map(int, box))) for box in boxes)
    mirrored = np.stack([width - cells[:, 2], cells[:, 1], width - cells[:, 0], cells[:, 3]], axis=1)
    place = [cells.tolist().index(window) for window in mirrored.tolist()]
    np.testing.assert_allclose(ours, other[place])
    np.testing.assert_array_equal(
        over_cells(cells, ours[:, None], (5, 5))[0], over_cells(cells, other[:, None], (5, 5))[0, :, ::-1]
    )
