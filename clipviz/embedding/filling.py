"""Filling a store: what is missing is computed and written part by part, and the manifest says how far it came."""

from __future__ import annotations

import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ClipvizError, ClipvizWarning, DataError, InputError
from ..lock import hold
from ..stopping import Stopping
from ..versions import versions
from .changes import to_do
from .decoding import Decoded, Fact
from .layout import MANIFEST, Part, plan, read_record, whole_parts
from .manifest import Manifest
from .metadata import plain, rows_table
from .writing import conclude, record_table, sweep, telling_what_stopped_it, write_part

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)


class Things(Protocol):
    """What is embedded: a `Source`, or texts."""

    @property
    def ids(self) -> tuple[str, ...]: ...
    @property
    def where_from(self) -> str: ...
    def stamp(self, key: int, /) -> tuple[int, int] | None: ...
    def bytes(self, key: int, /) -> bytes: ...
    def metadata(self, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]: ...
    def __len__(self) -> int: ...


class Reader(Protocol):
    """Reads places of what is embedded, as `Decoder` does."""

    @property
    def source(self) -> Things: ...
    def __call__(self, start: int, stop: int) -> Decoded: ...


@dataclass
class Outcome:
    """A part that was computed: a Fact for each of its pictures, and the unit vectors [n, E] of those embedded."""

    part: Part
    facts: list[Fact] = field(default_factory=list)
    vectors: list[NDArray[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# Computes parts and gives them in any order; it tells the second argument of each batch: how many, how many failed.
Engine = Callable[[Sequence[Part], Callable[[int, int], Any]], Iterator[Outcome]]


@dataclass(frozen=True)
class Order:
    """What is to be in a store. ``manifest`` is what it will be but for counts, fingerprint and times."""

    manifest: Manifest
    reader: Reader
    schema: pa.Schema
    lost: Sequence[tuple[str, str]] = ()  # (name, reason) of what has no id
    skipped: int = 0

    @property
    def parts(self) -> list[Part]:
        return plan(len(self.reader.source), self.manifest.settings["part_size"])


def settled(
    folder: Path, kind: str, model: dict[str, Any], asked: dict[str, Any], usual: dict[str, Any]
) -> dict[str, Any]:
    """The settings of a store: its own where there is one, else what was ``asked``, else what is ``usual``.

    Raises where ``folder`` is no store and not empty, a store of something else or of another model, or one that was
    made with other settings than were asked.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out={str(folder)!r} is a file, and a store is a folder; name another.")
    if not (folder / MANIFEST).exists():
        if folder.is_dir() and (found := sorted(name for name in os.listdir(folder) if name[0] != ".")):
            raise InputError(
                f"out={str(folder)!r} holds {found[0]!r} and no store of embeddings; name an empty folder or a new one."
            )
        return {key: usual[key] if asked.get(key) is None else asked[key] for key in usual}
    old = Manifest.read(folder)
    if old.kind != kind:
        raise InputError(f"out={str(folder)!r} is a store of {old.kind}, not of {kind}; name another.")
    old.refuse_other_model(model, f"The store {str(folder)!r}")
    for key, value in asked.items():
        if value is not None and old.settings.get(key) != value:
            raise InputError(
                f"The store {str(folder)!r} was made with {key}={old.settings.get(key)!r}, got {key}={value!r}; leave "
                f"{key}= out, or name another out."
            )
    return old.settings


def fill(folder: Path, order: Order, engine: Engine, *, unit: str, progress: bool) -> Manifest:
    """Compute what the store lacks; what `clipviz.embed` says of stopping, resuming and errors is done here."""
    from tqdm.auto import tqdm

    parts, source = order.parts, order.reader.source
    ids, began = source.ids, time.time()
    with telling_what_stopped_it(folder), hold(folder), Stopping((signal.SIGTERM,), at_once=True) as stopping:
        old = Manifest.read(folder) if (folder / MANIFEST).exists() else None
        if old is not None:
            _refuse_other_data(folder, old, source)
        sweep(folder, len(parts))
        width = order.manifest.model["embed_dim"]
        missing = to_do(folder, order.reader, parts, order.schema, width) if old is not None else list(parts)
        if old is None or missing:
            _begun(order.manifest, old, began).write(folder)
        notes: list[str] = []
        failed, todo = 0, sum(len(part) for part in missing)
        try:
            with tqdm(total=len(ids), initial=len(ids) - todo, unit=unit, disable=not progress) as bar:

                def seen(n: int, wrong: int) -> None:
                    nonlocal failed
                    failed += wrong
                    bar.set_postfix_str(f"{failed} failed" if failed else "", refresh=False)
                    bar.update(n)

                with closing(engine(missing, seen)) as outcomes:  # type: ignore[type-var]
                    for outcome in outcomes:
                        _keep(folder, order, outcome, ids)
                        notes += outcome.notes
                        if stopping.asked == signal.SIGINT:  # what was raised then was lost on its way
                            raise KeyboardInterrupt
                        if stopping.asked:
                            break
        except BaseException:
            with suppress(OSError, ClipvizError):  # the disk may be full: the parts stand all the same
                _ended(folder, order, old, began, bool(missing))
            raise
        told = _ended(folder, order, old, began, bool(missing))
    if notes:
        more = f" ({len(notes)} such notes)" if len(notes) > 1 else ""
        warnings.warn(f"{notes[0]}{more}", ClipvizWarning, stacklevel=3)
    counts = told.counts
    if stopping.asked and counts["missing"]:
        logger.warning(
            "Stopped by SIGTERM: %d of %d are in the store %r, which is whole; run the same again for the others.",
            counts["done"], counts["pictures"], str(folder),
        )  # fmt: skip
        raise SystemExit(128 + stopping.asked)
    if not counts["done"]:
        name, reason = next(_failures(folder, parts))
        raise DataError(f"None of the {len(ids)} {unit}s of {source.where_from} can be embedded; {name!r}: {reason}")
    return told


def _keep(folder: Path, order: Order, outcome: Outcome, ids: Sequence[str]) -> None:
    """Write a part."""
    part, manifest = outcome.part, order.manifest
    inside = ids[part.start : part.stop]
    metadata = order.reader.source.metadata(part.start, part.stop)
    embedded = [i for i, fact in enumerate(outcome.facts) if fact.reason is None]
    rows = rows_table(order.schema, [inside[i] for i in embedded], [metadata[i] for i in embedded])
    empty = np.zeros((0, manifest.model["embed_dim"]), np.float32)
    vectors = np.concatenate([empty, *outcome.vectors]).astype(manifest.settings["dtype"])
    write_part(folder, part.number, rows, vectors, record_table(inside, outcome.facts))


def _begun(manifest: Manifest, old: Manifest | None, began: float) -> Manifest:
    """The manifest of a run that has begun: where it is killed, this is what stands."""
    times = {"started": _when(began), "updated": _when(began), "seconds": 0.0} if old is None else old.times
    return manifest.but(counts=old.counts if old else {}, times=times, devices=_devices(manifest, old))


def _ended(folder: Path, order: Order, old: Manifest | None, began: float, worked: bool) -> Manifest:
    """Count, list what failed, and write the manifest where it says anything new."""
    counts, fingerprint = conclude(folder, order.reader.source.ids, order.parts, order.lost)
    times = {"started": _when(began), "updated": _when(time.time()), "seconds": 0.0, **(old.times if old else {})}
    spent = round(times["seconds"] + time.time() - began, 1)
    told = order.manifest.but(
        data={**order.manifest.data, "fingerprint": fingerprint},
        counts={**counts, "skipped": order.skipped},
        complete=not counts["missing"],
        devices=_devices(order.manifest, old),
        times={**times, "updated": _when(time.time()), "seconds": spent},
    )
    if old is not None and not worked:
        told = told.but(times=old.times, versions=old.versions, devices=old.devices)
        if told == old:
            return old
    told.write(folder)
    return told


def _devices(manifest: Manifest, old: Manifest | None) -> list[str]:
    return sorted({*manifest.devices, *(old.devices if old else ())})


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))


def _failures(folder: Path, parts: Sequence[Part]) -> Iterator[tuple[str, str]]:
    for part in parts:
        for row in read_record(folder, part.number, ["id", "reason"]).to_pylist():
            yield row["id"], row["reason"]


def _refuse_other_data(folder: Path, old: Manifest, source: Things) -> None:
    """DataError where a store shares no picture with the data: more likely a wrong out than data that all changed."""
    there = whole_parts(folder)
    if not there:
        return
    names = {plain(id) for id in source.ids}
    for number in there:
        try:
            if not names.isdisjoint(read_record(folder, number, ["id"])["id"].to_pylist()):
                return
        except DataError:  # damaged, and made anew if the rest fits
            continue
    raise DataError(
        f"The store {str(folder)!r} holds other {old.kind} (of {old.data.get('where')}) than {source.where_from}: not "
        "one id is the same. Name another out."
    )


def new_manifest(kind: str, model: dict[str, Any], settings: dict[str, Any], data: dict[str, Any], schema: pa.Schema,
                 device: str) -> Manifest:  # fmt: skip
    """A manifest before anything is computed."""
    columns = {field.name: str(field.type) for field in list(schema)[1:]}
    return Manifest(kind, model, settings, data, columns, versions=versions(), devices=[device])
