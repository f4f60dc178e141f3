"""Every layout of weights that people have, and its way into and out of the reference network."""

from .configs import config_from_open_clip, config_to_open_clip
from .folder import read_folder, save_folder
from .network import Weights, build, fingerprint
from .states import from_open_clip, read_state, to_open_clip

__all__ = [
    "Weights",
    "build",
    "config_from_open_clip",
    "config_to_open_clip",
    "fingerprint",
    "from_open_clip",
    "read_folder",
    "read_state",
    "save_folder",
    "to_open_clip",
]
