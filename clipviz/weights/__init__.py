"""Every layout of weights that people have, and its way into and out of the reference network."""

from .configs import config_from_open_clip, config_to_open_clip
from .folder import read_folder, save_folder
from .memory import from_open_clip_module
from .network import OPENAI_MEAN, OPENAI_STD, Weights, build, fingerprint
from .states import from_open_clip, read_state, to_open_clip
from .tags import architecture, random_weights, read_tag

__all__ = [
    "OPENAI_MEAN",
    "OPENAI_STD",
    "Weights",
    "architecture",
    "build",
    "config_from_open_clip",
    "config_to_open_clip",
    "fingerprint",
    "from_open_clip",
    "from_open_clip_module",
    "random_weights",
    "read_folder",
    "read_state",
    "read_tag",
    "save_folder",
    "to_open_clip",
]
