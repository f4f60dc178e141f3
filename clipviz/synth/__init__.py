"""Known-answer worlds: pictures drawn by rule, so that where a thing is can be told to the pixel."""

from .drawing import LEVELS, SPLITS, Scene, SceneObject, Scenes, scenes
from .words import COLOURS, SHAPES, held_out, pairs

__all__ = [
    "COLOURS",
    "LEVELS",
    "SHAPES",
    "SPLITS",
    "Scene",
    "SceneObject",
    "Scenes",
    "held_out",
    "pairs",
    "scenes",
]
