"""Where a store lies that nobody gave a folder: in the user's cache, by its model and its data."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .manifest import SAME

if TYPE_CHECKING:
    from .filling import Things


def place_of(
    out: str | os.PathLike[str] | None, model: Mapping[str, Any], source: Things, settings: Mapping[str, Any]
) -> Path:
    """``out``, or a folder of the cache named after what decides about the vectors.

    The data's part of the name are its ids and where it lies, not its contents: what changed is found in the store.
    """
    if out is not None:
        return Path(out).expanduser()
    digest = hashlib.sha256()
    facts = {key: model.get(key) for key in SAME}
    opening = getattr(source, "opening", None)
    digest.update(json.dumps([facts, dict(settings), opening and dict(opening), source.where_from]).encode())
    for id in source.ids:
        digest.update(id.encode("utf-8", "surrogateescape") + b"\0")
    return cache_root() / digest.hexdigest()[:32]


def cache_root() -> Path:
    """The folder of all such stores: ``$XDG_CACHE_HOME/clipviz/embeddings``, by default below ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipviz" / "embeddings"
