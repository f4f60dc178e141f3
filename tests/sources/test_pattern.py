"""Patterns that stand for many files."""

import pytest

from clipviz.errors import DataError
from clipviz.sources.pattern import is_pattern, matching


@pytest.fixture
def names(tmp_path, monkeypatch):
    for name in ("a8", "a9", "a10", "a11", "008", "009", "010", "{x}", "d/b1", "d/.h1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "pattern,wanted",
    [
        ("a{8..11}", "a8 a9 a10 a11"),
        ("a{10..8}", "a10 a9 a8"),
        ("a{8..11..2}", "a8 a10"),
        ("{008..010}", "008 009 010"),
        ("{a,00}{9,8}", "a9 a8 009 008"),
        ("{a8,d/*}", "a8 d/b1"),
        ("**/*1", "a11 d/b1"),
        ("a{8,8}", "a8"),
        ("{x}{,}", "{x}"),
        ("a[89]", "a8 a9"),
    ],
)
def test_what_a_pattern_stands_for(names, pattern, wanted):
    assert is_pattern(pattern) and [path.as_posix() for path in matching(pattern)] == wanted.split()


def test_what_is_none(names):
    assert not is_pattern("{x}") and not is_pattern("a8") and not is_pattern("{..}")
    for pattern, word in (
        ("z*", r"No files match 'z\*'"),
        ("z{1..3}", "No files match"),
        ("a{8..13}", "2 of the 6 names of .*'a12'"),
        ("{0..99999999999}", "over 1000000 names"),
        ("{0..9999}{0..9999}", "over 1000000 names"),
    ):
        with pytest.raises(DataError, match=word):
            matching(pattern)
