"""Decoding in worker processes, ahead of the model: bytes -> the squares that the model sees, and what they were."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ClipvizWarning, DataError, InputError
from ..images import open_image, squares
from ..sources import Source


@dataclass(frozen=True)
class Fact:
    """What is known of a picture once it was read: its stamp, its bytes' size and hash, and why it failed, if so."""

    stamp: tuple[int, int] | None
    size: int | None = None
    sha256: bytes | None = None
    reason: str | None = None


@dataclass
class Decoded:
    """A batch: a Fact for each place, the squares uint8 [tiles, S, S, 3] of those without a reason, and warnings."""

    facts: list[Fact] = field(default_factory=list)
    squares: list[NDArray[np.uint8]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Decoder:
    """Decodes places of a source; it can be sent to another process.

    ``how`` are the arguments of `clipviz.images.squares`, ``draft`` the least short side of a draft of a JPEG or None.
    """

    source: Source
    how: dict[str, Any]
    draft: int | None = None

    def __call__(self, start: int, stop: int) -> Decoded:
        out = Decoded()
        for place in range(start, stop):
            stamp = self.source.stamp(place)  # before the bytes, so that a change in between is seen the next time
            try:
                data = self.source.bytes(place)
            except DataError as error:
                out.facts.append(Fact(stamp, reason=str(error.__cause__ or error)))
                continue
            known = (stamp, len(data), hashlib.sha256(data).digest())
            try:
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("always", ClipvizWarning)
                    out.squares.append(squares(open_image(data, draft=self.draft), **self.how)[0])
                out.notes += [str(w.message) for w in said if issubclass(w.category, ClipvizWarning)]
                out.facts.append(Fact(*known))
            except InputError as error:
                out.facts.append(Fact(*known, reason=str(error).replace("The bytes object", "The picture", 1)))
        return out


@contextmanager
def decoding(decoder: Decoder, workers: int) -> Iterator[ProcessPoolExecutor]:
    """``workers`` processes that run `decode`; they end with the context, and with this process, however it ends."""
    from multiprocessing import get_context

    # torch's threads do not survive a fork
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (decoder, Image.MAX_IMAGE_PIXELS))
    try:
        with another_main(decoder.source.opening is not None):
            for _ in range(workers):
                pool.submit(os.getpid)  # starts one process each
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def decode(start: int, stop: int) -> Decoded:
    """What a worker runs."""
    return _mine[0](start, stop)


_mine: list[Decoder] = []


def _begin(decoder: Decoder, most_pixels: int | None) -> None:
    """Of a worker: it heeds no signal, for a whole group is often sent one, and does not outlive who started it."""
    from multiprocessing import parent_process

    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, signal.SIG_IGN)
    Image.MAX_IMAGE_PIXELS = most_pixels
    _mine[:] = [decoder]
    parent = parent_process()

    def leave() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


@contextmanager
def another_main(hidden: bool) -> Iterator[None]:
    """Within it, a new process does not run the caller's script again, which a script without a guard would suffer.

    Objects whose class is the script's own could not be sent then: for them nothing is ``hidden``.
    """
    main = sys.modules["__main__"]
    if hidden:
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
