"""Data sets that are Python objects: what torchvision's, PyTorch's and Hugging Face's have in common."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from clipviz.errors import InputError
from clipviz.images import open_image
from clipviz.sources.base import Source


class ObjectSource(Source):
    """Pictures that a Python object gives by their number; a format says how."""

    columns: tuple[str, ...] = ()

    @abstractmethod
    def _picture(self, row: int) -> Any:
        """What ``open_image`` takes: bytes of a file where they are at hand. What it raises is a damaged picture."""

    @abstractmethod
    def _about(self, row: int) -> dict[str, Any]:
        """The metadata of a row."""

    def _safely(self, row: int) -> Any:
        try:
            return self._picture(row)
        except Exception as error:  # another's code reads here: whatever it raises is this picture's fault
            return InputError(f"It could not be read from {self.where_from} ({type(error).__name__}: {error}).")

    def _read(self, rows: Sequence[int]) -> Iterator[tuple[int, Any, dict[str, Any]]]:
        for row in rows:
            yield row, self._safely(row), self._about(row)

    def _encoded(self, row: int) -> Any:
        picture = self._safely(row)
        if isinstance(picture, bytes | InputError):
            return picture
        try:
            file = BytesIO()
            open_image(picture).save(file, "PNG", compress_level=1)  # no picture is changed by it
        except InputError as error:
            return error
        return file.getvalue()

    def _contents(self, rows: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
        for row in rows:
            data = self._encoded(row)
            data = b"" if isinstance(data, InputError) else data
            yield row, len(data), hashlib.sha256(data).digest()

    def _metadata(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        return [self._about(row) for row in rows]
