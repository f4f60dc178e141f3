"""The reliability figure: a point a bin, its limits, the counts below, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from clipviz.errors import InputError
from clipviz.plots import png, reliability_diagram


def test_points_limits_and_counts_are_where_they_belong() -> None:
    nan = np.nan
    figure = reliability_diagram([0.1, nan, 0.7], [0.2, nan, 0.6], [10, 0, 12_345],
                                 [[0.05, 0.4], [nan, nan], [0.5, 0.7]], title="개", unit="picture")  # fmt: skip
    above, below = figure.axes
    diagonal, points = above.lines
    assert points.get_xydata().tolist() == [[0.1, 0.2], [0.7, 0.6]]
    assert np.array(diagonal.get_xydata()).tolist() == [[0, 0], [1, 1]]
    assert [part.tolist() for part in above.collections[0].get_segments()] == [
        [[0.1, 0.05], [0.1, 0.4]], [[0.7, 0.5], [0.7, 0.7]],
    ]  # fmt: skip
    assert [bar.get_height() for bar in below.patches] == [10, 0, 12_345]
    assert [bar.get_x() for bar in below.patches] == pytest.approx([0, 1 / 3, 2 / 3])
    assert {text.get_text() for text in below.texts} == {"10", "12k"}
    assert any("share of pictures that are right" in text.get_text() for text in figure.texts)
    assert png(figure)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0.1], [0.2, 0.3], [1]), "as many probabilities"),
        (([0.1], [0.2], [0]), "nothing to draw"),
        (([0.1], [1.2], [3]), "from 0 to 1"),
        (([0.1], [0.2], [3], [[0.1, 0.2, 0.3]]), "edges and limits"),
    ],
)
def test_refuses(arguments: tuple, says: str) -> None:
    with pytest.raises(InputError, match=says):
        reliability_diagram(*arguments)
