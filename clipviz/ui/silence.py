"""Controls that a panel moves by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Silence:
    """What a panel of controls has: those that it moves by itself do not ask once more."""

    _silent = False

    @contextmanager
    def _silently(self) -> Iterator[None]:
        self._silent = True
        try:
            yield
        finally:
            self._silent = False
