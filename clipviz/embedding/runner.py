"""The local engine: decoding in worker processes, the network in lanes beside them, the parts in their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch
from numpy.typing import NDArray

from ..errors import DataError
from ..model import Model
from ..model.pixels import encode_squares
from .decoding import Decoded, Decoder, decode, decoding
from .filling import Outcome
from .layout import Part

FEW = 512  # pictures for which starting processes takes longer than it saves
LANES = 4  # batches in the network at a time, at most


@dataclass(frozen=True)
class Cores:
    """How the cores are shared: ``workers`` processes decode, ``lanes`` batches at a time are in the network."""

    workers: int
    lanes: int
    threads: int  # of the network, in each lane


def share_cores(model: Model, workers: int | None, pictures: int) -> Cores:
    """On a processor, lanes of few threads each that wait for nobody, beside as many workers as there are cores.

    The threads of one batch would wait for each other after every layer, which costs most where decoding takes a core
    from one of them; batches of their own do not. Workers that are ahead sleep. A GPU has one lane.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_cpu = model.device.type == "cpu"
    if workers is None:
        workers = 0 if pictures < FEW else min(cores, 8 if on_cpu else 16)
    lanes = min(torch.get_num_threads(), LANES) if on_cpu else 1
    return Cores(workers, lanes, max(1, torch.get_num_threads() // lanes))


def local(
    model: Model,
    decoder: Decoder,
    batch_size: int,
    workers: int | None,
    parts: Sequence[Part],
    seen: Callable[[int, int], Any],
) -> Iterator[Outcome]:
    """Compute ``parts``, in order. A batch is ``batch_size`` places of a part, less those that fail: what is computed
    together depends on nothing but the data. ``seen(n, failed)`` is told of each batch that is done.

    Raises DataError where a worker dies, as by want of memory.
    """
    batches = (
        (part, start, min(start + batch_size, part.stop))
        for part in parts
        for start in range(part.start, part.stop, batch_size)
    )
    cores = share_cores(model, workers, sum(len(part) for part in parts))
    threads = torch.get_num_threads()
    with ExitStack() as stack:
        lanes = ThreadPoolExecutor(cores.lanes, "lane", torch.set_num_threads, (cores.threads,))
        stack.callback(torch.set_num_threads, threads)  # which each lane changes for threads to come
        stack.callback(lanes.shutdown, wait=True, cancel_futures=True)
        pool = stack.enter_context(decoding(decoder, cores.workers)) if cores.workers else None
        outcome: Outcome | None = None
        try:
            for part, decoded, vectors in _ahead(model, decoder, batches, batch_size, cores, lanes, pool):
                if outcome is None:
                    outcome = Outcome(part)
                outcome.facts += decoded.facts
                outcome.notes += decoded.notes
                outcome.vectors.append(vectors)
                seen(len(decoded.facts), len(decoded.facts) - len(vectors))
                if len(outcome.facts) == len(part):
                    yield outcome
                    outcome = None
        except BrokenProcessPool as error:
            raise DataError(
                "A process that decodes pictures died, most likely for want of memory; pass workers=0 to decode in "
                "this one, or run it again."
            ) from error


def _ahead(
    model: Model,
    decoder: Decoder,
    batches: Iterator[tuple[Part, int, int]],
    batch_size: int,
    cores: Cores,
    lanes: ThreadPoolExecutor,
    pool: Executor | None,
) -> Iterator[tuple[Part, Decoded, NDArray[Any]]]:
    """The batches in order, as many decoded and in the network ahead as keep both busy, and no more."""
    to_decode: deque[tuple[Part, Any, Future[Decoded] | None]] = deque()
    to_see: deque[tuple[Part, Future[tuple[Decoded, NDArray[Any]]]]] = deque()

    def see(decoded: Decoded) -> tuple[Decoded, NDArray[Any]]:
        vectors = encode_squares(model, decoded.squares, batch_size=batch_size)
        decoded.squares.clear()
        return decoded, vectors

    one_at_a_time = Lock()  # the warnings that a decoder catches are the process's, not the thread's

    def decode_and_see(start: int, stop: int) -> tuple[Decoded, NDArray[Any]]:
        with one_at_a_time:
            decoded = decoder(start, stop)
        return see(decoded)

    more = True
    while more or to_decode or to_see:
        while more and len(to_decode) < 2 * cores.workers + 1:
            found = next(batches, None)
            more = found is not None
            if found is not None:
                part, start, stop = found
                to_decode.append((part, (start, stop), pool.submit(decode, start, stop) if pool else None))
        while to_decode and len(to_see) < 2 * cores.lanes:
            part, place, coming = to_decode.popleft()
            if coming is None:
                to_see.append((part, lanes.submit(decode_and_see, *place)))
            else:
                to_see.append((part, lanes.submit(see, coming.result())))
            if more:
                break  # the workers' own queue is filled first
        else:
            if to_see:
                part, done = to_see.popleft()
                yield part, *done.result()
