"""How clipviz writes a file: under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# A temporary file is private; the renamed one gets what any new file gets. The mask can only be read by setting it.
_MASK = os.umask(0o022)
os.umask(_MASK)
_MODE = 0o666 & ~_MASK


def replace(path: str | Path, write: Callable[[str], Any]) -> Path:
    """Call ``write(temporary name)`` and rename the result to ``path``, making its folder if need be.

    Whoever interrupts this, by an exception or by pulling the plug, leaves the old file whole.
    The temporary name keeps the suffix, for libraries that choose a format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    try:
        write(temporary)
        os.chmod(temporary, _MODE)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def replace_text(path: str | Path, text: str) -> Path:
    """Write ``text`` as UTF-8, whole or not at all."""
    return replace(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))
