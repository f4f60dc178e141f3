"""The data that travels with clipviz: the bundled model, audit specs, training recipes and notebooks.

A wheel carries the benches ``audits/``, ``train/`` and ``notebooks/`` in this folder; in a checkout (and in an editable
install of one) they lie at the top level, where people read and edit them. The names are the same in both places.
"""

from __future__ import annotations

from pathlib import Path

from clipviz.errors import DataError, nearest

BENCHES = ("audits", "notebooks", "train")
MODEL = "clipviz-tiny"
KINDS = (*BENCHES, MODEL)

_here = Path(__file__).resolve().parent

__all__ = ["BENCHES", "KINDS", "MODEL", "find", "folder", "names"]


def folder(kind: str) -> Path:
    """The folder that holds the files of one kind.

    Parameters: ``kind`` is ``"audits"``, ``"train"``, ``"notebooks"`` or ``"clipviz-tiny"`` (the bundled model, in
    open_clip's local layout). Raises ``DataError`` for another kind, or where the installation lacks the folder.

        >>> folder("notebooks").name
        'notebooks'
    """
    if kind not in KINDS:
        raise DataError(f"There is no kind of asset called {kind!r}. {nearest(kind, KINDS)}")
    places = [_here / kind]
    checkout = _here.parent.parent
    if kind in BENCHES and (checkout / "pyproject.toml").is_file():
        places.append(checkout / kind)
    for place in places:
        if place.is_dir():
            return place
    raise DataError(f"This installation of clipviz has no folder {kind!r} in {_here}; install clipviz again.")


def names(kind: str) -> list[str]:
    """The names that ``find`` takes for one kind: paths below the folder, with forward slashes, sorted."""
    root = folder(kind)
    below = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in below if not any(part.startswith((".", "__")) for part in path.parts))


def find(kind: str, name: str) -> Path:
    """The file of one kind that has this name; the suffix may be left out where only one file fits.

    Raises ``DataError`` with the nearest names when there is none, or when several fit.

        >>> find("audits", "README").name
        'README.md'
    """
    known = names(kind)
    if name in known:
        return folder(kind) / name
    fitting = [each for each in known if each.rpartition(".")[0] == name]
    if len(fitting) == 1:
        return folder(kind) / fitting[0]
    if fitting:
        raise DataError(f"{kind} has several files called {name!r}: say which of {', '.join(map(repr, fitting))}.")
    hint = nearest(name, known) if known else "The folder is empty."
    raise DataError(f"There is no file {name!r} in {kind}. {hint}")
