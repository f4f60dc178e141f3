"""Where the words of boxes stand in a picture: within it, beside their box, never over each other."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from matplotlib.text import Text
from numpy.typing import NDArray

from clipviz import fonts
from clipviz.plots.canvas import Canvas

# Marks that turn the direction of a line: one in a label would turn its score as well.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FINE = 1e-9


def one_line(text: str, longest: int = 150) -> str:
    """The first ``longest`` letters of ``text``, plain: no control characters, no marks of direction, single spaces."""
    plain = _TURNING.sub("", text[:longest] + "…" * (len(text) > longest))
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in plain).split())


class Ruler:
    """Measures words as they will be drawn, in inches, with the fonts that their letters need."""

    def __init__(self) -> None:
        self._canvas = Canvas(1, 1)
        self._known: dict[tuple[str, float], tuple[float, float]] = {}

    def __call__(self, text: str, size: float) -> tuple[float, float]:
        """(width, height) of one line at ``size`` points."""
        if (text, size) not in self._known:
            drawn = text.translate({ord(c): fonts.PLACEHOLDER for c in fonts.missing(text)})
            mark = Text(0, 0, drawn, fontsize=size, fontfamily=fonts.families(text), parse_math=False, usetex=False)
            mark.set_figure(self._canvas)
            box = mark.get_window_extent(self._canvas.canvas.get_renderer())  # type: ignore[attr-defined]
            self._known[text, size] = box.width / self._canvas.dpi, box.height / self._canvas.dpi
        return self._known[text, size]

    def cut(self, text: str, size: float, inches: float) -> str:
        """``text``, with an ellipsis in place of what is wider than ``inches``; empty where nothing fits."""
        if self(text, size)[0] <= inches:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self(text[:middle] + "…", size)[0] <= inches else (low, middle - 1)
        return text[:low].rstrip() + "…" if low else ""


def free_spot(
    box: NDArray[np.float64],
    size: tuple[float, float],
    room: tuple[float, float],
    taken: NDArray[np.float64],
    others: NDArray[np.float64],
) -> tuple[float, float] | None:
    """Where a tag of ``size`` may stand: its top left corner, or None where ``room`` has no place left.

    ``box`` [4], ``others`` [n, 4] (all boxes) and ``taken`` [k, 4] (tags that stand) are (x0, y0, x1, y1) in one unit,
    ``room`` is (width, height) from (0, 0). First the corners of the box are tried, outside and inside, and the one
    that hides least of any box is taken; then the nearest place that is free.
    """
    (width, height), (x0, y0, x1, y1) = size, box
    if width > room[0] + _FINE or height > room[1] + _FINE:
        return None
    rows = [y0 - height, y0, y1 - height, y1]
    corners = np.array([(x, y) for x in (x0, x1 - width) for y in rows])
    corners = _free(np.clip(corners, 0, (room[0] - width, room[1] - height)), size, taken)
    if len(corners):
        hidden = _hidden(corners, size, others)
        order = np.arange(len(corners)) * 1e-3  # of equals, the first: above on the left, where one looks first
        x, y = corners[(np.round(hidden, 3) + order).argmin()]
        return float(x), float(y)
    across = np.linspace(0, room[0] - width, max(2, min(60, int(room[0] / width * 5))))
    down = np.linspace(0, room[1] - height, max(2, min(90, int(room[1] / height * 3))))
    places = _free(np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2), size, taken)
    if not len(places):
        return None
    x, y = places[_away(places, size, box).argmin()]
    return float(x), float(y)


def leader(
    spot: tuple[float, float], size: tuple[float, float], box: NDArray[np.float64]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The line from a tag to its box where they do not touch: (from, to)."""
    places = np.array([spot])
    if _away(places, size, box)[0] <= _FINE:
        return None
    low, high = np.array(spot), np.array(spot) + size
    start = np.clip((box[:2] + box[2:]) / 2, low, high)
    end = np.clip(start, box[:2], box[2:])
    return (float(start[0]), float(start[1])), (float(end[0]), float(end[1]))


def _rectangles(places: NDArray[np.float64], size: tuple[float, float]) -> NDArray[np.float64]:
    return np.concatenate([places, places + np.asarray(size)], axis=-1)


def _shared(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas [n, m] that rectangles a [n, 4] and b [m, 4] have in common."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=-1)


def _free(places: NDArray[np.float64], size: tuple[float, float], taken: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(taken):
        return places
    return places[(_shared(_rectangles(places, size), taken) <= _FINE).all(axis=1)]


def _hidden(places: NDArray[np.float64], size: tuple[float, float], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of boxes a tag would hide, as the sum of their shares: a small box counts as much as a large one."""
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), _FINE)
    return (_shared(_rectangles(places, size), boxes) / areas).sum(axis=1)


def _away(places: NDArray[np.float64], size: tuple[float, float], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distance [n] from tags to their box, 0 where they touch."""
    tags = _rectangles(places, size)
    gap = np.maximum(np.maximum(tags[:, :2] - box[2:], box[:2] - tags[:, 2:]), 0)
    return np.hypot(gap[:, 0], gap[:, 1])
