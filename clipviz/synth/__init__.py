"""Known-answer worlds: pictures drawn by rule, so that where a thing is can be told to the pixel."""

from .avatar import ATTRIBUTES, GROUPS, Avatar, Avatars, avatars
from .drawing import LEVELS, SPLITS, Scene, SceneObject, Scenes, scenes
from .words import COLOURS, SHAPES, held_out, pairs

__all__ = [
    "ATTRIBUTES",
    "COLOURS",
    "GROUPS",
    "LEVELS",
    "SHAPES",
    "SPLITS",
    "Avatar",
    "Avatars",
    "Scene",
    "SceneObject",
    "Scenes",
    "avatars",
    "held_out",
    "pairs",
    "scenes",
]
