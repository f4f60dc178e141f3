"""Pictures: any way to hand one over -> an upright RGB picture -> the model's pixels and the Frame that leads back."""

from __future__ import annotations

import io
import math
import os
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, UnidentifiedImageError

from clipviz.errors import ClipvizWarning, InputError
from clipviz.frame import MAX_TILES, VIEWS, Frame, layout

__all__ = [
    "MAX_TILES",
    "VIEWS",
    "Frame",
    "cut_tiles",
    "draw_canvas",
    "is_one_image",
    "normalised",
    "open_image",
    "prepare",
    "squares",
]

_MODES = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
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
        return _from_tensor(source)
    if isinstance(source, np.ndarray | np.generic) or hasattr(source, "__array__"):
        return _from_array(np.asarray(source), "array")
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
    colours = _to_rgb(picture, what)
    if turn is not None:
        colours = colours.transpose(turn)
    clean = Image.new("RGB", colours.size)
    clean.paste(colours)
    return clean


def _to_rgb(picture: Image.Image, what: str) -> Image.Image:
    mode = picture.mode
    if mode.startswith("I"):
        return _grey16(picture, what)
    if mode == "F":
        return _from_array(np.asarray(picture), "floating-point picture")
    try:
        if mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info:
            picture = ImageChops.invert(picture)  # Pillow takes every CMYK JPEG for Adobe's, whose inks are inverted
        if picture.has_transparency_data or mode in ("La", "RGBa"):
            # La has no direct way to RGBA
            full = (picture.convert("LA") if mode == "La" else picture).convert("RGBA")
            white = Image.new("RGBA", full.size, "white")
            return Image.alpha_composite(white, full).convert("RGB")
        return picture.convert("RGB")
    except ValueError as error:
        raise InputError(
            f"{what} has the mode {mode!r}, which has no way to RGB; save it as RGB and pass that."
        ) from error


def _grey16(picture: Image.Image, what: str) -> Image.Image:
    """Modes I;16 (any byte order) and I, 0..65535 -> 8 bits. Pillow's own conversion of I clips at 255."""
    values = np.asarray(picture).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise InputError(
            f"{what} holds whole numbers from {low} to {high} (mode {picture.mode!r}), 0 to 65535 are allowed; "
            "scale it to a float array in 0..1."
        )
    if picture.mode == "I" and 0 < high <= 255:
        raise InputError(
            f"{what} has 32-bit pixels of at most {high}, which is 8-bit grey or all but black 16-bit grey; "
            "pass image.convert('L') for the first, a float array in 0..1 for the second."
        )
    grey = np.round(values / 257.0).astype(np.uint8)
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey).convert("RGB")


def _from_tensor(tensor: Any) -> Image.Image:
    shape = list(tensor.shape)
    if len(shape) != 3 or shape[0] not in (1, 3, 4):
        hint = "pass [3, H, W]"
        if len(shape) == 4:
            hint = "pass one picture, tensor[0]"
        elif len(shape) == 3 and shape[2] in (1, 3, 4):
            hint = "put the channels first with tensor.permute(2, 0, 1)"
        raise InputError(f"A tensor must be one picture [3, H, W], got the shape {shape}; {hint}.")
    try:
        values = tensor.detach().cpu()
        values = values.float() if values.is_floating_point() else values
        array = values.numpy().transpose(1, 2, 0)
    except (RuntimeError, TypeError, NotImplementedError) as error:  # sparse, quantised, meta
        raise InputError(f"The tensor's values cannot be read ({error}); pass a dense uint8 or float one.") from error
    return _from_array(array, "tensor")


def _from_array(array: NDArray[Any], what: str) -> Image.Image:
    shape = list(array.shape)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = "pass one picture"
        if array.ndim == 4:
            hint = "pass one picture, array[0]"
        elif array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = "put the channels last with array.transpose(1, 2, 0)"
        raise InputError(f"An array must be [H, W], [H, W, 3] or [H, W, 4], got the shape {shape}; {hint}.")
    if array.size == 0:
        raise InputError(f"The {what} has no pixels (shape {shape}); at least 1 x 1 is wanted, pass another.")
    if np.issubdtype(array.dtype, np.floating):
        array = _bytes_of_floats(np.asarray(array), what)
    elif array.dtype != np.uint8:
        raise InputError(
            f"The {what} is {array.dtype}, uint8 in 0..255 or floating in 0..1 is wanted; "
            "convert it, for instance with (values * 255).astype('uint8') for 0..1."
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _to_rgb(Image.fromarray(np.ascontiguousarray(array)), f"The {what}")


def _bytes_of_floats(array: NDArray[Any], what: str) -> NDArray[np.uint8]:
    low, high = float(array.min()), float(array.max())  # NaN comes through both
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(
            f"The {what} holds NaN or infinite values, 0 to 1 is allowed; replace them, say with np.nan_to_num."
        )
    if low < -1e-6 or high > 1 + 1e-6:  # the rounding of one resize is forgiven, no more
        hint = "divide by 255" if low >= 0 and high <= 255 else "undo the normalisation (values * std + mean)"
        raise InputError(f"The {what} is floating from {low:.4g} to {high:.4g}, 0 to 1 is allowed; {hint}.")
    return np.round(np.clip(array, 0, 1).astype(np.float32) * 255).astype(np.uint8)


def prepare(
    image: Any,
    size: int,
    view: str = "crop",
    *,
    mean: Sequence[float],
    std: Sequence[float],
    interpolation: str = "bicubic",
    cell: int | None = None,
    fill: int | Sequence[int] | None = None,
) -> tuple[NDArray[np.float32], Frame]:
    """A picture -> the model's pixels float32 [T, 3, size, size] and the Frame that leads back.

    Parameters
    ----------
    image : whatever ``open_image`` takes.
    view : "crop", short side to ``size`` and the middle square; "squash", to the square whatever the shape; "pad",
        long side to ``size`` and the rest filled; "tiles", short side to ``size`` and as many overlapping squares as
        cover the long one. The first three equal open_clip's ``resize_mode`` "shortest", "squash" and "longest".
    mean, std : per channel, in 0..1, as the model was trained.
    interpolation : "bicubic" or "bilinear".
    cell : side of a grid cell in model pixels, for "tiles": each tile begins at a multiple of it.
    fill : colour of the padding in 0..255, one number or three; None is the mean colour. open_clip's default is 0.

    >>> pixels, frame = prepare(np.zeros((40, 80, 3)), 32, mean=(0.5,) * 3, std=(0.5,) * 3)
    >>> pixels.shape, frame.tiles
    ((1, 3, 32, 32), ((16, 0),))
    """
    seen, frame = squares(image, size, view, mean=mean, interpolation=interpolation, cell=cell, fill=fill)
    return normalised(seen, mean, std), frame


def squares(
    image: Any,
    size: int,
    view: str = "crop",
    *,
    mean: Sequence[float],
    interpolation: str = "bicubic",
    cell: int | None = None,
    fill: int | Sequence[int] | None = None,
) -> tuple[NDArray[np.uint8], Frame]:
    """The squares [T, size, size, 3] that `prepare` makes numbers of, as bytes to be sent or stored, and the Frame.

    >>> squares(np.zeros((40, 80, 3)), 32, mean=(0.5,) * 3)[0].shape
    (1, 32, 32, 3)
    """
    if interpolation not in _MODES:
        raise InputError(f"interpolation={interpolation!r} is not 'bicubic' or 'bilinear'; take one of them.")
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise InputError(f"size={size!r} is not a side in pixels; pass a whole number of at least 1, such as 224.")
    picture = open_image(image)
    frame = layout(picture.size, int(size), view, cell)
    canvas = draw_canvas(picture, frame, mean=mean, interpolation=interpolation, fill=fill)
    return _cut(canvas, frame), frame


def draw_canvas(
    picture: Image.Image,
    frame: Frame,
    *,
    mean: Sequence[float],
    interpolation: str = "bicubic",
    fill: int | Sequence[int] | None = None,
) -> Image.Image:
    """The canvas of ``frame``: an upright RGB picture resized and, where the frame is, padded; see `prepare`."""
    if isinstance(fill, int | np.integer):
        fill = [int(fill)] * 3
    colour = [round(255 * m) for m in mean] if fill is None else list(fill)
    return _canvas(picture, frame, _MODES[interpolation], colour)


def cut_tiles(
    canvas: Image.Image, frame: Frame, which: slice = slice(None), *, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """The model's pixels float32 [t, 3, size, size] of the tiles ``which`` on a canvas that `draw_canvas` drew."""
    return normalised(_cut(canvas, frame, which), mean, std)


def _cut(canvas: Image.Image, frame: Frame, which: slice = slice(None)) -> NDArray[np.uint8]:
    """The tiles ``which`` [t, size, size, 3] of a canvas."""
    cut = [canvas.crop((left, top, left + frame.size, top + frame.size)) for left, top in frame.tiles[which]]
    return np.stack([np.asarray(square) for square in cut])


def normalised(squares: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """[T, S, S, 3] -> float32 [T, 3, S, S]."""
    # in the order and the precision of torchvision's ToTensor and Normalize
    unit = np.ascontiguousarray(squares.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
    middle, spread = (np.asarray(v, dtype=np.float32).reshape(1, 3, 1, 1) for v in (mean, std))
    return (unit - middle) / spread


def _canvas(picture: Image.Image, frame: Frame, mode: Image.Resampling, colour: Sequence[int]) -> Image.Image:
    """The resized picture, padded where the frame is."""
    limit, (width, height) = Image.MAX_IMAGE_PIXELS, frame.inner
    if limit is not None and width * height > limit:  # a ribbon, one pixel by thousands
        raise InputError(
            f"A picture of {picture.width} x {picture.height} pixels would become {width} x {height} for "
            f"view={frame.view!r}, at most {limit} pixels are drawn; use view='squash' or 'pad', or cut the picture."
        )
    resized = picture.resize(frame.inner, mode)
    if frame.view != "pad":
        return resized
    canvas = Image.new("RGB", frame.canvas, (colour[0], colour[1], colour[2]))
    canvas.paste(resized, (round(frame.shift[0]), round(frame.shift[1])))
    return canvas
