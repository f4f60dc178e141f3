"""Prompts in any script come out as letters; what cannot be drawn is said once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest

from clipviz import fonts
from clipviz.errors import ClipvizWarning
from clipviz.plots.canvas import Canvas

Require = Callable[[object, str], None]
NOWHERE = "\U000e0fff"  # a code point without a letter: no font has it


def drawn(text: str) -> np.ndarray:
    figure = Canvas(1.5, 0.4)
    figure.line(0.1, 0.1, text, size=14)
    fonts.dress(figure)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., 0].copy()  # type: ignore[attr-defined]


def test_korean_is_drawn_as_letters(require: Require) -> None:
    require(not fonts.missing("숲개집"), "no font with Korean letters (fonts-nanum or fonts-noto-cjk)")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forest, house = drawn("숲"), drawn("집")
    tofu = drawn(fonts.PLACEHOLDER)
    assert (forest < 128).sum() > 20
    assert (forest != house).any()
    assert (forest != tofu).any() and (house != tofu).any()


def test_a_bold_korean_title_is_drawn_without_a_complaint(require: Require, caplog: pytest.LogCaptureFixture) -> None:
    require(not fonts.missing("숲"), "no font with Korean letters (fonts-nanum or fonts-noto-cjk)")
    figure = Canvas(1, 1)
    figure.line(0, 0, "숲", weight="bold")
    fonts.dress(figure)
    figure.canvas.draw()
    assert not caplog.records


def test_letters_without_a_font_give_one_warning_and_boxes() -> None:
    figure = Canvas(1, 1)
    figure.line(0, 0, f"a {NOWHERE} b")
    figure.line(0, 0.5, f"{NOWHERE}{NOWHERE}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fonts.dress(figure)
        figure.canvas.draw()
    assert [w.category for w in caught] == [ClipvizWarning]
    assert "apt-get install" in str(caught[0].message)
    assert [t.get_text() for t in figure.texts] == ["a □ b", "□□"]


@pytest.mark.parametrize(
    ("lost", "package"),
    [("숲", "fonts-nanum"), ("森", "fonts-noto-cjk"), ("ส", "fonts-noto-core"), ("🦊", "fonts-symbola")],
)
def test_the_warning_names_the_package(monkeypatch: pytest.MonkeyPatch, lost: str, package: str) -> None:
    everything = fonts._covered

    def without(family: str) -> frozenset[int]:
        return everything(family) - {ord(lost)}

    without.cache_clear = everything.cache_clear  # type: ignore[attr-defined]
    monkeypatch.setattr(fonts, "_covered", without)
    figure = Canvas(1, 1)
    figure.line(0, 0, lost)
    with pytest.warns(ClipvizWarning, match=f"{lost}.*{package}"):
        fonts.dress(figure)


def test_dollars_and_control_characters_are_plain_text() -> None:
    figure = Canvas(1, 1)
    figure.line(0, 0, "from $5\x00 to $6 and $\\frac{")
    fonts.dress(figure)
    figure.canvas.draw()  # as mathematics this is an error
    assert figure.texts[0].get_text() == "from $5  to $6 and $\\frac{"


def test_dressing_leaves_the_global_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    drawn("숲" if not fonts.missing("숲") else "a")
    assert dict(matplotlib.rcParams) == before


def test_the_context_adds_families_and_takes_them_back() -> None:
    before = list(matplotlib.rcParams["font.family"])
    with fonts.glyphs() as added:
        assert list(matplotlib.rcParams["font.family"]) == before + added
    assert added == fonts.cjk()
    assert list(matplotlib.rcParams["font.family"]) == before


def test_the_context_takes_them_back_after_an_error() -> None:
    before = dict(matplotlib.rcParams)

    def fail() -> None:
        with fonts.glyphs():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert dict(matplotlib.rcParams) == before


def test_two_contexts_wait_for_each_other() -> None:
    before = list(matplotlib.rcParams["font.family"])
    inside, most = [], []

    def enter() -> None:
        for _ in range(20):
            with fonts.glyphs():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 60 and max(most) == 1
    assert list(matplotlib.rcParams["font.family"]) == before


def test_chinese_characters_follow_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    names = frozenset({"Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans CJK SC"})
    monkeypatch.setattr(fonts, "_installed", lambda: names)
    assert fonts._preference("森 숲")[0] == "Noto Sans CJK KR"
    assert fonts._preference("森の")[0] == "Noto Sans CJK JP"
    assert fonts._preference("森")[0] == "Noto Sans CJK SC"


@pytest.mark.parametrize(
    ("text", "columns", "lines", "wanted"),
    [
        ("a bird over the lake", 10, 3, "a bird\nover the\nlake"),
        ("나무가있는숲", 6, 3, "나무가\n있는숲"),
        ("abcdefghij", 4, 2, "abcd\nefg…"),
        ("one\ntwo", 10, 3, "one\ntwo"),
        ("", 10, 3, ""),
    ],
)
def test_wrap(text: str, columns: int, lines: int, wanted: str) -> None:
    assert fonts.wrap(text, columns, lines) == wanted
