"""`plots.against_cost`: every point, interval and line is where its numbers are."""

from __future__ import annotations

import numpy as np
import pytest

from clipviz import plots
from clipviz.errors import InputError

NAMES = ["gradcam", "기울기", "occlusion"]
COSTS, VALUES = [1.4, 1.4, 50.0], [0.54, 0.55, 0.6]
LIMITS = [[0.5, 0.58], [0.5, 0.6], [0.55, 0.65]]


def test_points_intervals_and_lines_are_drawn_where_they_are() -> None:
    figure = plots.against_cost(NAMES, COSTS, VALUES, limits=LIMITS, lines={"chance": 0.25}, title="Which map")
    (axes,) = figure.axes
    points = [tuple(float(v[0]) for v in line.get_data()) for line in axes.lines if line.get_marker() == "o"]
    assert points == list(zip(COSTS, VALUES, strict=True))
    bars = [
        list(line.get_ydata()) for line in axes.lines if line.get_marker() != "o" and len(set(line.get_xdata())) == 1
    ]
    assert bars == LIMITS
    assert [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"] == [0.25]
    assert axes.get_xscale() == "log"
    assert {*NAMES, "chance 25.0%", "Which map"} <= {text.get_text() for text in figure.texts}
    low, high = axes.get_ylim()
    assert low < 0.25 and high > 0.65


def test_names_of_neighbours_do_not_touch() -> None:
    figure = plots.against_cost([f"method {i}" for i in range(12)], [2.0] * 12, np.full(12, 0.5))
    heights = sorted(text.get_position()[1] for text in figure.texts if text.get_text().startswith("method"))
    assert np.diff(heights).min() * figure.get_size_inches()[1] > 0.1


def test_numbers_that_are_no_shares_are_told_as_they_are() -> None:
    figure = plots.against_cost(["a"], [3], [2.5], limits=[[np.nan, np.nan]], lines={"chance": 1}, percent=False)
    assert "chance 1" in {text.get_text() for text in figure.texts}
    assert plots.png(figure) == plots.png(figure)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([], [], []), "1 to 60 points"),
        ((["a"], [1, 2], [0.5]), "as many costs"),
        ((["a"], [0], [0.5]), "above 0"),
        ((["a"], [1], [np.nan]), "finite"),
    ],
)
def test_bad_input(arguments: tuple, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plots.against_cost(*arguments)
