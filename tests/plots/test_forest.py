"""Intervals, one a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipviz import plots
from clipviz.errors import InputError


def test_points_and_limits_stand_at_their_values_in_percent() -> None:
    figure = plots.intervals(["a", "남자"], [0.1, -0.2], [0.05, -0.3], [0.15, -0.1], looks=["strong", "quiet"],
                             legend={"strong": "found", "fragile": "fragile"}, heads={0: "H"}, notes=["n", ""],
                             title="T", unit="u", caption="C")  # fmt: skip
    (axes,) = figure.axes
    drawn = [tuple(np.round(line.get_xdata(), 9)) for line in axes.lines]
    for wanted in ((5.0, 15.0), (-30.0, -10.0), (10.0,), (-20.0,), (0, 0)):
        assert wanted in drawn
    texts = [text.get_text() for text in figure.texts]
    assert {"a", "남자", "H", "n", "T", "u", "C", "found"} <= set(texts) and "fragile" not in texts
    first, second = (line.get_ydata()[0] for line in axes.lines if tuple(line.get_xdata()) in ((10.0,), (-20.0,)))
    assert axes.transData.transform((0, first))[1] > axes.transData.transform((0, second))[1], "the first is on top"


def test_a_limit_that_there_is_not_ends_in_an_arrow_at_the_edge() -> None:
    figure = plots.intervals(["a", "b"], [1.0, np.nan], [0.5, np.nan], [np.inf, np.nan], percent=False, line=1.0)
    (axes,) = figure.axes
    arrows = [line for line in axes.lines if line.get_marker() == ">"]
    assert [line.get_xdata()[0] for line in arrows] == [axes.get_xlim()[1]]
    assert sum(line.get_marker() == "o" for line in axes.lines) == 1, "what is undefined has no point"


def test_texts_are_plain_and_inside_the_paper() -> None:
    long = "$x_1$ " + "very long " * 20
    figure = plots.intervals([long] * 3, [0, 0.5, 1], [0, 0, 0], [1, 1, 1], notes=[long] * 3, heads={1: long},
                             title=long, caption=long)  # fmt: skip
    figure.draw_without_rendering()
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 and box.y1 <= figure.bbox.height


def test_the_same_content_gives_the_same_bytes() -> None:
    first, second = (plots.png(plots.intervals(["a"], [0.1], [0.0], [0.2])) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("names", "numbers", "more", "says"),
    [
        ([], [], {}, "got 0"),
        (["a"] * 121, np.zeros(121), {}, "got 121"),
        (["a"], [0.1, 0.2], {}, r"\[2\]"),
        (["a"], [0.1], {"notes": ["x", "y"]}, "2 notes"),
        (["a"], [0.1], {"looks": ["loud"]}, "'loud'"),
        (["a"], [0.1], {"looks": ["plain", "plain"]}, r"\[2\]"),
    ],
)
def test_bad_input(names: list[str], numbers: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        plots.intervals(names, numbers, numbers, numbers, **more)
