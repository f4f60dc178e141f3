"""Curves over a common axis: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from clipviz import plots
from clipviz.errors import InputError

LOSS = {"name": "loss", "lines": {"loss": ([0, 8, 16], [3.0, 2.0, 1.5])}}
DEV = {
    "name": "accuracy on dev",
    "lines": {"faces": ([8, 16], [0.5, 0.7]), "사진": ([16], [0.2])},
    "levels": {"faces": 0.5, "사진": 0.01},
    "level": "chance",
    "scale": "share",
}


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_every_point_and_level_is_drawn() -> None:
    loss, dev = plots.lines([LOSS, DEV], x="pairs seen", title="A run").axes
    assert np.array_equal(loss.lines[0].get_xydata(), [[0, 3.0], [8, 2.0], [16, 1.5]])
    faces, chance, korean, low = dev.lines
    assert np.array_equal(faces.get_xydata(), [[8, 0.5], [16, 0.7]]) and list(korean.get_xdata()) == [16]
    assert [list(level.get_ydata()) for level in (chance, low)] == [[0.5, 0.5], [0.01, 0.01]]
    assert chance.get_color() == faces.get_color() != korean.get_color() == low.get_color()
    assert loss.get_xlim() == dev.get_xlim()


def test_the_last_values_and_chance_stand_in_words() -> None:
    said = words(plots.lines([LOSS, DEV], x="pairs seen", title="A run"))
    assert {"A run", "loss", "1.5", "faces 70.0% (chance 50.0%)", "사진 20.0% (chance 1.0%)"} <= set(said)
    assert said.count("pairs seen") == 2


def test_a_gap_is_left_where_a_value_is_none_and_the_last_is_the_last_that_is() -> None:
    gap = {"name": "loss", "lines": {"loss": ([0, 8, 16], [3.0, np.inf, np.nan])}}
    figure = plots.lines([gap], x="pairs")
    assert list(np.isnan(np.asarray(figure.axes[0].lines[0].get_ydata()))) == [False, True, True]
    assert "3" in words(figure)
    nothing = plots.lines([{"name": "loss", "lines": {"loss": ([0], [np.nan])}}], x="pairs")
    assert "–" in words(nothing)
    plots.png(nothing)


def test_large_and_small_numbers_are_short() -> None:
    big = {"name": "n", "lines": {"n": ([0, 1_250_000], [0, 1_250_000])}}
    figure = plots.lines([big], x="pairs")
    plots.png(figure)
    assert "1.25M" in words(figure) and "1M" in [t.get_text() for t in figure.axes[0].get_xticklabels()]


@pytest.mark.parametrize(
    ("panels", "says"),
    [
        ([], "at least one panel"),
        ([{**LOSS, "scales": "log"}], "Did you mean 'scale'"),
        ([{**LOSS, "scale": "cubic"}], "'linear', 'log', 'share'"),
        ([{"name": "loss", "lines": {}}], "has no lines"),
        ([{"name": "loss", "lines": {"a": ([0, 1], [1.0])}}], "got 2 and 1"),
        ([{**LOSS, "levels": {"losses": 1.0}}], "Did you mean 'loss'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(panels: list[dict[str, object]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        plots.lines(panels, x="pairs")


def test_the_same_curves_give_the_same_bytes() -> None:
    first, second = (plots.png(plots.lines([LOSS, DEV], x="pairs seen")) for _ in range(2))
    assert first == second
