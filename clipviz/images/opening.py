"""Any way to hand a picture over -> a PIL picture in RGB, upright; what cannot be read is refused with its reason."""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from clipviz.errors import ClipvizWarning, InputError

from .colours import from_array, from_tensor, to_rgb

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
_KINDS = "a path, bytes, a binary file, a PIL picture, an array [H, W], [H, W, 3] or [H, W, 4], or a tensor [3, H, W]"


def open_image(source: Any, *, draft: int | None = None) -> Image.Image:
    """Any picture -> a PIL picture in RGB, upright, on white where it was transparent.

    Parameters
    ----------
    source : a path, bytes, a binary file object, a PIL picture, a NumPy array [H, W], [H, W, 1], [H, W, 3] or
        [H, W, 4], or a torch tensor [3, H, W]; arrays and tensors are uint8 in 0..255 or floating in 0..1. Of an
        animated file the first frame is taken, with a ClipvizWarning. 16-bit grey is scaled to 8 bits. The caller's
        object stays as it was.
    draft : for bytes, the least short side in pixels: a JPEG may be decoded to a half, a quarter or an eighth of its
        size, which is quicker and a little different. By default every pixel is decoded.

    Raises
    ------
    InputError : what is missing, damaged, too large (``PIL.Image.MAX_IMAGE_PIXELS``) or not a picture.

    >>> open_image(np.zeros((4, 6))).size
    (6, 4)
    """
    if isinstance(source, Image.Image):
        return _decoded(source, "The PIL picture")
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), "The bytes object", draft)
    if isinstance(source, str | os.PathLike):
        return _from_path(source)
    if isinstance(source, list | tuple | set | dict):
        raise InputError(
            f"One picture is wanted, got a {type(source).__name__} of {len(source)}; pass one picture, "
            "or several with clipviz.explain(images, texts)."
        )
    torch = sys.modules.get("torch")  # who holds a tensor has imported torch
    if torch is not None and isinstance(source, torch.Tensor):
        return from_tensor(source)
    if isinstance(source, np.ndarray | np.generic) or hasattr(source, "__array__"):
        return from_array(np.asarray(source), "array")
    if hasattr(source, "read"):
        return _from_file(source)
    raise InputError(f"A picture is wanted, got {type(source).__name__}; pass {_KINDS}.")


def is_one_image(images: Any) -> bool:
    """Whether ``images`` is one picture, where a list of them is also taken: what `open_image` takes, by its kind.

    An array or tensor of four dimensions is many. Raises InputError for a mapping, whose keys are no pictures.
    """
    if isinstance(images, Mapping):
        raise InputError(f"Images are wanted, got a {type(images).__name__}; pass its values: list(images.values()).")
    if isinstance(images, str | bytes | bytearray | memoryview | os.PathLike | Image.Image):
        return True
    if hasattr(images, "read") or not isinstance(images, Iterable):
        return True
    return getattr(images, "ndim", 0) in (2, 3)


def _from_path(source: str | os.PathLike[Any]) -> Image.Image:
    name = os.fsdecode(source)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", name):
        raise InputError(f"{name[:80]!r} is an address and nothing is fetched; save the picture and pass its path.")
    try:
        path = Path(name).expanduser()
        if not name.strip() or path.is_dir():
            raise InputError(
                f"{name!r} is {'a folder' if name.strip() else 'an empty path'}, one picture is wanted; "
                "pass a picture's path, or read a whole folder with clipviz.open_source."
            )
        if not path.exists():
            raise InputError(f"There is no file {name!r} (from {os.getcwd()!r}); check the path of the picture.")
        if not path.is_file():
            raise InputError(f"{name!r} is not a regular file; pass the path of a picture.")
        with path.open("rb") as file:
            return _from_stream(file, repr(name))
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name[:200]!r} cannot be opened ({reason}); pass a picture that can be read.") from error


def _from_file(source: IO[Any]) -> Image.Image:
    try:
        start = source.tell() if getattr(source, "seekable", lambda: False)() else None
        data = source.read()
        if start is not None:
            source.seek(start)
    except (OSError, ValueError) as error:
        raise InputError(f"The file object cannot be read ({error}); open the file with mode 'rb'.") from error
    if not isinstance(data, bytes):
        raise InputError(f"The file object gave {type(data).__name__}, bytes are wanted; open the file with mode 'rb'.")
    if not data and start:
        raise InputError("The file object stands at its end, nothing is left to read; call its seek(0) first.")
    return _from_bytes(data, "The file object")


def _from_bytes(data: bytes, what: str, draft: int | None = None) -> Image.Image:
    if not data:
        raise InputError(f"{what} has 0 bytes, a picture file's content is wanted; pass the whole file's bytes.")
    return _from_stream(io.BytesIO(data), what, draft)


def _from_stream(stream: IO[bytes], what: str, draft: int | None = None) -> Image.Image:
    """Decode a picture file: everything that Pillow may raise on bad bytes becomes one InputError."""
    try:
        with Image.open(stream) as picture:
            _refuse_bomb(picture, what)
            if picture.format == "EPS":
                raise InputError(
                    f"{what} is EPS, which Pillow cannot draw alone; save it as PNG or JPEG and pass that."
                )
            # phones put a preview or a depth map behind the photograph (MPO), PSD its layers: the first is the picture
            if getattr(picture, "is_animated", False) and picture.format not in ("MPO", "PSD"):
                warnings.warn(
                    f"{what} has {getattr(picture, 'n_frames', 'several')} frames and the first is used; "
                    "pass another as a PIL picture after image.seek(n).",
                    ClipvizWarning,
                    stacklevel=4,
                )
            if draft is not None and picture.format == "JPEG":
                picture.draft(None, (draft, draft))
            return _decoded(picture, what)
    except UnidentifiedImageError as error:
        stream.seek(0)
        head = stream.read(12)
        if head.startswith(_MAGIC):  # the right beginning, and not enough of it
            raise _damaged(what, ValueError("its header cannot be read")) from error
        got = f"begins with {head!r}" if head else "is empty"
        hint = "pass a JPEG, PNG, WebP, GIF or TIFF"
        raise InputError(f"{what} is no picture that Pillow can read (it {got}); {hint}.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{what} is too large: {error}; shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS.") from error
    except (InputError, ClipvizWarning):
        raise
    except Exception as error:  # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error, ...
        raise _damaged(what, error) from error


def _damaged(what: str, error: Exception) -> InputError:
    return InputError(f"{what} is damaged or cut off ({error or type(error).__name__}); pass a whole picture file.")


def _refuse_bomb(picture: Image.Image, what: str) -> None:
    limit, (width, height) = Image.MAX_IMAGE_PIXELS, picture.size
    if limit is not None and width * height > limit:
        raise InputError(
            f"{what} is {width} x {height} pixels, at most {limit} pixels are decoded; "
            "shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS."
        )


def _decoded(picture: Image.Image, what: str) -> Image.Image:
    """A PIL picture of any mode -> a new one in RGB, upright, without EXIF (which would turn it a second time)."""
    if min(picture.size) < 1:
        raise InputError(f"{what} is {picture.width} x {picture.height} pixels; pass one of at least 1 x 1.")
    try:
        picture.load()
    except Exception as error:
        raise _damaged(what, error) from error
    try:
        turn = _TURNS.get(picture.getexif().get(0x0112, 1))
    except Exception:  # a damaged EXIF block says nothing about the pixels
        turn = None
    colours = to_rgb(picture, what)
    if turn is not None:
        colours = colours.transpose(turn)
    clean = Image.new("RGB", colours.size)
    clean.paste(colours)
    return clean
