"""How clipviz writes a file: under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .errors import InputError


def replace(path: str | os.PathLike[str], write: Callable[[str], Any]) -> Path:
    """Call ``write(temporary name)`` and rename the result to ``path``; missing folders are made.

    Whoever interrupts this, by an exception or by pulling the plug, leaves the old file whole. The temporary
    name keeps the suffix, for libraries that choose a format by it.
    Raises InputError where ``path`` is a folder; OSError where the disk or the permissions say no.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{str(target)!r} is a folder; give a file in it, such as {str(target / 'page.html')!r}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    final = Path(os.path.realpath(target))  # a link keeps pointing to its file
    draft = final.with_name(f".{final.stem[:80]}.{os.getpid()}.{secrets.token_hex(4)}{final.suffix[-20:]}")
    try:
        write(str(draft))
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(draft, final)
    except BaseException:  # also an interrupt from the keyboard
        draft.unlink(missing_ok=True)
        raise
    return target


def write(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write ``content`` (text as UTF-8) to ``path``, whole or not at all.

    >>> write("out/page.html", "<!doctype html>")  # doctest: +SKIP
    """
    data = content.encode("utf-8", errors="replace") if isinstance(content, str) else content
    return replace(path, lambda draft: Path(draft).write_bytes(data))


def suffix_of(path: str | os.PathLike[str], allowed: Sequence[str], what: str) -> str:
    """The suffix of ``path`` in lower case; InputError unless it is one of ``allowed``, before any work is done.

    >>> suffix_of("Heat.PNG", (".png", ".html"), "a heatmap")
    '.png'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in allowed:
        said = ", ".join(allowed)
        raise InputError(f"{what} is saved as {said}, by the name's ending; got {Path(path).name!r}: name another.")
    return suffix
