"""The figure of one picture."""

from __future__ import annotations

import io
import subprocess
import sys
import threading

import matplotlib
import numpy as np
import pytest
from PIL import Image

from clipviz import plots
from clipviz.errors import InputError
from clipviz.plots.parts import UNSEEN, number

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
YS, XS = np.mgrid[:60, :90]
VALUES = 0.02 * np.exp(-((XS - 30) ** 2 + (YS - 20) ** 2) / 200) - 0.01 * np.exp(
    -((XS - 70) ** 2 + (YS - 40) ** 2) / 200
)


def texts(figure: plots.Canvas) -> str:
    return "\n".join(t.get_text() for t in figure.texts)


def pixels(figure: plots.Canvas) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plots.png(figure)))).astype(int)


def test_it_says_what_it_shows() -> None:
    values = VALUES.copy()
    values[:, :10] = np.nan
    figure = plots.overlay(PICTURE, values, title="a dog", caption="clipviz-tiny")
    for words in ("a dog", "clipviz-tiny", "contribution to cosine", UNSEEN):
        assert words in texts(figure)
    assert UNSEEN not in texts(plots.overlay(PICTURE, VALUES))
    ticks = [t.get_text() for t in figure.axes[1].get_yticklabels()]
    assert ticks == ["−0.02", "−0.01", "0", "+0.01", "+0.02"]


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "Constant map: 0"), (0.25, "Constant map: \\+0.25"), (np.nan, "no part")]
)
def test_a_map_that_says_nothing_is_flagged(value: float, words: str) -> None:
    import re

    assert re.search(words, texts(plots.overlay(PICTURE, np.full((60, 90), value), title="t")))
    assert "Constant" not in texts(plots.overlay(PICTURE, VALUES))


def test_values_beyond_the_limits_show_at_the_bar() -> None:
    figure = plots.overlay(PICTURE, VALUES, limits=0.015)
    assert [t.get_text() for t in figure.axes[1].get_yticklabels()][-1] == "≥ +0.015"


def test_the_same_input_gives_the_same_bytes_and_names_no_program() -> None:
    first, second = (plots.png(plots.overlay(PICTURE, VALUES, title="a dog", mark=(30, 20))) for _ in range(2))
    assert first == second
    assert not Image.open(io.BytesIO(first)).info.keys() & {"Software", "Creation Time"}


def test_mark_and_box_are_drawn_where_they_belong() -> None:
    picture, flat = np.full((60, 90, 3), 40, np.uint8), np.zeros((60, 90))
    plain = pixels(plots.overlay(picture, flat))
    for kwargs, (x, y) in (({"mark": (70, 40)}, (70.5, 40.5)), ({"box": (60, 35, 80, 45)}, (70, 40))):
        changed = np.argwhere((pixels(plots.overlay(picture, flat, **kwargs)) != plain).any(-1))  # type: ignore[arg-type]
        figure = plots.overlay(picture, flat)
        box = figure.axes[0].get_window_extent()
        middle = changed.min(0) / 2 + changed.max(0) / 2
        assert middle[1] == pytest.approx(box.x0 + x / 90 * box.width, abs=2)
        assert middle[0] == pytest.approx(plain.shape[0] - box.y1 + y / 60 * box.height, abs=2)


def test_large_pictures_are_drawn_small_and_in_place() -> None:
    big = np.zeros((2001, 3001, 3), np.uint8)
    values = np.zeros((2001, 3001), np.float32)
    values[:, 1500:] = 1
    figure = plots.overlay(big, values, mark=(1500, 1000), colorbar=False)
    image = figure.axes[0].images[0].get_array()
    assert image is not None and max(image.shape) <= 1400
    assert np.asarray(image)[:, : image.shape[1] // 2 - 2].max() == 0
    assert np.asarray(image)[:, image.shape[1] // 2 + 2 :].max() > 0


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [({"mark": (1, 2, 3)}, "mark="), ({"mark": "peak"}, "mark="), ({"box": (1, 2)}, "box="), ({"box": "all"}, "box=")],
)
def test_bad_places_are_refused(kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        plots.overlay(PICTURE, VALUES, **kwargs)  # type: ignore[arg-type]


def test_hostile_and_endless_titles_are_drawn() -> None:
    title = "$\\frac{ <b>" + "x" * 500 + "\x00\n" + "the forest " * 80
    figure = plots.overlay(PICTURE, VALUES, title=title, caption=title)
    assert texts(figure).count("…") >= 2
    plots.png(figure)


def test_any_shape_is_drawn() -> None:
    for shape in ((1, 1), (1, 300), (300, 1), (2, 2)):
        plots.png(plots.overlay(np.zeros((*shape, 3), np.uint8), np.arange(np.prod(shape)).reshape(shape)))


def test_the_session_s_style_and_settings_have_no_say() -> None:
    plain = plots.png(plots.overlay(PICTURE, VALUES, title="a dog"))
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context():
        matplotlib.style.use("dark_background")
        matplotlib.rcParams.update({"savefig.bbox": "tight", "figure.autolayout": True, "font.size": 20})
        assert plots.png(plots.overlay(PICTURE, VALUES, title="a dog")) == plain
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_touched() -> None:
    code = (
        "import sys, numpy as np; from clipviz import plots;"
        "plots.png(plots.overlay(np.zeros((8, 8, 3), np.uint8), np.eye(8), title='t'));"
        "plots.png(plots.grid([[{'picture': np.zeros((8, 8, 3), np.uint8), 'values': np.eye(8)}]]));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


def test_no_figure_is_left_open() -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plots.png(plots.overlay(PICTURE, VALUES))
    assert plt.get_fignums() == before


def test_two_threads_draw_what_one_draws() -> None:
    def draw(i: int) -> bytes:
        return plots.png(plots.overlay(PICTURE, VALUES * (1 + i), title=f"thread {i}"))

    alone = [draw(0), draw(1)]
    together: dict[tuple[int, int], bytes] = {}
    threads = [
        threading.Thread(target=lambda i=i: together.update({(i, k): draw(i) for k in range(3)}))  # type: ignore[misc]
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 6
    assert all(png == alone[i] for (i, _), png in together.items())


def test_a_notebook_shows_it() -> None:
    figure = plots.overlay(PICTURE, VALUES)
    assert figure._repr_png_() == plots.png(figure)
    assert plots.png(figure, dpi=72) != plots.png(figure)
    assert figure._repr_png_() == plots.png(figure)  # asking for another size left nothing behind


@pytest.mark.parametrize(
    ("value", "wanted"), [(0, "0"), (0.0124, "+0.0124"), (-0.5, "−0.5"), (0.00002, "+0.00002"), (1e-9, "+1e−09")]
)
def test_number(value: float, wanted: str) -> None:
    assert number(value) == wanted
