"""What was read last, up to so many bytes, in each process for itself."""

from __future__ import annotations

import threading
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key; the ones unused for longest go when all together exceed ``limit`` bytes, save the newest.

    A pickled copy is empty. Threads may share it: two that miss the same key both read it, and either value serves.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._start()

    def _start(self) -> None:
        self._kept: dict[Key, tuple[Value, int]] = {}  # in the order of use
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        with self._lock:
            found = self._kept.pop(key, None)
            if found is None:
                return None
            self._kept[key] = found
            return found[0]

    def put(self, key: Key, value: Value, size: int) -> Value:
        with self._lock:
            self._bytes += size - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = (value, size)
            while self._bytes > self.limit and len(self._kept) > 1:
                self._bytes -= self._kept.pop(next(iter(self._kept)))[1]
        return value

    def __len__(self) -> int:
        return len(self._kept)

    def __getstate__(self) -> dict[str, Any]:
        return {"limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.limit = state["limit"]
        self._start()
