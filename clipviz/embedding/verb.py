"""The verb: `embed`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError, ModelError
from ..model import Model
from ..model.pixels import preparation
from ..sources import Source, open_source
from .cache import keeping
from .decoding import Decoder
from .embeddings import Embeddings
from .filling import Order, Outcome, fill, new_manifest, settled
from .layout import DTYPES, PART_SIZE
from .manifest import model_facts
from .metadata import schema_of
from .place import place_of
from .runner import local

DRAFT = 2  # a draft of a JPEG has at least so many times the model's size, so that resizing still averages
BATCH = 32


def embed(
    data: Any,
    *,
    model: Model,
    out: str | os.PathLike[str] | None = None,
    columns: Sequence[str] | None = None,
    dtype: str | None = None,
    view: str | None = None,
    draft: bool | None = None,
    batch_size: int | None = None,
    part_size: int | None = None,
    workers: int | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: bool = True,
) -> Embeddings:
    """Unit vectors of pictures with their ids and metadata, in a store on disk that the next run goes on with.

    Parameters
    ----------
    data : what `open_source` takes, or a Source. ``columns`` are the metadata to keep; by default all.
    out : the store's folder; by default one in the user's cache, which is bounded (`embedding.cache`). What it holds
        already is not computed again: pictures whose file changed (size, time, then hash) are, with their part.
        Interrupting leaves what was done; SIGTERM finishes the part in hand.
    dtype : "float32" (default) or "float16", half the size and within 5e-4.
    view, draft : how a picture is seen, by default as the model's own; ``draft=True`` decodes JPEGs to the smallest
        size of twice the model's at least, quicker and within a cosine of 0.995.
    batch_size, part_size : 32 and 4096; of a store that is there, its own. ``workers`` decode, 0 in this process.
    engine : "local", or "ray" (pip install "clipviz[scale]"): ``workers`` hold the model, on the cluster at ``address``
        whose machines see the pictures under the same paths, or on one that is started here and ended.

    Raises ModelError for another model's store, DataError for damaged or mixed data, a full disk, and a store that
    another process writes. A picture that cannot be read raises nothing: it is in ``.failed`` with its reason.

    >>> clipviz.embed("photographs/", model=clipviz.load(), out="stores/photographs")  # doctest: +SKIP
    """
    if not isinstance(model, Model):
        raise ModelError(f"embed needs a clipviz.Model, got {type(model).__name__}; pass model=clipviz.load(...).")
    asked = {
        "part_size": count_asked("part_size", part_size),
        "batch_size": count_asked("batch_size", batch_size),
        "dtype": dtype_asked(dtype),
        "view": None if view is None else preparation(model, view)["view"],
        "draft": None if draft is None else DRAFT * model.image_size if draft else 0,
    }
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 0):
        raise InputError(f"workers={workers!r} is not a number of processes; pass 0 or more, or leave it out.")
    compute = engine_asked(engine, address, workers)
    usual = {"part_size": PART_SIZE, "batch_size": BATCH, "dtype": DTYPES[0], "view": model.view, "draft": 0}
    facts = model_facts(model)
    source = open_source(data) if isinstance(data, Source) else open_source(data, columns=columns)
    folder = place_of(out, facts, source, {**usual, **{k: v for k, v in asked.items() if v is not None}})
    settings = settled(folder, "images", facts, asked, usual)
    schema = schema_of(source, columns)
    decoder = Decoder(source.in_order(), preparation(model, settings["view"]), settings["draft"] or None)
    order = Order(
        new_manifest("images", facts, settings, about(source, folder), schema, str(model.device)),
        decoder,
        schema,
        lost=lost(source),
        skipped=len(getattr(source, "skipped", ())) if hasattr(source, "root") else 0,
    )
    run = partial(compute, model, decoder, settings["batch_size"], workers)
    with keeping(folder):
        fill(folder, order, run, unit="image", progress=progress)
        return Embeddings.load(folder)


def about(source: Source, folder: Path) -> dict[str, Any]:
    """What a manifest tells of the data; paths relative to the store, so that both can be moved together."""
    opening = None if source.opening is None else dict(source.opening)
    if opening is not None:
        paths = opening["data"]
        opening["data"] = _relative(paths, folder) if isinstance(paths, str) else [_relative(p, folder) for p in paths]
    return {
        "where": source.where_from,
        "fingerprint": None,
        "half": source.part,
        "id_column": source.id_column,
        "opening": opening,
    }


def lost(source: Source) -> list[tuple[str, str]]:
    """(name, reason) of what a source could not open and has no picture for, such as a shard that breaks off."""
    ids = set(source.ids) if source.failed else set()
    return [(name, reason) for name, reason in source.failed if name not in ids]


def _relative(path: str, folder: Path) -> str:
    try:
        return os.path.relpath(path, os.path.abspath(folder))
    except ValueError:  # another drive
        return path


def engine_asked(engine: str, address: str | None, workers: int | None) -> Callable[..., Iterator[Outcome]]:
    """What computes the parts, where it can be had."""
    if engine == "ray":
        from .ray_engine import check, over_ray

        check(address, workers)
        return partial(over_ray, address=address)
    if engine != "local":
        raise InputError(f"engine={engine!r} is not known; it is 'local' or 'ray'.")
    if address is not None:
        raise InputError(f"address={address!r} is of a Ray cluster; pass engine='ray' with it, or leave it out.")
    return local


def dtype_asked(dtype: str | None) -> str | None:
    """``dtype`` where it can be stored."""
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"dtype={dtype!r} cannot be stored; it is 'float32' or 'float16'.")
    return dtype


def count_asked(name: str, value: int | None) -> int | None:
    """``value`` where it is a number of things."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InputError(f"{name}={value!r} is not a positive whole number; leave it out for the usual one.")
    return value
