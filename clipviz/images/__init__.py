"""Pictures: any way to hand one over -> an upright RGB picture -> the model's pixels and the Frame that leads back."""

from clipviz.frame import MAX_TILES, VIEWS, Frame

from .opening import is_one_image, open_image
from .preparing import cut_tiles, draw_canvas, normalised, prepare, squares

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
