"""The figure of boxes: where they stand, what their tags say, and that tags can be read."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from clipviz import plots
from clipviz.errors import InputError
from clipviz.plots.boxes import COLOURS, MOST, STROKES, colour_of
from clipviz.plots.tags import Ruler, free_spot, one_line

NAMES = ["a dog", "고양이", "a bicycle that somebody left at the side of the road", "$x_1$", "a boat"]


def panel(size: tuple[int, int], count: int, seed: int = 0, **more: object) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    extent = rng.uniform(0.05, 0.5, (count, 2)) * size
    corner = rng.uniform(0, 1, (count, 2)) * (np.array(size) - extent)
    boxes = np.concatenate([corner, corner + extent], axis=1)
    picture = np.full((size[1], size[0], 3), 90, np.uint8)
    labels, scores = rng.integers(0, len(NAMES), count), rng.uniform(0, 1, count)
    return {"picture": picture, "boxes": boxes, "labels": labels, "scores": scores, **more}


def words(figure: plots.Canvas) -> str:
    """All that stands beside the pictures, on one line."""
    return " ".join(" ".join(t.get_text() for t in figure.texts).split())


@pytest.mark.parametrize(
    ("size", "count"), [((64, 64), 5), ((2000, 1500), 20), ((300, 60), 12), ((40, 900), 8), ((3000, 8), 3)]
)
def test_tags_stay_in_the_picture_and_off_each_other(size: tuple[int, int], count: int) -> None:
    figure = plots.boxed([panel(size, count)], NAMES)
    figure.canvas.draw()
    axes = figure.axes[0]
    room, tags = axes.get_window_extent(), [t.get_window_extent() for t in axes.texts]
    for tag in tags:
        assert room.x0 - 0.5 <= tag.x0 and tag.x1 <= room.x1 + 0.5
        assert room.y0 - 0.5 <= tag.y0 and tag.y1 <= room.y1 + 0.5
    for a, b in itertools.combinations(tags, 2):
        assert min(a.x1, b.x1) <= max(a.x0, b.x0) or min(a.y1, b.y1) <= max(a.y0, b.y0)
    missing = count - len(tags)
    assert missing == 0 if min(size) >= 64 else tags or missing == count
    assert (f"{missing} of {count} boxes have no tag" in words(figure)) == bool(missing)
    for text in axes.texts:  # a tag holds its words
        box = text.get_window_extent()
        assert any(
            (held := p.get_window_extent()).x0 - 1 <= box.x0 and box.x1 <= held.x1 + 1 and held.contains(box.x0, box.y0)
            for p in axes.patches
            if p.get_fill()
        )


def test_boxes_are_drawn_where_they_are() -> None:
    cell = {"picture": np.zeros((60, 90, 3), np.uint8), "labels": [0], "scores": [0.5]}
    plain, drawn = (
        np.asarray(Image.open(io.BytesIO(plots.png(plots.boxed([{**cell, **given}], ["a dog"])))))
        for given in ({"boxes": [[0, 0, 0, 0]]}, {"boxes": [[20, 30, 50, 55]]})
    )
    assert plain.shape == drawn.shape
    figure = plots.boxed([{**cell, "boxes": [[20, 30, 50, 55]]}], ["a dog"])
    edge = next(p for p in figure.axes[0].patches if isinstance(p, Rectangle))
    assert edge.get_bbox().extents.tolist() == [20, 30, 50, 55]
    room = figure.axes[0].get_window_extent()
    x, y = round(room.x0 + 50 / 90 * room.width), round(drawn.shape[0] - room.y1 + 45 / 60 * room.height)
    blue = np.array([int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)])
    assert np.abs(drawn[y, x].astype(int) - blue).max() < 60 and np.abs(plain[y, x].astype(int)).max() < 5


def test_large_pictures_are_drawn_small_and_boxes_in_place() -> None:
    big = {**panel((4200, 2100), 0), "boxes": [[2100, 0, 4200, 2100]], "labels": [1], "scores": [0.4]}
    axes = plots.boxed([big], NAMES).axes[0]
    assert axes.images[0].get_array().shape[1] <= 1400
    assert np.array(axes.patches[0].get_bbox().extents) / axes.get_xlim()[1] == pytest.approx([0.5, 0, 1, 0.5])


def test_one_label_has_one_look_in_all_pictures() -> None:
    looks = {(colour_of(i)[0], STROKES.index(colour_of(i)[1])) for i in range(len(COLOURS) * len(STROKES))}
    assert len(looks) == 32
    first, second = panel((60, 60), 0), panel((60, 60), 0)
    first |= {"boxes": [[5, 5, 20, 20], [30, 30, 50, 50]], "labels": [0, 4], "scores": [0.9, 0.8]}
    second |= {"boxes": [[5, 5, 20, 20]], "labels": [4], "scores": [0.9]}
    figure = plots.boxed([first, second], NAMES)
    tags = [[(t.get_text(), p.get_facecolor()) for t, p in zip(
        a.texts, [p for p in a.patches if p.get_fill()], strict=True)] for a in figure.axes[:2]]  # fmt: skip
    assert dict(tags[0])["a boat 0.80"] == dict(tags[1])["a boat 0.90"] != dict(tags[0])["a dog 0.90"]


def luminance(colour: str) -> float:
    parts = linear(colour)
    return float(parts @ (0.2126, 0.7152, 0.0722))


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


# Viénot, Brettel and Mollon 1999: linear RGB as a protanope and as a deuteranope see it.
BLIND = {
    "protanopia": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deuteranopia": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


@pytest.mark.parametrize("kind", BLIND)
def test_colours_are_told_apart_by_colour_blind_eyes(kind: str) -> None:
    def lab(colour: str) -> np.ndarray:
        rgb = np.clip(np.array(BLIND[kind]) @ linear(colour), 0, 1)
        xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
        f = np.cbrt(np.maximum(xyz / (0.9505, 1, 1.089), 0.008856))
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    apart = {(a, b): np.linalg.norm(lab(a) - lab(b)) for a, b in itertools.combinations(COLOURS, 2)}
    assert min(apart.values()) > 10, min(apart.items(), key=lambda pair: pair[1])


def test_words_on_tags_can_be_read() -> None:
    for i in range(len(COLOURS)):
        colour, _, ink = colour_of(i)
        light, dark = sorted((luminance(colour), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


HOSTILE = [
    "<script>alert(1)</script>",
    "two\nlines\x07",
    "x" * 10_000,
    "\u202eevil\u202c",
    "=1+1",
    "\ud800",
    "$\\frac$",
]


def test_hostile_labels_are_one_plain_line() -> None:
    cell = {**panel((200, 200), 0), "boxes": [[20.0 * i, 90, 20 * i + 15, 110] for i in range(7)]}
    cell |= {"labels": range(7), "scores": [0.9] * 7, "title": HOSTILE[1]}
    figure = plots.boxed([cell], HOSTILE, title=HOSTILE[3], caption=HOSTILE[2])
    plots.png(figure)
    said = [t.get_text() for t in [*figure.axes[0].texts, *figure.texts]]
    assert not any(mark in text for text in said for mark in "\u202e\u202c\x07")
    assert sum("<script>" in text for text in said) == 2  # as text: tag and legend
    assert {t.get_text() for t in figure.axes[0].texts} >= {"two lines 0.90", "evil 0.90", "=1+1 0.90"}
    width, height = figure.get_size_inches()
    assert width < 8 and height < 9
    assert one_line("a" * 200) == "a" * 150 + "…"


def test_the_legend_names_labels_with_and_without_a_box() -> None:
    cell = {**panel((60, 60), 0), "boxes": [[0, 0, 9, 9], [5, 5, 30, 30]], "labels": [0, 0], "scores": [0.3, 0.2]}
    figure = plots.boxed([cell], NAMES)
    assert "a dog (2)" in words(figure)
    none = words(figure).split("no box here:")[1]
    assert "고양이" in none and "a boat" in none and "a dog" not in none
    assert "and 16 more" in words(plots.boxed([panel((60, 60), 0)], [f"thing {i}" for i in range(40)]))
    assert "no box" not in words(plots.boxed([cell], NAMES[:1]))
    assert "no box" not in words(plots.boxed([cell], NAMES, asked=[0]))


@pytest.mark.parametrize(("score", "said"), [(0.876, "0.88"), (0.2714, "0.271"), (0.01234, "0.0123"), (-0.7, "−0.70")])
def test_scores_have_the_digits_that_tell_them_apart(score: float, said: str) -> None:
    cell = {**panel((60, 60), 0), "boxes": [[5, 5, 30, 30]], "labels": [0], "scores": [score]}
    assert plots.boxed([cell], NAMES).axes[0].texts[0].get_text() == f"a dog {said}"


def test_of_many_boxes_the_highest_are_drawn() -> None:
    figure = plots.boxed([panel((400, 400), MOST + 7)], NAMES)
    assert sum(not p.get_fill() for p in figure.axes[0].patches) == 2 * MOST
    assert f"The 7 lowest of {MOST + 7} boxes are not drawn." in words(figure)


def test_a_map_lies_under_the_boxes_of_one_picture() -> None:
    values = np.linspace(-1, 1, 3600).reshape(60, 60)
    cell = panel((60, 60), 2)
    plain, mapped = plots.boxed([cell], NAMES), plots.boxed([{**cell, "values": values}], NAMES, unit="cosine")
    assert "cosine" in words(mapped) and mapped.get_figwidth() > plain.get_figwidth()
    assert (mapped.axes[0].images[0].get_array() != plain.axes[0].images[0].get_array()).any()
    with pytest.raises(InputError, match="one picture, got 2"):
        plots.boxed([{**cell, "values": values}] * 2, NAMES)


def test_a_full_picture_has_no_spot_left() -> None:
    room, box = (1.0, 1.0), np.array([0.2, 0.2, 0.4, 0.4])
    full = np.array([[0.0, 0.0, 1.0, 1.0]])
    assert free_spot(box, (0.5, 0.1), room, np.empty((0, 4)), box[None]) is not None
    assert free_spot(box, (0.5, 0.1), room, full, box[None]) is None
    assert free_spot(box, (1.5, 0.1), room, np.empty((0, 4)), box[None]) is None
    ruler = Ruler()
    assert ruler(ruler.cut("W" * 50, 8, 1.0), 8)[0] <= 1.0 and ruler.cut("W" * 50, 8, 0.01) == ""


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (plots.png(plots.boxed([panel((64, 64), 5)] * 2, NAMES)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"box": []}, "unknown key 'box'.*'boxes'"),
        ({"labels": [0]}, "2 boxes want as many labels"),
        ({"labels": [0, 5]}, "places in the 5 names"),
        ({"labels": [0.0, 1.0]}, "places in the 5 names"),
        ({"boxes": [[5, 5, 1, 9], [0, 0, 1, 1]]}, "x0 <= x1"),
        ({"boxes": [[0, 0, np.nan, 9], [0, 0, 1, 1]]}, "finite"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        plots.boxed([{**panel((60, 60), 2), **change}], NAMES)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InputError, match="at least one picture"):
        plots.boxed([], NAMES)
    with pytest.raises(InputError, match="no 'scores'"):
        plots.boxed([{"picture": np.zeros((4, 4)), "boxes": [], "labels": []}], NAMES)
