"""Curves of what is learnt against what it costs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from clipviz import plots
from clipviz.errors import InputError
from clipviz.plots.efficiency import efficiency

CURVES: dict[str, Any] = {
    "one way": ({"pictures": [10, 20], "seconds": [[1, 2], [3, 4]]}, [[0.1, 0.2], [0.3, 0.4]]),
    "another": ({"pictures": [10, 20], "seconds": [5, 6]}, [[0.1, 0.11]]),
}


def test_each_panel_has_every_seed_and_their_mean() -> None:
    figure = efficiency(CURVES, chance=0.05, title="T", unit="top-1")
    first, second = figure.axes
    lines = [[np.asarray(v, dtype=float).tolist() for v in line.get_data()] for line in second.lines]
    assert [[1, 2], [0.1, 0.2]] in lines and [[3, 4], [0.3, 0.4]] in lines
    assert any(np.allclose(line, [[2, 3], [0.2, 0.3]]) for line in lines)
    assert any(np.allclose(line, [[10, 20], [0.2, 0.3]]) for line in (line.get_data() for line in first.lines))
    assert any(np.allclose(line.get_ydata(), 0.05) for line in first.lines)
    texts = {text.get_text() for text in figure.texts}
    assert {"one way", "another", "chance 5.00%", "pictures", "seconds", "T", "top-1"} <= texts


def test_names_do_not_touch_and_all_stands_on_the_paper() -> None:
    close = {f"$way_{i}$": ({"pictures": [1, 2]}, [[0.01, 0.01 + i / 1e4]]) for i in range(6)}
    figure = efficiency(close, chance=0.01, title="long " * 60, caption="words " * 300)
    figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in figure.texts}
    for said, box in boxes.items():
        inside = box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 and box.y1 <= figure.bbox.height
        assert inside, said
    names = sorted((box for said, box in boxes.items() if said.startswith(("$way", "chance"))), key=lambda box: box.y0)
    assert len(names) == 7
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(names))


def test_the_same_content_gives_the_same_bytes() -> None:
    assert plots.png(efficiency(CURVES)) == plots.png(efficiency(CURVES))


@pytest.mark.parametrize(
    ("curves", "says"),
    [
        ({}, "got 0"),
        ({str(i): ({"x": [1]}, [[0.1]]) for i in range(7)}, "got 7"),
        ({"a": ({"x": [1]}, [[0.1]]), "b": ({"y": [1]}, [[0.1]])}, "same axes"),
        ({"a": ({}, [[0.1]])}, "same axes"),
        ({"a": ({"x": [1]}, [0.1])}, r"seeds x points, got the shape \[1\]"),
        ({"a": ({"x": [1, 2]}, [[0.1]])}, r"got the shape \[2\]"),
        ({"a": ({"x": [np.inf]}, [[0.1]])}, "finite"),
        ({"a": ({"x": [1]}, [[40]])}, "from 0 to 1"),
    ],
)
def test_bad_input(curves: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        efficiency(curves)
