"""Tables whose cells are coloured by their values."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from clipviz import plots
from clipviz.errors import InputError
from clipviz.plots.heat_cells import _contrast


def test_a_higher_value_is_darker_and_each_cell_has_its_number() -> None:
    figure = plots.heat_table([[0.0, 0.25], [0.5, np.nan]], ["도둑", "b"], ["Female", "Male"], title="T", caption="C")
    (axes,) = figure.axes
    figure.draw_without_rendering()
    cells = axes.collections[0].get_facecolors()[:, :3].sum(axis=1)
    assert cells[0] > cells[1] > cells[2]
    texts = [text.get_text() for text in (*figure.texts, *axes.texts)]
    assert {"도둑", "b", "Female", "Male", "T", "C", "0.0", "25.0", "50.0", "–"} <= set(texts)


def test_both_signs_have_colours_of_their_own() -> None:
    axes = plots.heat_table([[-1.0, 0.0, 1.0]], ["a"], ["x", "y", "z"], percent=False).axes[0]
    axes.figure.draw_without_rendering()
    cold, middle, warm = axes.collections[0].get_facecolors()[:, :3]
    assert cold[2] > cold[0] and warm[0] > warm[2] and middle.min() > 0.85


def test_long_names_and_many_columns_stay_on_the_paper() -> None:
    long = "$x$ " + "Middle Eastern x Female " * 9
    figure = plots.heat_table(np.full((2, 14), 0.3), [long] * 2, [long] * 14, title=long)
    figure.draw_without_rendering()
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 and box.y1 <= figure.bbox.height


def test_nothing_at_all_and_undefined_alone() -> None:
    plots.png(plots.heat_table([[np.nan]], ["a"], ["b"]))
    for rows, columns, values in (
        ([], [], np.zeros((0, 0))),
        (["a"], ["b"], [[1, 2]]),
        (["a"] * 61, ["b"], [[0]] * 61),
    ):
        with pytest.raises(InputError):
            plots.heat_table(values, rows, columns)
    with pytest.raises(InputError, match="texts"):
        plots.heat_table([[1]], ["a"], ["b"], texts=[["x", "y"]])


def test_every_number_can_be_read_on_its_cell() -> None:
    for values in (np.linspace(0, 1, 24).reshape(4, 6), np.linspace(-1, 1, 24).reshape(4, 6)):
        axes = plots.heat_table(values, list("abcd"), list("uvwxyz")).axes[0]
        axes.figure.draw_without_rendering()
        cells = axes.collections[0].get_facecolors()[:, :3]
        assert len(axes.texts) == len(cells)
        for text, cell in zip(axes.texts, cells, strict=True):
            assert _contrast(to_rgb(text.get_color()), cell) >= 4.5, (text.get_text(), cell)
