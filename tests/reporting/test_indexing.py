"""`report`: results as pages in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import clipviz
from clipviz.errors import InputError
from clipviz.files import suffix_of, write


class Result:
    """What a result must know: to save itself by suffix, and to say in a line what it is."""

    suffixes: tuple[str, ...] = (".html", ".json")

    def save(self, path: str | Path) -> Path:
        return write(path, f"{suffix_of(path, self.suffixes, 'A result')} of {self!r}")

    def __repr__(self) -> str:
        return "Result(<b>of</b> something)"


class People(Result):
    provenance: Mapping[str, Any] = {"demonstration": True}

    def save(self, path: str | Path, *, people: bool = False) -> Path:
        return write(path, f"people: {people}")


def test_every_result_has_its_page_and_what_else_it_can_be_saved_as(tmp_path: Path) -> None:
    index = clipviz.report(Result(), Result(), path=tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["01-result.html", "01-result.json", "02-result.html", "02-result.json", "index.html"]
    assert index == tmp_path / "out" / "index.html"
    html = index.read_text(encoding="utf-8")
    assert all(f'href="./{name}"' in html for name in names[:-1])
    assert "Result(&lt;b&gt;of&lt;/b&gt; something)" in html and "Demonstration" not in html
    assert clipviz.report(Result(), Result(), path=tmp_path / "out").read_text(encoding="utf-8") == html


def test_people_are_asked_for_where_a_result_knows_them(tmp_path: Path) -> None:
    for people in (False, True):
        clipviz.report(People(), Result(), path=tmp_path, people=people)
        assert (tmp_path / "01-people.html").read_text() == f"people: {people}"
    assert "Demonstration model" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_what_is_no_result_or_no_folder_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for results, path, says in (
        ((), tmp_path, "nothing to report"),
        ((Result(), "runs/faces"), tmp_path / "a", "Result 2 is a str"),
        ((Result(),), tmp_path / "a.html", "a folder of pages"),
        ((Result(),), tmp_path / "file", "a folder of pages"),
    ):
        with pytest.raises(InputError, match=says):
            clipviz.report(*results, path=path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
