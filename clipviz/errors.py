"""Every error and warning that clipviz raises on purpose.

An error is one sentence: what was got, what is allowed, what to type next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ClipvizError(Exception):
    """The base of all errors of clipviz: ``except clipviz.ClipvizError`` catches them all."""


class ModelError(ClipvizError):
    """A model cannot be found, loaded or built, or cannot do what was asked of it."""


class InputError(ClipvizError):
    """A picture, an array, a file or an option is not what the function takes."""


class PromptError(ClipvizError):
    """A text or a template cannot be used as a prompt."""


class SpecError(ClipvizError):
    """A recipe or an audit spec has an unknown or contradictory key."""


class DataError(ClipvizError):
    """A data set is missing, empty, damaged or not what its columns say."""


class ClipvizWarning(UserWarning):
    """Something was done, but the result needs a second look."""


def nearest(name: str, known: Iterable[str], n: int = 3) -> str:
    """``"Did you mean 'a', 'b'?"`` for the names closest to ``name``, or a listing when none is close."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=n, cutoff=0.5)
    if not close:
        folded = {k.lower(): k for k in names}
        close = [folded[c] for c in difflib.get_close_matches(name.lower(), list(folded), n=n, cutoff=0.4)]
    if close:
        return "Did you mean " + ", ".join(repr(c) for c in close) + "?"
    return "Known: " + ", ".join(repr(k) for k in names[:12]) + (", ..." if len(names) > 12 else "") + "."
