"""Being asked to stop: a signal is noted, and who works leaves after the step or the part in hand."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

logger = logging.getLogger(__name__)


class Stopping:
    """Within it, ``kinds`` of signals are kept in ``asked`` instead of ending the process; a second SIGINT ends it.

    Signals reach the main thread alone: in another thread nothing changes. With ``at_once`` a SIGINT that Python would
    raise as KeyboardInterrupt is raised and kept: inside a finalizer Python drops what is raised, and ``asked`` knows.
    """

    def __init__(self, kinds: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT), *, at_once: bool = False) -> None:
        self.kinds = kinds
        self.at_once = at_once
        self.asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for kind in self.kinds:
                self._before[kind] = signal.signal(kind, self._note)
            if self.at_once and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.asked == signal.SIGINT
        self.asked = number
        if number == signal.SIGINT and (again or self.at_once):
            raise KeyboardInterrupt


def leaving(asked: int, done: int, tells: bool) -> BaseException:
    """What ends a run that a signal asked to stop, after its checkpoint was written."""
    sentence = (
        f"Stopped by {signal.Signals(asked).name} after step {done}, whose checkpoint is written: go on with "
        "resume=True (--resume)."
    )
    if asked == signal.SIGINT:
        return KeyboardInterrupt(sentence)
    if tells:
        logger.warning(sentence)  # an exit with a number tells nothing by itself
    return SystemExit(128 + asked)
