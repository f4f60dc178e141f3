"""Precision over recall: a curve a name, its name above it in its colour, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from clipviz.errors import InputError
from clipviz.plots import png, precision_recall


def test_curves_and_their_names() -> None:
    recall = np.linspace(0, 1, 5)
    figure = precision_recall({"IoU 0.5": (recall, 1 - recall), "개": (recall, 0.5 * recall)}, title="boxes")
    one, two = figure.axes[0].lines
    assert np.asarray(one.get_ydata()).tolist() == (1 - recall).tolist() and one.get_color() != two.get_color()
    named = {text.get_text(): text.get_color() for text in figure.texts}
    assert named["IoU 0.5"] == one.get_color() and named["개"] == two.get_color()
    assert png(figure)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("curves", "says"),
    [({}, "1 to 7 curves"), ({"a": ([0, 1], [1])}, "as many recalls"), ({"a": ([0, 1], [1, np.nan])}, "from 0 to 1")],
)
def test_refuses(curves: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        precision_recall(curves)
