"""Names of many files at once: ``data/{0000..0012}.tar``, ``data/{cats,dogs}/*.tar``."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from clipviz.errors import DataError

MOST = 1_000_000  # names that one pattern may stand for
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?")


def is_pattern(name: str) -> bool:
    """Whether ``name`` has a wildcard or braces that stand for several names."""
    return glob.has_magic(name) or any(_choices(inner) for inner in _BRACES.findall(name))


def matching(pattern: str) -> list[Path]:
    """The files that a pattern stands for: braces in their order, what a wildcard finds sorted, each file once.

    Raises DataError where nothing matches, or where a name written out in braces is not there.

    >>> matching("data/{0000..0012}.tar")  # doctest: +SKIP
    """
    names: list[str] = []
    for name in _expanded(os.path.expanduser(pattern)):
        if len(names) == MOST:
            raise DataError(f"The pattern {pattern!r} stands for over {MOST} names; write a smaller range.")
        names.append(name)
    missing = [name for name in names if not glob.has_magic(name) and not os.path.exists(name)]
    found: dict[str, None] = {}
    for name in names:
        if not glob.has_magic(name):
            found[name] = None
            continue
        found.update(dict.fromkeys(sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))))
    if len(missing) == len(names) or not found:
        raise DataError(
            f"No files match {pattern!r} (from {os.getcwd()!r}); check the folder and the numbers of the pattern."
        )
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(names)} names of {pattern!r} are not there, the first is {missing[0]!r}; "
            "copy them too, or write the range that is there."
        )
    return [Path(name) for name in found]


def _expanded(pattern: str) -> Iterator[str]:
    """Braces from left to right, as a shell would; a brace that is no choice stays as it is written."""
    for match in _BRACES.finditer(pattern):
        choices = _choices(match[1])
        if choices:
            for choice in choices:
                yield from _expanded(pattern[: match.start()] + choice + pattern[match.end() :])
            return
    yield pattern


def _choices(inner: str) -> list[str] | None:
    """``0..12`` or ``a,b`` -> what it stands for; None for anything else."""
    match = _RANGE.fullmatch(inner)
    if match is None:
        return inner.split(",") if "," in inner else None
    first, last, step = int(match[1]), int(match[2]), abs(int(match[3] or 1)) or 1
    if abs(last - first) // step >= MOST:
        raise DataError(f"The range {{{inner}}} stands for over {MOST} names; write a smaller one.")
    padded = any(re.match(r"-?0\d", part) for part in (match[1], match[2]))
    width = max(len(match[1]), len(match[2])) if padded else 0
    numbers = range(first, last + 1, step) if last >= first else range(first, last - 1, -step)
    return [f"{number:0{width}d}" for number in numbers]
