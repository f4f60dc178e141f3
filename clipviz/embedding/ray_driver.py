"""The process that speaks to Ray: it starts or joins a cluster, has Ray Data do the work, and hands on what comes.

It is a process of its own because Ray ends the one that speaks to it when the head of the cluster dies; who started
this one still has the store, and says what happened.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..errors import ClipvizError, InputError
from .decoding import Decoder
from .ray_worker import Encoder, SentModel, lean, read

DONE, HEAD_DIED = "done", 86  # the last word, and the exit code that says so
BLOCK = 16 * 2**20  # bytes that one read gives at a time: three batches of 32 pictures of 224 pixels
STORE, STORE_PER_WORKER = 256 * 2**20, 128 * 2**20  # bytes of a local cluster's object store
STARTS = 4  # a busy machine may take longer over a start than the 30 s that Ray waits
_NAMED = re.compile(r"[\w.]+(Error|Exception|Exit)(\([\w.]+\))?: ")
PATIENCE = {True: 2.0, False: 30.0}  # seconds in which the head does not answer: of a local cluster, of another


@dataclass(frozen=True)
class Job:
    """What is to be done: ``parts`` are (start, stop) of the source, each done in batches of ``batch_size`` places.

    ``folder`` is a short one for what a local cluster writes, its log among it; ``workers`` None is what fits.
    """

    decoder: Decoder
    model: SentModel
    most_pixels: int | None
    parts: Sequence[tuple[int, int]]
    batch_size: int
    workers: int | None
    address: str | None
    folder: str
    gpu: bool


def drive(job: Job, out: Connection) -> None:
    """Do ``job``; send (start, (facts, notes, vectors)) of each batch in any order, then DONE, or why not."""
    os.setpgrp()  # a signal to the group of who started this must not end the cluster before the part in hand is done
    _heed_nothing()
    with open(os.path.join(job.folder, "driver.log"), "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    threading.Thread(target=_leave_with_parent, args=(job.folder,), daemon=True).start()
    head: tuple[str, int] | None = None
    try:
        head = _join(job)
        _heed_nothing()  # Ray has put its own in place
        threading.Thread(target=_leave_with_head, args=(*head, PATIENCE[job.address is None]), daemon=True).start()
        for start, content in _results(job):
            out.send((start, content))
        out.send(DONE)
    except BaseException as error:
        if head is not None and not _answers(*head):
            os._exit(HEAD_DIED)
        traceback.print_exc()
        out.send(_told(error))
    out.close()
    import ray

    ray.shutdown()


def _heed_nothing() -> None:
    for kind in (signal.SIGINT, signal.SIGTERM):  # who started this is told too, and ends it
        signal.signal(kind, signal.SIG_IGN)


def _join(job: Job) -> tuple[str, int]:
    """Start a cluster on this machine alone, or join that of ``address``; where its head listens."""
    local = job.address is None
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if local:
        os.environ.update(
            OMP_NUM_THREADS="1",
            RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # Ray's own switch to 127.0.0.1, whatever the system
            RAY_agent_register_timeout_ms="120000",
            RAY_enable_metrics_collection="0",
        )
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if job.address is not None:
        where, _, port = job.address.rpartition(":")
        if port.isdigit() and not _answers(where.strip("[]"), int(port)):  # Ray would try for minutes
            raise InputError(
                f"No Ray cluster answers at address={job.address!r}; start one with ray start --head, or leave it out."
            )
        ray.init(address=job.address, **quiet)
    for attempt in range(STARTS if local else 0):
        cores = os.cpu_count() or 1
        workers = _workers(job, cores)
        # beside those that hold the model there are those that read, and on a processor few keep up with it
        cores = max(2, cores) if job.gpu else workers + max(1, workers // 2)
        try:
            ray.init(
                address="local", num_cpus=cores, include_dashboard=False, _temp_dir=job.folder,
                object_store_memory=STORE + workers * STORE_PER_WORKER, **quiet,
            )  # fmt: skip
            break
        except Exception:
            ray.shutdown()
            end_cluster(job.folder)  # Ray forgets what it had started, which would slow down the next start
            if attempt == STARTS - 1:
                raise
    where, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return where.strip("[]"), int(port)


def _workers(job: Job, cores: float, gpus: float = 0) -> int:
    """How many processes hold the model: as were asked, or one a GPU, or one for every two cores."""
    if job.workers is not None:
        return job.workers
    return max(1, int(gpus if job.gpu and gpus else cores // 2))


def _results(job: Job) -> Iterator[tuple[int, Any]]:
    import pickle

    import ray
    import ray.data
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.target_max_block_size = BLOCK
    has = ray.cluster_resources()
    workers = _workers(job, has.get("CPU", 1), has.get("GPU", 0))
    decoder = ray.put((replace(job.decoder, source=lean(job.decoder.source)), job.most_pixels))
    model = job.model
    if job.address is not None and "name" in model.load and Path(folder := model.load["name"]).is_dir():
        model = replace(model, files={file.name: file.read_bytes() for file in Path(folder).iterdir()})
    reads = stretches(job.parts, job.batch_size, 2 * int(has.get("CPU", 1)))

    class Places(Datasource):
        """The places of a `Source`, which reads them: Ray's own readers know no places, and no ids."""

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[Any]:
            return [
                ReadTask(
                    partial(read, decoder, start, stop, job.batch_size),
                    BlockMetadata(-(-(stop - start) // job.batch_size), None, None, None),
                )
                for start, stop in reads
            ]

        def estimate_inmemory_data_size(self) -> int | None:
            return None

    needs = {"num_gpus": 1, "num_cpus": 0} if job.gpu else {"num_cpus": 1}
    done = ray.data.read_datasource(Places(), override_num_blocks=len(reads)).map_batches(
        Encoder,
        fn_constructor_args=(ray.put(model), job.batch_size),
        batch_size=1,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(size=workers),
        max_restarts=-1,
        max_task_retries=10,  # a picture that ends whoever looks at it must not be looked at for ever
        **needs,
    )
    for rows in done.iter_batches(batch_size=None, batch_format="pyarrow"):
        for start, content in zip(rows["start"].to_pylist(), rows["content"], strict=True):
            yield start, pickle.loads(content.as_buffer())  # what `Encoder` pickled in this run


def stretches(parts: Sequence[tuple[int, int]], batch_size: int, wanted: int) -> list[tuple[int, int]]:
    """(start, stop) of each read: a part, or some batches of one where there are fewer than ``wanted`` parts.

    >>> stretches([(0, 8)], 4, 2)
    [(0, 4), (4, 8)]
    """
    times = -(-wanted // max(1, len(parts)))
    found = []
    for start, stop in parts:
        batches = -(-(stop - start) // batch_size)
        step = batch_size * -(-batches // times)
        found += [(at, min(at + step, stop)) for at in range(start, stop, step)]
    return found


def _told(error: BaseException) -> ClipvizError | str:
    """An error of ours as it is, of another the line that names it; of what a worker raised where one did."""
    cause: BaseException = error
    while isinstance(inner := getattr(cause, "cause", None) or cause.__cause__, BaseException):
        cause = inner
    if isinstance(cause, ClipvizError):
        return cause
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    named = [line for line in lines if _NAMED.match(line)]  # Ray's texts hold tracebacks, and advice after them
    return (named or lines)[-1].removesuffix(".")[:400]


def _answers(where: str, port: int) -> bool:
    try:
        socket.create_connection((where, port), 5).close()
    except OSError:
        return False
    return True


def _leave_with_head(where: str, port: int, patience: float) -> None:
    since = time.monotonic()
    while time.monotonic() - since < patience:
        time.sleep(0.5)
        if _answers(where, port):
            since = time.monotonic()
    os._exit(HEAD_DIED)


def _leave_with_parent(folder: str) -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        end_cluster(folder)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


def end_cluster(folder: str) -> None:
    """End what is left of the local cluster in ``folder``, where the system tells: agents outlive a killed head."""
    end = time.monotonic() + 10
    while (left := [pid for pid in users(folder) if pid != os.getpid()]) and time.monotonic() < end:
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)  # until they are gone, and what they were starting meanwhile


def users(folder: str) -> list[int]:
    """The processes that have a file in ``folder`` open, as all of a local cluster have: their logs are there."""
    found = []
    for fds in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            if any(os.readlink(fd).startswith(folder) for fd in fds.iterdir()):
                found.append(int(fds.parent.name))
    return found
