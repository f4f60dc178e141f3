"""The same figures measured in several ways."""

from __future__ import annotations

import numpy as np
import pytest

from clipviz import plots
from clipviz.errors import InputError


def points(axes) -> list[tuple[float, float]]:
    return [tuple(point) for each in axes.collections for point in np.round(each.get_offsets(), 6).tolist()]


def test_other_wordings_are_points_and_the_written_one_a_diamond_on_its_bar() -> None:
    figure = plots.spread_chart(["a", "말"], [[0.1, np.nan], [0.3, 0.2]], [[0.1, 0.0, 0.2], [0.2, 0.1, 0.3]])
    (axes,) = figure.axes
    assert sorted(x for x, _ in points(axes)) == [10.0, 20.0, 30.0]
    assert [5.0 * round(x / 5) for x in axes.lines[-1].get_xdata()] == [10.0, 20.0]
    bars = [tuple(np.round(line.get_xdata(), 6)) for line in axes.lines]
    assert (0.0, 20.0) in bars and (10.0, 30.0) in bars
    assert {"a", "말", "other wordings"} <= {text.get_text() for text in figure.texts}


def test_ways_stand_one_above_the_other_at_one_name() -> None:
    ways = {"crude": [[0.1, 0.0, 0.2], [0.2, 0.1, 0.3]], "adjusted": [[0.05, -0.1, 0.2], [np.nan] * 3]}
    figure = plots.compared(["a", "b"], ways, notes=["disagree", ""], heads={0: "H"}, title="T")
    (axes,) = figure.axes
    assert sorted(x for x, _ in points(axes)) == [5.0, 10.0, 20.0]
    places = {round(x): y for x, y in points(axes)}
    assert places[10] < places[5] < places[20], "y grows downwards"
    assert {"crude", "adjusted", "disagree", "H", "T"} <= {text.get_text() for text in figure.texts}


def test_a_figure_without_other_wordings_can_be_drawn() -> None:
    plots.png(plots.spread_chart(["a"], np.empty((1, 0)), [[0.1, 0.0, 0.2]], percent=False))


def test_bad_input() -> None:
    row = [[0.1, 0.0, 0.2]]
    for call in (
        lambda: plots.spread_chart([], np.empty((0, 1)), np.empty((0, 3))),
        lambda: plots.spread_chart(["a"], [0.1], row),
        lambda: plots.spread_chart(["a"], [[0.1]], [[0.1, 0.2]]),
        lambda: plots.compared(["a"], {}),
        lambda: plots.compared(["a"], dict.fromkeys("abcd", row)),
        lambda: plots.compared(["a", "b"], {"crude": row}),
        lambda: plots.compared(["a"], {"crude": [[0.1]]}),
        lambda: plots.compared(["a"] * 61, {"crude": row * 61}),
    ):
        with pytest.raises(InputError):
            call()
