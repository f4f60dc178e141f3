"""The versions of what computed a result, for its provenance."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version

from . import __version__

_LIBRARIES = {"numpy": "numpy", "torch": "torch", "open_clip": "open_clip_torch", "pillow": "pillow"}


@cache
def versions() -> dict[str, str]:
    """Of clipviz, Python and the libraries on which numbers depend.

    >>> sorted(versions())
    ['clipviz', 'numpy', 'open_clip', 'pillow', 'python', 'torch']
    """
    found = {name: version(package) for name, package in _LIBRARIES.items()}
    return {"clipviz": __version__, "python": platform.python_version(), **found}
