"""Known-answer worlds: pictures drawn by rule, so that where a thing is can be told to the pixel."""

from .avatar import ATTRIBUTES, GROUPS, Avatar, Avatars, avatars
from .avatar_pair import AvatarPair, AvatarPairs, avatar_pairs
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
    "AvatarPair",
    "AvatarPairs",
    "Avatars",
    "Scene",
    "SceneObject",
    "Scenes",
    "avatar_pairs",
    "avatars",
    "held_out",
    "pairs",
    "scenes",
]
