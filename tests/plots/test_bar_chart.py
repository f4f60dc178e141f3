"""Bars of shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipviz import plots
from clipviz.errors import InputError


def test_each_bar_is_its_share_and_the_first_is_on_top() -> None:
    figure = plots.bars(
        ["a dog", "개"], [0.25, 1], notes=["n = 4", "n = 2"], lines={"chance": 0.5}, title="T", unit="u"
    )
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.25, 1]
    low, high = (bar.get_y() for bar in axes.patches)
    assert axes.transData.transform((0, low))[1] > axes.transData.transform((0, high))[1]
    assert axes.lines[0].get_xdata()[0] == 0.5
    texts = [text.get_text() for text in figure.texts]
    assert {"a dog", "개", "n = 4", "T", "u", "dashed: chance 50.0%"} <= set(texts)


def test_names_are_plain_text_inside_the_paper() -> None:
    figure = plots.bars(["$x_1$ " + "very long " * 20] * 3, [0, 0.5, 1], caption="words " * 100)
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text.get_text()
    assert any(text.get_text().startswith("$x_1$") for text in figure.texts)


def test_the_same_content_gives_the_same_bytes() -> None:
    assert plots.png(plots.bars(["a"], [0.3])) == plots.png(plots.bars(["a"], [0.3]))


@pytest.mark.parametrize(
    ("names", "shares", "more", "says"),
    [
        ([], [], {}, "got 0"),
        (["a"] * 201, np.zeros(201), {}, "got 201"),
        (["a"], [0.1, 0.2], {}, r"shape \[2\]"),
        (["a"], [0.1], {"notes": ["x", "y"]}, "notes"),
        (["a"], [40], {}, "from 0 to 1"),
        (["a"], [np.nan], {}, "from 0 to 1"),
        (["a"], [0.5], {"lines": {"chance": -1}}, "from 0 to 1"),
    ],
)
def test_bad_input(names: list[str], shares: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        plots.bars(names, shares, **more)
