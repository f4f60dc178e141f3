"""A file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipviz.errors import InputError
from clipviz.files import replace, write


def test_text_and_bytes_are_written_and_folders_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "숲.html"
    assert write(path, "숲\n") == path
    assert path.read_bytes() == "숲\n".encode()
    assert write(str(path), b"\x00\x01").read_bytes() == b"\x00\x01"
    assert [p.name for p in path.parent.iterdir()] == ["숲.html"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: type[BaseException]
) -> None:
    path = write(tmp_path / "page.html", "old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(error):
        write(path, "new" * 1000)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]  # and nothing lies about


def test_an_interruption_midway_through_the_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "page.html", "old")

    def half(name: str) -> None:
        Path(name).write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        replace(path, half)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_temporary_name_keeps_the_suffix_and_the_folder(tmp_path: Path) -> None:
    names: list[str] = []
    replace(tmp_path / "a.safetensors", lambda name: (names.append(name), Path(name).touch()))
    assert Path(names[0]).suffix == ".safetensors" and Path(names[0]).parent == tmp_path


def test_a_link_keeps_pointing_to_its_file(tmp_path: Path) -> None:
    target = write(tmp_path / "target.html", "old")
    link = tmp_path / "link.html"
    link.symlink_to(target)
    write(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


def test_others_may_read_it(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    assert write(tmp_path / "page.html", "x").stat().st_mode == plain.stat().st_mode


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        write(tmp_path, "x")
