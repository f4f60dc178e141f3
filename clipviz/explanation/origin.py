"""`Origin`: where the picture of a heatmap came from, so that it need not be kept to be drawn."""

from __future__ import annotations

import io
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ClipvizError, InputError
from ..images import open_image
from ..model import Look
from ..sources import Item

if TYPE_CHECKING:
    from PIL.Image import Image


class Holder(Protocol):
    """What gives pictures by their name: a `Source`, or a file of saved heatmaps."""

    def __getitem__(self, key: str) -> Item: ...
    def bytes(self, key: str) -> bytes: ...


@dataclass(frozen=True)
class Origin:
    """How to have a picture again: a path, the object that was given, or a ``holder`` and the name in it.

    A thousand decoded photographs are gigabytes; a thousand paths are not: of a PIL picture that was opened from a file
    and left as it was, the path is kept. Bytes, arrays and other objects are kept whole. ``mark`` is a checksum
    of the pixels, by which a file that changed since, or an array that was written over, is noticed and not drawn under
    a map that is not its own.
    """

    given: Any
    mark: int
    key: str | None = None

    @classmethod
    def of(cls, given: Any, picture: Image, holder: Holder | None = None) -> Origin:
        """Of what `open_image` takes, a `Look`, or the name in a ``holder``; ``picture`` is what it gave now."""
        if holder is not None:
            return cls(holder, mark_of(picture), str(given))
        if isinstance(given, str | os.PathLike):
            given = str(Path(os.fsdecode(given)).expanduser().absolute())  # the working folder may change
        elif isinstance(given, Look):
            given = given.picture  # and not all that the model traced of it
        elif hasattr(given, "read"):
            given = picture  # a stream may be closed by then
        mark = mark_of(picture)
        return cls(_file_of(given, mark) or given, mark)

    def open(self) -> Image:
        """The picture, upright, in RGB. Raises InputError where it is gone, or no longer what was explained."""
        try:
            picture = open_image(self.given) if self.key is None else self.given[self.key].image
        except ClipvizError as error:
            raise InputError(f"The picture of this heatmap cannot be opened again: {error}") from error
        if mark_of(picture) != self.mark:
            raise InputError(
                f"The picture of this heatmap is not what it was when it was explained ({self.name}): explain it again."
            )
        return picture

    def encoded(self) -> bytes:
        """The picture as a file: as it is stored where it lies in one, else as PNG. Raises InputError, as `open`."""
        picture = self.open()
        if self.key is not None:
            stored = self.given.bytes(self.key)
        elif isinstance(self.given, str):
            stored = Path(self.given).read_bytes()
        elif isinstance(self.given, bytes):
            stored = self.given
        else:
            file = io.BytesIO()
            picture.save(file, "PNG")
            return file.getvalue()
        return bytes(stored)

    @property
    def name(self) -> str:
        """What the picture is called, in messages."""
        if self.key is not None:
            return repr(self.key)
        return repr(self.given) if isinstance(self.given, str) else f"given as {type(self.given).__name__}"


def _file_of(given: Any, mark: int) -> str | None:
    """The path of the file that a PIL picture was opened from, if it still gives these very pixels."""
    name = getattr(given, "filename", None) if hasattr(given, "getexif") else None
    if not isinstance(name, str | os.PathLike) or not os.fsdecode(name) or getattr(given, "is_animated", False):
        return None
    path = str(Path(os.fsdecode(name)).absolute())
    try:
        return path if mark_of(open_image(path)) == mark else None  # what was drawn into is kept as it is
    except InputError:
        return None


def mark_of(picture: Image) -> int:
    """CRC-32 of the size and the pixels: against accidents, not against malice."""
    return zlib.crc32(picture.tobytes(), zlib.crc32(repr(picture.size).encode()))
