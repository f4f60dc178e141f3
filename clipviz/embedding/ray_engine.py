"""The engine for more than one machine: Ray Data reads, decodes and encodes, and this process writes the parts."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import ClipvizError, DataError, InputError, ModelError
from ..model import Model
from .decoding import Decoder, Fact, another_main
from .filling import Outcome
from .layout import Part
from .manifest import SAME, model_facts
from .ray_driver import DONE, HEAD_DIED, Job, drive, end_cluster
from .ray_worker import SentModel

logger = logging.getLogger(__name__)
SILENCE = 300.0  # seconds without a result after which a log line says so
AGAIN = "run the same again, which does what is missing."


def check(address: str | None, workers: int | None) -> None:
    """InputError where Ray is not there, or cannot be used as was asked; nothing is started."""
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            "engine='ray' needs Ray Data, which is not installed: pip install \"clipviz[scale]\", or leave engine= out."
        )
    if address is not None and (not isinstance(address, str) or not address or "://" in address):
        raise InputError(f"address={address!r} is no address of a Ray cluster; pass 'host:6379' or 'auto'.")
    if workers == 0:
        raise InputError("workers=0: on Ray at least one process holds the model; pass 1 or more, or leave it out.")


def over_ray(
    model: Model,
    decoder: Decoder,
    batch_size: int,
    workers: int | None,
    parts: Sequence[Part],
    seen: Callable[[int, int], Any],
    *,
    address: str | None = None,
) -> Iterator[Outcome]:
    """Compute ``parts`` on a Ray cluster, in any order: an engine, as `runner.local` is one, of the same batches.

    ``workers`` processes hold the model, by default one a GPU or one for every two cores. ``address`` is of a cluster
    whose machines see the pictures under the same paths; without it one is started here, on localhost alone, and ended.
    A worker may die: its batches are done again.

    Raises DataError where the head dies, or the cluster cannot see the pictures; ModelError where it has another model.
    """
    if not parts:
        return
    with ExitStack() as stack:
        # short, because the paths of sockets in it may have no more than 107 characters
        folder = tempfile.mkdtemp(prefix=f"clipviz-ray-{os.getpid()}-", dir="/tmp" if Path("/tmp").is_dir() else None)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        job = Job(
            decoder, sent(model, Path(folder) / "model"), Image.MAX_IMAGE_PIXELS, [(p.start, p.stop) for p in parts],
            batch_size, workers, address, folder, model.device.type == "cuda",
        )  # fmt: skip
        starts, finished = [part.start for part in parts], set[int]()
        waiting: defaultdict[int, dict[int, Any]] = defaultdict(dict)
        for start, content in stack.enter_context(_driving(job)):
            part = parts[bisect_right(starts, start) - 1]
            if part.number in finished or start in waiting[part.number]:
                continue  # whatever was done twice
            facts, _, vectors = waiting[part.number][start] = content
            if address is not None:
                refuse_blindness(decoder, start, facts, address)
            seen(len(facts), len(facts) - len(vectors))
            if sum(len(facts) for facts, _, _ in waiting[part.number].values()) == len(part):
                outcome = Outcome(part)
                for _, (facts, notes, vectors) in sorted(waiting.pop(part.number).items()):
                    outcome.facts += facts
                    outcome.notes += notes
                    outcome.vectors.append(vectors)
                finished.add(part.number)
                yield outcome


def sent(model: Model, folder: Path) -> SentModel:
    """What opens ``model`` again in a worker; written to ``folder`` as safetensors, but for a model of open_clip's."""
    facts = model_facts(model)
    how = {"precision": model.precision, "device": model.device.type}
    same = {key: facts[key] for key in SAME}
    if model.kind != "other":
        return SentModel({"name": str(model.save(folder)), **how}, same)
    if model.tag is None:
        raise ModelError(
            f"{model.name} is run by open_clip and came from a file or a program, and a Ray worker cannot open it "
            "again; load it by its name and tag, or leave engine= out."
        )
    return SentModel({"name": model.name, "tag": model.tag, "image_size": model.image_size, **how}, same)


@contextmanager
def _driving(job: Job) -> Iterator[Iterator[tuple[int, Any]]]:
    """What a process gives that runs `drive`; it ends with the context, and the cluster that it started with it."""
    context = get_context("spawn")
    incoming, outgoing = context.Pipe(duplex=False)
    process = context.Process(target=drive, args=(job, outgoing), name="ray")
    with another_main(job.decoder.source.opening is not None):
        process.start()
    outgoing.close()
    ended: list[bool] = []
    try:
        yield _coming(process, incoming, job.address, ended)
    finally:
        incoming.close()
        if ended:
            process.join(30)  # it shuts its cluster down
        process.kill()
        process.join()
        end_cluster(job.folder)


def _coming(
    process: BaseProcess, incoming: Connection, address: str | None, ended: list[bool]
) -> Iterator[tuple[int, Any]]:
    at, silent = "" if address is None else f" at {address}", False
    while True:
        if not connection.wait([incoming, process.sentinel], SILENCE):
            if not silent:
                logger.warning("The Ray cluster%s has given nothing for %d s; is it large enough?", at, SILENCE)
            silent = True
            continue
        try:
            message = incoming.recv()
        except (EOFError, OSError):
            break
        silent = False
        if message == DONE or isinstance(message, ClipvizError | str):
            ended.append(True)
            if isinstance(message, ClipvizError):
                raise message
            if message != DONE:
                raise DataError(f"The run on the Ray cluster{at} failed ({message}): {AGAIN}")
            return
        yield message
    process.join()
    what = "died" if process.exitcode == HEAD_DIED else f"cannot be reached any more (code {process.exitcode})"
    raise DataError(f"The head of the Ray cluster{at} {what}; the parts that were finished are in the store: {AGAIN}")


def refuse_blindness(decoder: Decoder, start: int, facts: Sequence[Fact], address: str | None) -> None:
    """DataError where a worker does not see a file that this process sees, which is no fault of the picture."""
    for place, fact in enumerate(facts, start):
        if fact.sha256 is None and fact.stamp is None and decoder.source.stamp(place) is not None:
            raise DataError(
                f"The workers of the Ray cluster at {address} do not see {decoder.source.ids[place]!r} of "
                f"{decoder.source.where_from} ({fact.reason}); put the pictures where all machines see them under the "
                "same path."
            )
