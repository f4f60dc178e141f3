"""`plots.scatter`: points where they are, a colour and a shape for each group, and no group over the others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex

from clipviz import plots
from clipviz.errors import InputError

POINTS = np.random.default_rng(0).standard_normal((240, 2))


def test_every_point_has_the_look_of_its_group() -> None:
    groups = [("작은", "big", None)[i % 3] for i in range(240)]
    figure = plots.scatter(POINTS, groups=groups, name="size", title="Which", caption="What", axes_names=("x", "y"))
    looks: dict[tuple, set] = {}
    for part in figure.axes[0].collections:
        look = (to_hex(part.get_facecolor()[0]), part.get_paths()[0].vertices.tobytes())
        looks.setdefault(look, set()).update(map(tuple, part.get_offsets().tolist()))
    assert sorted(map(sorted, looks.values())) == sorted(sorted(map(tuple, POINTS[i::3].tolist())) for i in range(3))
    means = {tuple(float(v[0]) for v in line.get_data()) for line in figure.axes[0].lines}
    assert means == {tuple(POINTS[i::3].mean(axis=0).tolist()) for i in range(2)}
    assert not plots.scatter(POINTS, groups=groups, equal=False).axes[0].lines
    said = {text.get_text() for text in figure.texts}
    assert {"작은", "big", "not known", "80", "size", "Which", "What", "x", "y"} <= said


def test_groups_are_drawn_in_turns() -> None:
    """Sorted data: the last group would lie over the first one everywhere."""
    figure = plots.scatter(POINTS, groups=["a"] * 120 + ["b"] * 120)
    colours = [to_hex(part.get_facecolor()[0]) for part in figure.axes[0].collections]
    assert sum(one != other for one, other in pairwise(colours)) > 12
    orders = [part.get_zorder() for part in figure.axes[0].collections]
    assert orders == sorted(orders)


def test_the_seven_largest_groups_have_a_colour_and_counts_may_be_of_more() -> None:
    groups = [f"{i % 10}" for i in range(240)]
    counts: dict[str | None, int] = {f"{i}": 1000 + i for i in range(10)}
    said = [text.get_text() for text in plots.scatter(POINTS, groups=groups, counts=counts).texts]
    assert "3 others" in said and "3,003" in said and "1,009" in said and "1,000" not in said


def test_values_have_a_bar_and_those_not_known_are_marked() -> None:
    values = np.arange(240.0)
    values[:3] = np.nan
    figure = plots.scatter(POINTS, values=values, name="age")
    assert "237 known, 3 not (×)" in {text.get_text() for text in figure.texts}
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["3", "121", "239"]
    assert plots.png(figure) == plots.png(figure)


@pytest.mark.parametrize(
    ("points", "options", "said"),
    [
        ([], {}, "1 to 100,000"),
        ([[1, 2, 3]], {}, "n, 2"),
        ([[1, np.nan]], {}, "finite"),
        ([[1, 2]], {"groups": ["a", "b"]}, "as many"),
        ([[1, 2]], {"groups": ["a"], "values": [1.0]}, "both"),
        ([[1, 2]], {"values": [np.nan]}, "No value"),
    ],
)
def test_bad_input(points: list, options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plots.scatter(points, **options)
