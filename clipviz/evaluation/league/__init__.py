"""The league of explainers: every way to ask where a text is, measured on the same pictures beside trivial rivals."""

from .entrants import CENTRE, OTHER_TEXT, RANDOM_MAP, RANDOM_WEIGHTS, RIVALS, Entrant, entrants
from .result import League
from .running import Plan, run
from .summary import summarise
from .worlds import World, mosaic_world, photograph_world, scene_world

__all__ = [
    "CENTRE",
    "OTHER_TEXT",
    "RANDOM_MAP",
    "RANDOM_WEIGHTS",
    "RIVALS",
    "Entrant",
    "League",
    "Plan",
    "World",
    "entrants",
    "mosaic_world",
    "photograph_world",
    "run",
    "scene_world",
    "summarise",
]
