"""The model and the pictures of a store, opened again by what its manifest says, and refused where they are others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import assets
from ..errors import ClipvizError, DataError, ModelError
from .layout import read_record, whole_parts
from .manifest import Manifest, model_facts, told_model
from .metadata import plain

if TYPE_CHECKING:
    from ..model import Model
    from ..sources import Source


def load_model(manifest: Manifest, where: str) -> Model:
    """The model of a store by its name and tag. ModelError where they do not find it, or find another."""
    from ..model import load

    told, name, tag = told_model(manifest.model), manifest.model.get("model"), manifest.model.get("tag")
    if tag is None and name != assets.MODEL:
        raise ModelError(
            f"{where} holds vectors of {told}, which came from a folder or a file; pass model=clipviz.load(it)."
        )
    try:
        model = load() if tag is None else load(str(name), str(tag))
        if model.image_size != manifest.model["image_size"] and tag is not None:
            model = load(str(name), str(tag), image_size=manifest.model["image_size"])
    except ClipvizError as error:
        raise ModelError(
            f"{told}, of which {where} holds vectors, cannot be loaded by its name ({error}); pass "
            "model=clipviz.load(...) with the folder or file that it came from."
        ) from error
    check_model(manifest, model, where)
    return model


def given_model(manifest: Manifest, model: Any, where: str) -> Model:
    """The model that a caller named: a `Model`, or what `load` takes; ModelError unless it is the store's."""
    from ..model import Model, load

    if isinstance(model, str | os.PathLike):
        model = load(Path(model) if os.path.exists(model) else str(model))
    if not isinstance(model, Model):
        raise ModelError(f"model= is a Model or a path, got {type(model).__name__}; pass clipviz.load(...).")
    check_model(manifest, model, where)
    return model


def check_model(manifest: Manifest, model: Model, where: str) -> None:
    """ModelError unless ``model`` gives the vectors of the store; texts may be read in another precision."""
    facts = {**model_facts(model), "precision": manifest.model.get("precision")}
    manifest.refuse_other_model(facts, where)


def reopen(folder: Path, manifest: Manifest, data: Any = None) -> Source:
    """The pictures that a store was made of, by its manifest or, where they have moved, from ``data``.

    Raises DataError where nothing says how, where nothing is there, or where they are other pictures than they were.
    """
    from ..sources import open_source

    if manifest.kind != "images":
        raise DataError(f"{str(folder)!r} holds vectors of {manifest.kind}; it was made of no pictures.")
    about = manifest.data
    opening = about.get("opening")
    if data is None and opening is None:
        raise DataError(
            f"{str(folder)!r} was made of {about.get('where')}, opened by a program, and its manifest cannot say how; "
            "pass data= with the same pictures."
        )
    options = {name: value for name, value in (opening or {}).items() if name != "data"}
    try:
        if data is None:
            data = _beside(folder, (opening or {})["data"])
        source = open_source(data, **options) if not _is_source(data) else data
    except DataError as error:
        raise DataError(
            f"The pictures of {str(folder)!r} ({about.get('where')}) cannot be opened: {error} Pass data= where they "
            "have moved."
        ) from error
    half = about.get("half", "all")
    if half in ("dev", "report") and source.part == "all":
        source = source.half(half)
    if len(source) > _pictures(manifest):  # the store was made of a part, chosen by a program
        known = _recorded(folder)
        source = source.select([place for place, key in enumerate(source.ids) if plain(key) in known])
    wanted = about.get("fingerprint")
    if wanted is None:
        raise DataError(
            f"The store {str(folder)!r} is not complete, and its pictures have no fingerprint yet; run embed on the "
            "same data and store again."
        )
    if source.fingerprint != wanted:
        raise DataError(
            f"{source.where_from} holds other pictures than those of the store {str(folder)!r} (fingerprint "
            f"{source.fingerprint[:12]}, not {wanted[:12]}); pass data= with those, or embed into another store."
        )
    return source


def _pictures(manifest: Manifest) -> int:
    """How many pictures the source of a store had, embedded or failed."""
    return int(manifest.counts.get("pictures", 0))


def _recorded(folder: Path) -> set[str]:
    """The ids of all pictures that a store was to hold."""
    return {key for number in whole_parts(folder) for key in read_record(folder, number, ["id"])["id"].to_pylist()}


def _is_source(data: Any) -> bool:
    from ..sources import Source

    return isinstance(data, Source)


def _beside(folder: Path, data: Any) -> Any:
    """Paths of a manifest, relative to its store, as they are from here."""
    if isinstance(data, list):
        return [_beside(folder, one) for one in data]
    return os.path.normpath(os.path.join(folder, data))
