"""One run writes a folder: a lock that the kernel drops when the process that holds it is gone."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import DataError

LOCK = ".lock"
PATIENCE = 1.0  # seconds in which a holder that has just locked the file writes into it who it is


@contextmanager
def hold(folder: str | Path, rank: int = 0) -> Iterator[None]:
    """Within it, ``folder`` (made where it is missing) is this run's alone; of several processes, rank 0 holds it.

    The lock is `flock` on ``folder/.lock``, which tells the process id, the machine and the start. It ends with
    the process, however that ends, so what a killed run leaves behind holds nobody up.

    Raises DataError where another run holds the folder, with its process id and start, or where the folder
    cannot be written.

    >>> with hold("runs/tiny"):  # doctest: +SKIP
    ...     pass
    """
    if rank:
        yield
        return
    import fcntl  # here, because Windows has none and reads recipes all the same

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(folder, fcntl)
    except OSError as error:
        raise DataError(
            f"No run can be written to {str(folder)!r} ({error.strerror or error}): choose another out."
        ) from error
    try:
        _sign(file)
        yield
    finally:
        # Removed while it is still held: whoever waits on this file sees that it is gone, and makes a new one.
        with suppress(OSError):
            (folder / LOCK).unlink()
        os.close(file)


def _locked(folder: Path, fcntl: Any) -> int:
    """The locked file, or DataError naming who has it."""
    while True:
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = _holder(file)
            os.close(file)
            raise DataError(
                f"Another run writes {str(folder)!r}: {told}. Wait for it, stop it, or choose another out."
            ) from None
        except BaseException:
            os.close(file)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.stat(folder / LOCK)):
                os.ftruncate(file, 0)  # what a killed run wrote into it
                return file
        os.close(file)  # its holder removed it between our opening and our locking: once more, with a new one


def _sign(file: int) -> None:
    me = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.strftime("%Y-%m-%d %H:%M:%S %z")}
    os.pwrite(file, (json.dumps(me) + "\n").encode(), 0)


def _holder(file: int) -> str:
    """Who holds a lock, in words."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            who = json.loads(os.pread(file, 4096, 0))
            elsewhere = "" if who["host"] == socket.gethostname() else f" on {who['host']}"
            return f"process {who['pid']}{elsewhere}, since {who['started']}"
        except (ValueError, KeyError, TypeError):
            if time.monotonic() > end:
                return "a process that has not said which"
        time.sleep(0.01)
