"""Writing a file so that a reader never meets half of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from clipviz.errors import InputError


def write(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write ``content`` (text as UTF-8) to ``path`` whole or not at all; missing folders are made.

    It goes to a temporary name in the same folder, then takes the place of ``path``: an interrupted write leaves the
    old file as it was.

    Raises
    ------
    InputError : ``path`` is a folder. OSError : the disk or the permissions say no.

    >>> write("out/page.html", "<!doctype html>")  # doctest: +SKIP
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{str(target)!r} is a folder; give a file in it, such as {str(target / 'page.html')!r}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    final = Path(os.path.realpath(target))  # a link keeps pointing to its file
    data = content.encode("utf-8", errors="replace") if isinstance(content, str) else content
    draft = final.with_name(f".{final.name[:80]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, final)
    except BaseException:  # also an interrupt from the keyboard
        draft.unlink(missing_ok=True)
        raise
    return target
