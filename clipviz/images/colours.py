"""Values to RGB: the modes of Pillow, arrays and tensors; refused where their meaning would have to be guessed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from clipviz.errors import InputError


def to_rgb(picture: Image.Image, what: str) -> Image.Image:
    mode = picture.mode
    if mode.startswith("I"):
        return _grey16(picture, what)
    if mode == "F":
        return from_array(np.asarray(picture), "floating-point picture")
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


def from_tensor(tensor: Any) -> Image.Image:
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
    return from_array(array, "tensor")


def from_array(array: NDArray[Any], what: str) -> Image.Image:
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
    return to_rgb(Image.fromarray(np.ascontiguousarray(array)), f"The {what}")


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
