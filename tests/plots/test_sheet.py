"""Rows and columns of overlays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipviz import plots
from clipviz.errors import InputError

PICTURE = np.full((40, 60, 3), 120, np.uint8)
WEAK, STRONG = np.zeros((40, 60)), np.zeros((40, 60))
WEAK[:20], STRONG[:20] = 0.1, 0.4
STRONG[30:] = -0.2


def cell(values: np.ndarray | None = None, **more: Any) -> dict[str, Any]:
    return {"picture": PICTURE, "values": values, **more}


def texts(figure: plots.Canvas) -> str:
    return "\n".join(t.get_text() for t in figure.texts)


def first_pixel(figure: plots.Canvas, axes: int) -> list[int]:
    return np.asarray(figure.axes[axes].images[0].get_array())[0, 0].tolist()


def test_one_scale_for_all_is_the_default_and_is_said() -> None:
    figure = plots.grid([[cell(WEAK), cell(STRONG)]])
    assert "One scale for all pictures." in texts(figure)
    assert len(figure.axes) == 3  # two pictures, one bar
    assert first_pixel(figure, 0) == plots.rgba(PICTURE, WEAK, limits=0.4)[0, 0].tolist()
    assert first_pixel(figure, 1) == plots.rgba(PICTURE, STRONG, limits=0.4)[0, 0].tolist()


def test_own_scales_are_written_under_each_picture() -> None:
    figure = plots.grid([[cell(WEAK), cell(STRONG)]], scale="own")
    assert "cannot be compared" in texts(figure)
    assert "scale 0 to 0.1" in texts(figure) and "scale −0.4 to +0.4" in texts(figure)
    assert len(figure.axes) == 2
    assert first_pixel(figure, 0) == plots.rgba(PICTURE, WEAK)[0, 0].tolist()


def test_a_scale_for_each_row() -> None:
    figure = plots.grid([[cell(WEAK), cell(WEAK)], [cell(STRONG)]], scale="row")
    assert "One scale for each row." in texts(figure)
    assert len(figure.axes) == 5
    assert first_pixel(figure, 0) == plots.rgba(PICTURE, WEAK)[0, 0].tolist()


def test_limits_fix_the_scale_and_values_beyond_them_show() -> None:
    figure = plots.grid([[cell(WEAK), cell(STRONG)]], limits=0.2)
    labels = [t.get_text() for t in figure.axes[-1].get_yticklabels()]
    assert labels[-1] == "≥ +0.2" and labels[0] == "−0.2"


def test_names_and_oddities_are_written() -> None:
    figure = plots.grid(
        [[cell(), cell(STRONG, title="cosine 0.2", mark=(3, 4))], [None, cell(np.zeros((40, 60)))]],
        rows=["first", "second"], columns=["the picture", "a dog"], title="Sheet", caption="Made up.",
    )  # fmt: skip
    for words in ("first", "second", "the picture", "a dog", "Sheet", "Made up.", "cosine 0.2", "constant: 0"):
        assert words in texts(figure)
    assert first_pixel(figure, 0) == [120, 120, 120]


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (plots.png(plots.grid([[cell(WEAK), cell(STRONG)]], rows=["a"])) for _ in range(2))
    assert first == second


def test_pictures_of_all_shapes_stay_inside_the_paper() -> None:
    shapes = ((40, 60), (300, 20), (20, 300))
    row = [{"picture": np.zeros((*s, 3), np.uint8), "values": np.arange(np.prod(s)).reshape(s)} for s in shapes]
    figure = plots.grid([row, row[:1]])
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= 1 and b.y1 <= 1 for b in boxes)
    plots.png(figure)


@pytest.mark.parametrize(
    ("cells", "options", "words"),
    [
        ([], {}, "at least one"),
        ([[None]], {}, "at least one"),
        ([[{"image": PICTURE}]], {}, "unknown key 'image'"),
        ([[{"values": WEAK}]], {}, "no 'picture'"),
        ([[cell(WEAK)]], {"rows": ["a", "b"]}, "2 names for 1 rows"),
        ([[cell(WEAK)]], {"columns": []}, "0 names for 1 columns"),
        ([[cell(WEAK)]], {"scale": "shared"}, "'all', 'row' or 'own'"),
        ([[cell(WEAK)]], {"scale": "own", "limits": 1}, "leave it out"),
        ([[cell(WEAK[:3])]], {}, "does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(cells: list[Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        plots.grid(cells, **options)
