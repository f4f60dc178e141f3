"""A folder of several files, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from ..errors import InputError


def write_folder(path: str | Path, write: Callable[[Path], object], replaces: Collection[str]) -> Path:
    """Call ``write(temporary folder)`` beside ``path`` and rename; an interruption leaves the old folder whole.

    An existing folder is replaced if it holds nothing but the files named in ``replaces``; else InputError,
    because the others would be lost.
    """
    target = Path(path)
    if target.is_file():
        raise InputError(f"{str(target)!r} is a file; a model is saved as a folder.")
    if target.is_dir() and (others := sorted(p.name for p in target.iterdir() if p.name not in replaces)):
        raise InputError(f"{str(target)!r} holds other files ({', '.join(others[:5])}): name a folder of its own.")
    target.parent.mkdir(parents=True, exist_ok=True)
    final = Path(os.path.realpath(target))
    draft, old = (final.with_name(f".{final.name[:80]}.{secrets.token_hex(4)}.{what}") for what in ("new", "old"))
    try:
        draft.mkdir()
        write(draft)
        if final.exists():
            os.replace(final, old)
        try:
            os.replace(draft, final)
        except BaseException:
            if old.exists():
                os.replace(old, final)
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
    return target
